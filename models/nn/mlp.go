package nn

import (
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Activation combines the two halves of a gated feed-forward network, both [..., n_ff].
type Activation func(g *ops.Graph, gate, up ops.Value) ops.Value

// MLP is the gated feed-forward network down(act(gate·x, up·x)). Files may fuse ffn_gate and ffn_up, in that
// order, into ffn_up.
type MLP struct {
	Embd, FF int
	Act      Activation // nil: ops.SwiGLU
	Suffix   string     // of the weight names: "" for ffn_gate, ffn_up and ffn_down
}

// Specs adds the three projections.
func (m *MLP) Specs(s *Specs) {
	part := func(lo int) models.Part { return models.Part{Name: "ffn_up" + m.Suffix, Lo: lo, Of: 2 * m.FF} }
	shape := tensor.Shape{m.FF, m.Embd}
	s.linear(models.WeightSpec{Name: "ffn_gate" + m.Suffix, Shape: shape, Part: part(0)}, false)
	s.linear(models.WeightSpec{Name: "ffn_up" + m.Suffix, Shape: shape, Part: part(m.FF)}, false)
	s.Linear("ffn_down"+m.Suffix, m.Embd, m.FF)
}

// Build records the network.
func (m *MLP) Build(g *ops.Graph, w models.Weights, x ops.Value) ops.Value {
	y := activate(g, m.Act, Linear(g, w, "ffn_gate"+m.Suffix, x), Linear(g, w, "ffn_up"+m.Suffix, x))
	return Linear(g, w, "ffn_down"+m.Suffix, y)
}

func activate(g *ops.Graph, act Activation, gate, up ops.Value) ops.Value {
	if act == nil {
		act = ops.SwiGLU
	}
	return act(g, gate, up)
}

// ReadMLPs returns the feed-forward network of each layer, with act or, if that is nil, ops.SwiGLU:
// feed_forward_length is one number or a list.
func ReadMLPs(k *models.Keys, d *Decoder, act Activation) []FFN {
	out := make([]FFN, d.Layers)
	for i, ff := range k.PerLayer("feed_forward_length", d.Layers, 1, models.MaxDim) {
		out[i] = &MLP{Embd: d.Embd, FF: ff, Act: act}
	}
	return out
}
