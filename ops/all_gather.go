package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// AllGatherOp puts side by side what the ranks of a model have computed.
var AllGatherOp = Register(&Def{
	Name:       "all_gather",
	Collective: true,
	Infer: func(n *Node) error {
		out := Type{tensor.F32, nil}
		for i, v := range n.In {
			if err := floats(v, fmt.Sprintf("part %d", i)); err != nil {
				return err
			}
			s, last := v.Shape(), len(v.Shape())-1
			if i == 0 {
				out.Shape = append(out.Shape, s...)
				continue
			}
			if len(s) != len(out.Shape) || !s[:last].Equal(out.Shape[:last]) {
				return fmt.Errorf("part %d is %v, part 0 %v: they may differ in the innermost dimension alone", i, s,
					n.In[0].Shape())
			}
			out.Shape[last] += s[last]
		}
		for range n.In {
			n.Out = append(n.Out, out)
		}
		return nil
	},
	Expand: func(g *Graph, in []Value, _ any) []Value {
		all := in[0]
		for _, v := range in[1:] {
			all = Concat(g, all, v)
		}
		out := make([]Value, len(in))
		for i := range out {
			out[i] = all
		}
		return out
	},
	Cases: func() []Case {
		return []Case{
			{Name: "ranks=1", Args: []Arg{f32(3, 5)}},
			{Name: "ranks=2", Args: []Arg{f32(2, 2560), f32(2, 2560)}},
			{Name: "ranks=3/uneven", Args: []Arg{f32(3, 67), f32(3, 5), f32(3, 1)}},
			{Name: "ranks=4/heads", Args: []Arg{f32(2, 3, 16), f32(2, 3, 16), f32(2, 3, 8), f32(2, 3, 8)}},
		}
	},
})

// AllGather returns the parts, [..., n_i], side by side along the innermost dimension, [..., sum of n_i], in their
// order; one result for each of them, where that part lives.
func AllGather(g *Graph, parts ...Value) []Value { return collective(g, AllGatherOp, parts) }
