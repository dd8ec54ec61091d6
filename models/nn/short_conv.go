package nn

import (
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
}

// Specs adds the projections and the filters.
func (c *ShortConv) Specs(s *Specs) {
	s.Linear("shortconv.in_proj", 3*c.Embd, c.Embd)
	s.Vector("shortconv.conv.weight", c.Embd, c.Conv)
	s.Add(models.WeightSpec{Name: "shortconv.conv.bias", Shape: tensor.Shape{c.Embd}, Vector: true, Optional: true})
	s.Linear("shortconv.out_proj", c.Embd, c.Embd)
}

// State lists the inputs of the convolution that the next tokens need.
func (c *ShortConv) State(layer int) kv.Spec {
	return kv.Spec{Slots: []kv.Slot{{Name: convName(layer), Shape: tensor.Shape{c.Conv - 1, c.Embd}}}}
}

// Build records the mixer over x, [tokens, n_embd].
func (c *ShortConv) Build(g *ops.Graph, w models.Weights, b *Step, layer int, x ops.Value) ops.Value {
	in := Linear(g, w, "shortconv.in_proj", x)
	part := func(i int) ops.Value { return ops.Slice(g, in, i*c.Embd, (i+1)*c.Embd) }
	y := conv(g, w, b, layer, "shortconv.conv", ops.Mul(g, part(0), part(2)))
	return Linear(g, w, "shortconv.out_proj", ops.Mul(g, part(1), y))
}

// ReadShortConv reads the length of the filters.
func ReadShortConv(k *models.Keys, d *Decoder) *ShortConv {
	return &ShortConv{Embd: d.Embd, Conv: k.Int("shortconv.l_cache", 2, 64)}
}
