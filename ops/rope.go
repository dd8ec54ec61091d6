package ops

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/hipengine/hipengine/tensor"
)

// Pairing says which two elements of a head rotate together.
type Pairing uint8

// The pairings, with n = RoPEAttrs.NRot rotated elements.
const (
	NeoX        Pairing = iota // (i, i+n/2)
	Interleaved                // (2i, 2i+1)
)

// String returns the glossary's name of p.
func (p Pairing) String() string {
	if p == Interleaved {
		return "interleaved"
	}
	return "neox"
}

// RoPEAttrs are the attributes of [RoPEOp].
type RoPEAttrs struct {
	NRot    int     // rotated elements at the start of each head; the rest passes unchanged
	Pairing Pairing //
	MScale  float32 // factor on cosine and sine (YaRN's attention factor); 1 for none
}

// RoPEOp is rotary position embedding (Su et al. 2021, arXiv 2104.09864).
var RoPEOp = Register(&Def{
	Name: "rope",
	Infer: func(n *Node) error {
		if err := arity(n, 3); err != nil {
			return err
		}
		x, pos, freqs, a := n.In[0], n.In[1], n.In[2], n.Attrs.(RoPEAttrs)
		if err := is(x, "x", tensor.F32, 3); err != nil {
			return err
		}
		if a.NRot <= 0 || a.NRot%2 != 0 || a.NRot > x.Shape()[2] {
			return fmt.Errorf("%d rotated elements in heads of %d", a.NRot, x.Shape()[2])
		}
		if err := ints(pos, "pos", x.Shape()[0]); err != nil {
			return err
		}
		n.Out = []Type{x.Type()}
		return vector(freqs, "freqs", a.NRot/2)
	},
	Cases: func() []Case {
		var cs []Case
		for _, c := range []struct {
			tokens, heads, dim int
			a                  RoPEAttrs
		}{
			{1, 1, 2, RoPEAttrs{2, NeoX, 1}},
			{3, 2, 64, RoPEAttrs{64, NeoX, 1}},
			{3, 2, 64, RoPEAttrs{64, Interleaved, 1}},
			{5, 3, 256, RoPEAttrs{64, NeoX, 1}},
			{2, 1, 96, RoPEAttrs{48, Interleaved, 1.25}},
		} {
			pos := make([]int32, c.tokens)
			for i := range pos {
				pos[i] = int32(i * 1237)
			}
			freqs := f32(c.a.NRot / 2)
			i := -1
			freqs.Gen = func(*rand.Rand) float32 {
				i = (i + 1) % (c.a.NRot / 2)
				return float32(math.Pow(10000, -2*float64(i)/float64(c.a.NRot)))
			}
			cs = append(cs, Case{Name: fmt.Sprintf("%dx%dx%d/%v%d", c.tokens, c.heads, c.dim, c.a.Pairing, c.a.NRot),
				Attrs: c.a, Args: []Arg{f32(c.tokens, c.heads, c.dim), i32(pos), freqs}})
		}
		return cs
	},
})

// RoPE rotates pair i of each head by the angle pos·freqs[i]: (x, y) to (x cos - y sin, x sin + y cos), times
// MScale. x: [tokens, heads, head dim], pos: I32 [tokens], freqs: [NRot/2] in radians per position. Every form of
// scaling (linear, YaRN, Llama 3, LongRoPE) is a table of frequencies; models make it when they load.
func RoPE(g *Graph, x, pos, freqs Value, a RoPEAttrs) Value {
	return one(g.Add(RoPEOp, a, x, pos, freqs))
}
