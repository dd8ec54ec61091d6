package nn

import (
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// FeedForward is the network down(act(up·x)), without a gate.
type FeedForward struct {
	Embd, FF int
	Act      Unary
	Suffix   string // behind the names of tensors: "_shexp"

	split *feedForwardPart // of one rank; nil: the whole
}

type feedForwardPart struct {
	*part
	whole *FeedForward
}

// Unary is an activation of one operand.
type Unary func(g *ops.Graph, x ops.Value) ops.Value

// Specs adds the two projections.
func (f *FeedForward) Specs(s *Specs) {
	if f.split != nil {
		f.split.specs(s, f.split.whole.Specs)
		return
	}
	columns := models.Segment{Kind: f.kind(), Units: f.FF, Size: 1}
	s.SplitLinear("ffn_up"+f.Suffix, f.FF, f.Embd, byRows(columns))
	s.SplitLinear("ffn_down"+f.Suffix, f.Embd, f.FF, byColumns(columns))
}

// kind names the columns of the network.
func (f *FeedForward) kind() string { return "ffn_down" + f.Suffix }

// Split gives each rank rows of up and columns of down.
func (f *FeedForward) Split(r Ranks) ([]FFN, error) {
	shares, err := r.columns(f.kind(), f.FF)
	if err != nil {
		return nil, err
	}
	out := make([]FFN, r.N)
	for i, p := range parts(r.N) {
		p.units[f.kind()] = shares[i : i+1]
		own := *f
		own.FF, own.split = shares[i].Len(), &feedForwardPart{p, f}
		out[i] = &own
	}
	return out, nil
}

// Build records the network.
func (f *FeedForward) Build(g *ops.Graph, w models.Weights, x ops.Value) ops.Value {
	return Linear(g, w, "ffn_down"+f.Suffix, f.Act(g, Linear(g, w, "ffn_up"+f.Suffix, x)))
}

// ReadFeedForwards returns the network of each layer: feed_forward_length is one number or a list. acts holds an
// activation for each layer, or one for all.
func ReadFeedForwards(k *models.Keys, d *Decoder, acts ...Unary) []FFN {
	out := make([]FFN, d.Layers)
	for i, ff := range k.PerLayer("feed_forward_length", d.Layers, 1, models.MaxDim) {
		out[i] = &FeedForward{Embd: d.Embd, FF: ff, Act: acts[min(i, len(acts)-1)]}
	}
	return out
}

// SquaredReLU returns max(x, 0)² elementwise.
func SquaredReLU(g *ops.Graph, x ops.Value) ops.Value {
	positive := relu(g, x)
	return ops.Mul(g, positive, positive)
}

// relu returns max(x, 0) elementwise.
func relu(g *ops.Graph, x ops.Value) ops.Value {
	return ops.Add(g, x, ops.Scale(g, halfNegative(g, x), -2))
}

// halfNegative returns min(x, 0)/2 elementwise: the clamped activation without a slope and with a limit of zero.
func halfNegative(g *ops.Graph, x ops.Value) ops.Value {
	return ops.SwiGLUClamped(g, x, x, ops.SwiGLUClampedAttrs{})
}
