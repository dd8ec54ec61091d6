package nn

import (
	"cmp"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// ShortConv is the gated short convolution of LFM 2: out(C ⊙ conv(B ⊙ x)), where shortconv.in_proj makes B, C and x, in
// this order, and conv is causal and depth-wise.
type ShortConv struct {
	Embd int
	Conv int // length of the filters

	channels int // of one rank; 0: Embd
	split    *convPart
}

type convPart struct {
	*part
	whole *ShortConv
}

// width returns the number of channels.
func (c *ShortConv) width() int { return cmp.Or(c.channels, c.Embd) }

// Specs adds the projections and the filters.
func (c *ShortConv) Specs(s *Specs) {
	if c.split != nil {
		c.split.specs(s, c.split.whole.Specs)
		return
	}
	channels := models.Segment{Kind: convChannels, Units: c.Embd, Size: 1}
	s.SplitLinear("shortconv.in_proj", 3*c.Embd, c.Embd, byRows(channels, channels, channels))
	s.splitVector("shortconv.conv.weight", byRows(channels), c.Embd, c.Conv)
	s.Add(models.WeightSpec{Name: "shortconv.conv.bias", Shape: tensor.Shape{c.Embd}, Vector: true, Optional: true,
		Split: byRows(channels)})
	s.SplitLinear("shortconv.out_proj", c.Embd, c.Embd, byColumns(channels))
}

// convChannels names what is convolved.
const convChannels = "shortconv.out_proj"

// Split gives each rank channels.
func (c *ShortConv) Split(r Ranks) ([]Mixer, error) {
	shares, err := r.columns(convChannels, c.Embd)
	if err != nil {
		return nil, err
	}
	out := make([]Mixer, r.N)
	for i, p := range parts(r.N) {
		p.units[convChannels] = shares[i : i+1]
		own := *c
		own.channels, own.split = shares[i].Len(), &convPart{p, c}
		out[i] = &own
	}
	return out, nil
}

// State lists the inputs of the convolution that the next tokens need.
func (c *ShortConv) State(layer int) kv.Spec {
	return kv.Spec{Slots: []kv.Slot{{Name: convName(layer), Shape: tensor.Shape{c.Conv - 1, c.width()}}}}
}

// Build records the mixer over x, [tokens, n_embd].
func (c *ShortConv) Build(g *ops.Graph, w models.Weights, b *Step, layer int, x ops.Value) ops.Value {
	in := Linear(g, w, "shortconv.in_proj", x)
	part := func(i int) ops.Value { return ops.Slice(g, in, i*c.width(), (i+1)*c.width()) }
	y := conv(g, w, b, layer, "shortconv.conv", ops.Mul(g, part(0), part(2)))
	return Linear(g, w, "shortconv.out_proj", ops.Mul(g, part(1), y))
}

// ReadShortConv reads the length of the filters.
func ReadShortConv(k *models.Keys, d *Decoder) *ShortConv {
	return &ShortConv{Embd: d.Embd, Conv: k.Int("shortconv.l_cache", 2, 64)}
}
