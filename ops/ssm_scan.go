package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// SSMScanAttrs are the attributes of [SSMScanOp].
type SSMScanAttrs struct {
	Groups int // of B and C; the heads of a group follow each other
}

// SSMScanOp is the selective scan of Mamba 2 (Dao and Gu 2024, arXiv 2405.21060), with a scalar decay for each head.
// It is one node, whose cost in launches does not grow with tokens.
var SSMScanOp = Register(&Def{
	Name:    "ssm_scan",
	Results: 2,
	InPlace: map[int]int{1: 5},
	Infer:   inferSSMScan,
	Work: func(n *Node) (flop, bytes int64) {
		x, s := n.In[0].Shape(), n.In[5]
		sb, _ := tensor.Bytes(s.DType(), s.Shape()[1:]) // a state that exists has a size
		heads, dim := int64(s.Shape()[1]), int64(s.Shape()[2])
		return 5 * int64(x[0]) * int64(s.Shape()[1:].Elems()),
			sb*stateMoves(n.In[7]) + 4*int64(x[0])*(int64(x[1])+heads+heads*dim)
	},
	Cases: func() []Case {
		var cs []Case
		for _, c := range []struct {
			name                   string
			heads, groups, dim, ds int
			spans                  []span
		}{
			{"decode", 4, 1, 32, 32, []span{{0, 1}, {0, 1}}},
			{"one", 1, 1, 1, 4, []span{{0, 1}}},
			{"odd", 3, 3, 5, 12, []span{{0, 3}}},
			{"grouped", 6, 2, 16, 16, []span{{0, 5}}},
			{"rows", 2, 1, 36, 48, []span{{0, 9}, {0, 2}}},
			{"d128", 2, 1, 64, 128, []span{{0, 19}, {0, 1}}},
			{"d256", 2, 2, 8, 256, []span{{0, 4}}},
			{"mixed", 4, 2, 32, 64, []span{{0, 70}, {0, 1}, {0, 7}, {0, 1}}},
			{"padded", 4, 1, 32, 32, []span{{0, 5}, {0, 1}, {0, 0}, {0, 0}}},
			{"kept", 2, 1, 36, 48, []span{{0, 4}, {0, 2}, {0, 11}, {0, 1}}},
			{"kept padded", 2, 2, 8, 256, []span{{0, 2}, {0, 3}, {0, 0}}},
		} {
			b, slots := layout(8, c.spans...).keeping(c.name)
			if c.name == "padded" || c.name == "kept padded" {
				b.tokens += 2
			}
			a := f32(c.heads)
			a.Gen = between(-4, -0.05)
			cs = append(cs, Case{Name: c.name, Attrs: SSMScanAttrs{c.groups}, Args: []Arg{
				f32(b.tokens, c.heads*c.dim+2*c.groups*c.ds), f32(b.tokens, c.heads), f32(c.heads), a, f32(c.heads),
				{Leaf: State, DType: tensor.F32, Shape: tensor.Shape{b.places, c.heads, c.dim, c.ds}},
				i32(b.starts), slots}})
		}
		return cs
	},
})

func inferSSMScan(n *Node) error {
	if err := arity(n, 8); err != nil {
		return err
	}
	x, dt, state, groups := n.In[0], n.In[1], n.In[5], n.Attrs.(SSMScanAttrs).Groups
	if err := is(x, "x", tensor.F32, 2); err != nil {
		return err
	}
	if err := is(dt, "dt", tensor.F32, 2); err != nil {
		return err
	}
	if err := is(state, "state", state.DType(), 4); err != nil {
		return err
	}
	tokens, channels, s := x.Shape()[0], x.Shape()[1], state.Shape()
	heads, dim, ds := s[1], s[2], s[3]
	if groups < 1 || heads%groups != 0 {
		return fmt.Errorf("%d heads are no multiple of %d groups", heads, groups)
	}
	if ds%4 != 0 {
		return fmt.Errorf("a state of %d columns: the number must be a multiple of 4", ds)
	}
	if channels != heads*dim+2*groups*ds || !dt.Shape().Equal(tensor.Shape{tokens, heads}) {
		return fmt.Errorf("x %v, dt %v, state %v and %d groups do not fit together", x.Shape(), dt.Shape(), s, groups)
	}
	for i, what := range []string{"bias", "a", "d"} {
		if err := vector(n.In[2+i], what, heads); err != nil {
			return err
		}
	}
	n.Out = []Type{{tensor.F32, tensor.Shape{tokens, heads, dim}}, state.Type()}
	return sequences(n.In[6], n.In[7])
}

// SSMScan runs the recurrence of each head h over the tokens of each sequence, with the group of B and C that h is in:
//
//	Δ = softplus(dt + bias);  S ← exp(Δ·a)·S + Δ·x⊗B;  y = S·C + d·x
//
// and returns y and the updated state. x: F32 [tokens, heads·dim + 2·groups·ds], the x of all heads, then B of all
// groups, then C; dt: F32 [tokens, heads]; bias, a (negative) and d: F32 [heads]; state: [slots, heads, dim, ds], the
// matrix S above, ds being a multiple of 4; starts, slots and padding as for CausalConv. Result F32 [tokens, heads, dim].
func SSMScan(g *Graph, x, dt, bias, a, d, state, starts, slots Value, attrs SSMScanAttrs) (y, newState Value) {
	r := g.Add(SSMScanOp, attrs, x, dt, bias, a, d, state, starts, slots)
	return r[0], r[1]
}
