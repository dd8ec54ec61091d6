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

	split *mlpPart // of one rank; nil: the whole
}

type mlpPart struct {
	*part
	whole *MLP
}

// Specs adds the three projections.
func (m *MLP) Specs(s *Specs) {
	if m.split != nil {
		m.split.specs(s, m.split.whole.Specs)
		return
	}
	columns := models.Segment{Kind: m.kind(), Units: m.FF, Size: 1}
	part := func(lo int) models.Part { return models.Part{Name: "ffn_up" + m.Suffix, Lo: lo, Of: 2 * m.FF} }
	shape := tensor.Shape{m.FF, m.Embd}
	s.linear(models.WeightSpec{Name: "ffn_gate" + m.Suffix, Shape: shape, Part: part(0), Split: byRows(columns)}, false)
	s.linear(models.WeightSpec{Name: "ffn_up" + m.Suffix, Shape: shape, Part: part(m.FF), Split: byRows(columns)}, false)
	s.SplitLinear("ffn_down"+m.Suffix, m.Embd, m.FF, byColumns(columns))
}

// kind names the columns of the network.
func (m *MLP) kind() string { return "ffn_down" + m.Suffix }

// Split gives each rank columns of the network: rows of gate and up, columns of down.
func (m *MLP) Split(r Ranks) ([]FFN, error) {
	shares, err := r.columns(m.kind(), m.FF)
	if err != nil {
		return nil, err
	}
	out := make([]FFN, r.N)
	for i, p := range parts(r.N) {
		p.units[m.kind()] = shares[i : i+1]
		own := *m
		own.FF, own.split = shares[i].Len(), &mlpPart{p, m}
		out[i] = &own
	}
	return out, nil
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
