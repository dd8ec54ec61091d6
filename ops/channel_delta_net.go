package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// ChannelDeltaNetAttrs are the attributes of [ChannelDeltaNetOp].
type ChannelDeltaNetAttrs struct {
	Scale float32 // on the queries
}

// ChannelDeltaNetOp is the gated delta rule with a decay for each channel of the key, Kimi Delta Attention (Kimi Team
// 2025, arXiv 2510.26692).
var ChannelDeltaNetOp = Register(&Def{
	Name:    "channel_delta_net",
	Results: 2,
	InPlace: map[int]int{1: 5},
	Infer: func(n *Node) error {
		if err := arity(n, 8); err != nil {
			return err
		}
		q, k, v, g, beta, state := n.In[0], n.In[1], n.In[2], n.In[3], n.In[4], n.In[5]
		for i, what := range []string{"q", "k", "v", "g"} {
			if err := is(n.In[i], what, tensor.F32, 3); err != nil {
				return err
			}
		}
		if err := is(beta, "beta", tensor.F32, 2); err != nil {
			return err
		}
		if err := is(state, "state", state.DType(), 4); err != nil {
			return err
		}
		qs, vs, s := q.Shape(), v.Shape(), state.Shape()
		if !k.Shape().Equal(qs) || !g.Shape().Equal(qs) || !vs[:2].Equal(qs[:2]) || !beta.Shape().Equal(qs[:2]) ||
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
			sb*stateMoves(n.In[7]) + 4*int64(n.In[0].Shape().Elems()*3+2*v.Elems())
	},
	Cases: func() []Case {
		var cs []Case
		for _, c := range []struct {
			name          string
			heads, dk, dv int
			spans         []span
		}{
			{"decode", 3, 32, 32, []span{{0, 1}, {0, 1}}},
			{"prompt", 2, 32, 32, []span{{0, 19}}},
			{"d128", 1, 128, 128, []span{{0, 9}, {0, 1}}},
			{"d48", 1, 48, 20, []span{{0, 5}}},
			{"padded", 2, 32, 32, []span{{0, 5}, {0, 1}, {0, 0}}},
			{"kept", 2, 20, 36, []span{{0, 4}, {0, 2}, {0, 11}, {0, 1}}},
			{"kept padded", 1, 128, 128, []span{{0, 2}, {0, 3}, {0, 0}}},
		} {
			b, slots := layout(8, c.spans...).keeping(c.name)
			if c.name == "padded" || c.name == "kept padded" {
				b.tokens += 2
			}
			unit := f32(b.tokens, c.heads, c.dk) // about unit length, as after L2Norm
			unit.Gen = scaled(1 / float32(c.dk) * 4)
			g, beta := f32(b.tokens, c.heads, c.dk), f32(b.tokens, c.heads)
			g.Gen, beta.Gen = between(-3, 0), between(0, 1)
			cs = append(cs, Case{Name: c.name, Attrs: ChannelDeltaNetAttrs{0.25}, Args: []Arg{
				unit, unit, f32(b.tokens, c.heads, c.dv), g, beta,
				{Leaf: State, DType: tensor.F32, Shape: tensor.Shape{b.places, c.heads, c.dv, c.dk}},
				i32(b.starts), slots}})
		}
		return cs
	},
})

// ChannelDeltaNet runs the recurrence of each head over the tokens of each sequence:
//
//	S ← S·diag(exp(g));  u = v - S·k;  S ← S + β·u⊗k;  o = Scale·S·q
//
// and returns o and the updated state. q, k: F32 [tokens, heads, key dim]; v: F32 [tokens, heads, value dim]; g: F32
// [tokens, heads, key dim], logarithms of the decays (≤ 0); beta: F32 [tokens, heads]; state: F32 [slots, heads, value
// dim, key dim], the matrix S above; starts, slots and padding as for CausalConv. Result F32 [tokens, heads, value dim].
func ChannelDeltaNet(gr *Graph, q, k, v, g, beta, state, starts, slots Value, a ChannelDeltaNetAttrs) (o,
	newState Value) {
	r := gr.Add(ChannelDeltaNetOp, a, q, k, v, g, beta, state, starts, slots)
	return r[0], r[1]
}
