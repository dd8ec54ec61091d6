package ops

import (
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/tensor"
)

// GatedDeltaNetAttrs are the attributes of [GatedDeltaNetOp].
type GatedDeltaNetAttrs struct {
	Scale float32 // on the queries

	// Tiled says which key head serves value head h: h mod key heads if true (GGUF's qwen35 files, which store
	// value heads re-tiled), h / (value heads / key heads) if false (Hugging Face's order, GGUF's qwen3next).
	Tiled bool
}

// GatedDeltaNetOp is the gated delta rule (Yang, Kautz and Hatamizadeh 2024, arXiv 2412.06464). A backend may
// compute it token by token or in chunks; both are one node, whose cost in launches does not grow with tokens.
var GatedDeltaNetOp = Register(&Def{
	Name:    "gated_delta_net",
	Results: 2,
	InPlace: map[int]int{1: 5},
	Infer: func(n *Node) error {
		if err := arity(n, 8); err != nil {
			return err
		}
		q, k, v, g, beta, state := n.In[0], n.In[1], n.In[2], n.In[3], n.In[4], n.In[5]
		for i, what := range []string{"q", "k", "v"} {
			if err := is(n.In[i], what, tensor.F32, 3); err != nil {
				return err
			}
		}
		if err := is(g, "g", tensor.F32, 2); err != nil {
			return err
		}
		if err := is(beta, "beta", tensor.F32, 2); err != nil {
			return err
		}
		if err := is(state, "state", state.DType(), 4); err != nil {
			return err
		}
		qs, vs, s := q.Shape(), v.Shape(), state.Shape()
		gate := tensor.Shape{vs[0], vs[1]}
		if !k.Shape().Equal(qs) || qs[0] != vs[0] || vs[1]%qs[1] != 0 || !g.Shape().Equal(gate) ||
			!beta.Shape().Equal(gate) ||
			!s[1:].Equal(tensor.Shape{vs[1], vs[2], qs[2]}) {
			return fmt.Errorf("q %v, k %v, v %v, g %v, beta %v and state %v do not fit together",
				qs, k.Shape(), vs, g.Shape(), beta.Shape(), s)
		}
		n.Out = []Type{v.Type(), state.Type()}
		return sequences(n.In[6], n.In[7])
	},
	Work: func(n *Node) (flop, bytes int64) {
		v, s := n.In[2].Shape(), n.In[5]
		sb, _ := tensor.Bytes(s.DType(), s.Shape()[1:]) // a state that exists has a size
		return 7 * int64(v[0]) * int64(s.Shape()[1:].Elems()),
			sb*stateMoves(n.In[7]) + 4*int64(n.In[0].Shape().Elems()*2+2*v.Elems())
	},
	Cases: func() []Case {
		var cs []Case
		for _, c := range []struct {
			name           string
			nk, nv, dk, dv int
			tiled          bool
			spans          []span
		}{
			{"decode", 2, 4, 32, 32, true, []span{{0, 1}, {0, 1}}},
			{"two", 1, 1, 16, 16, true, []span{{0, 2}}},
			{"chunk", 2, 4, 32, 32, true, []span{{0, 64}}},
			{"chunk+1", 2, 4, 32, 32, false, []span{{0, 65}}},
			{"grouped", 2, 6, 32, 32, false, []span{{0, 5}}},
			{"tiled", 2, 6, 32, 32, true, []span{{0, 5}}},
			{"d128", 1, 2, 128, 128, true, []span{{0, 70}, {0, 1}}},
			{"dv48", 1, 2, 32, 48, true, []span{{0, 9}}},
			{"mixed", 2, 4, 32, 32, true, []span{{0, 130}, {0, 1}, {0, 7}, {0, 1}}},
			{"padded", 2, 4, 32, 32, true, []span{{0, 5}, {0, 1}, {0, 0}, {0, 0}}},
			{"kept", 2, 4, 32, 32, true, []span{{0, 4}}},
			{"kept few", 1, 2, 20, 36, false, []span{{0, 6}, {0, 2}, {0, 2}, {0, 1}}},
			{"kept d16", 1, 1, 16, 16, true, []span{{0, 2}}},
			{"kept d64", 1, 2, 64, 48, false, []span{{0, 3}}},
			{"kept d128", 1, 2, 128, 128, true, []span{{0, 4}, {0, 2}}},
			{"kept d256", 1, 1, 200, 33, true, []span{{0, 11}}},
			{"kept mixed", 1, 2, 32, 32, true, []span{{0, 4}, {0, 130}, {0, 1}, {0, 2}, {0, 0}}},
			{"long", 1, 2, 32, 80, true, []span{{0, 301}, {0, 33}}},
			{"chunk padded", 1, 5, 64, 64, false, []span{{0, 70}, {0, 40}, {0, 0}}},
			{"chunk blank", 1, 1, 32, 32, false, []span{{0, 40}}},
		} {
			b, slots := layout(8, c.spans...).keeping(c.name)
			if strings.HasSuffix(c.name, "padded") || c.name == "kept mixed" {
				b.tokens += 2
			}
			unit := func(heads, dim int) Arg { // about unit length, as after L2Norm
				a := f32(b.tokens, heads, dim)
				a.Gen = scaled(1 / float32(dim) * 4)
				return a
			}
			g, beta := f32(b.tokens, c.nv), f32(b.tokens, c.nv)
			g.Gen, beta.Gen = between(-3, 0), between(0, 1)
			q, k, v := unit(c.nk, c.dk), unit(c.nk, c.dk), f32(b.tokens, c.nv, c.dv)
			state := Arg{Leaf: State, DType: tensor.F32, Shape: tensor.Shape{b.places, c.nv, c.dv, c.dk}}
			if strings.HasSuffix(c.name, "blank") {
				q.Gen, k.Gen, v.Gen, state.Gen = scaled(0), scaled(0), scaled(0), scaled(0)
			}
			cs = append(cs, Case{Name: c.name, Attrs: GatedDeltaNetAttrs{0.25, c.tiled}, Args: []Arg{q, k, v, g, beta, state,
				i32(b.starts), slots}})
		}
		return cs
	},
})

// GatedDeltaNet runs the recurrence of each value head h over the tokens of each sequence, with key head κ(h):
//
//	S ← exp(g)·S;  u = v - S·k;  S ← S + β·u⊗k;  o = Scale·S·q
//
// and returns o and the updated state. q, k: F32 [tokens, key heads, key dim]; v: F32 [tokens, value heads, value
// dim]; g, beta: F32 [tokens, value heads], g being the logarithm of the decay (≤ 0); state: F32 [slots, value
// heads, value dim, key dim], the matrix S above; starts, slots and padding as for CausalConv. Result F32 [tokens,
// value heads, value dim].
func GatedDeltaNet(gr *Graph, q, k, v, g, beta, state, starts, slots Value, a GatedDeltaNetAttrs) (o, newState Value) {
	r := gr.Add(GatedDeltaNetOp, a, q, k, v, g, beta, state, starts, slots)
	return r[0], r[1]
}
