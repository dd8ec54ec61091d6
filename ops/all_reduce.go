package ops

import (
	"fmt"
	"slices"
)

// AllReduceOp adds what the ranks of a model have computed.
var AllReduceOp = Register(&Def{
	Name:       "all_reduce",
	Collective: true,
	Infer: func(n *Node) error {
		if err := floats(n.In[0], "part 0"); err != nil {
			return err
		}
		want := n.In[0].Type()
		for i, v := range n.In {
			if v.DType() != want.DType || !v.Shape().Equal(want.Shape) {
				return fmt.Errorf("part %d is %v, part 0 %v", i, v.Type(), want)
			}
			n.Out = append(n.Out, want)
		}
		return nil
	},
	Expand: func(g *Graph, in []Value, _ any) []Value {
		sum := in[0]
		for _, v := range in[1:] {
			sum = Add(g, sum, v)
		}
		out := make([]Value, len(in))
		for i := range out {
			out[i] = sum
		}
		return out
	},
	Work: func(n *Node) (flop, bytes int64) {
		ranks, elems := int64(len(n.In)), int64(n.In[0].Shape().Elems())
		return ranks * (ranks - 1) * elems, 4 * ranks * (ranks + 1) * elems
	},
	Cases: func() []Case {
		return []Case{
			{Name: "ranks=1", Args: []Arg{f32(3, 5)}},
			{Name: "ranks=2", Args: []Arg{f32(1, 5120), f32(1, 5120)}},
			{Name: "ranks=3/odd", Args: []Arg{f32(3, 67), f32(3, 67), f32(3, 67)}},
			{Name: "ranks=4", Args: []Arg{f32(7, 64), f32(7, 64), f32(7, 64), f32(7, 64)}},
		}
	},
})

// AllReduce returns the sum of parts, one result for each of them: result i lives where part i does. All are summed in
// the order of the parts, so that they are equal bit for bit. parts: at least one F32 activation, all of one shape.
// On one device it is a chain of sums.
func AllReduce(g *Graph, parts ...Value) []Value { return collective(g, AllReduceOp, parts) }

// collective records an op with a result for each input.
func collective(g *Graph, d *Def, parts []Value) []Value {
	if len(parts) == 0 {
		g.Fail(fmt.Errorf("ops: %s of no parts", d.Name))
		return nil
	}
	return g.Add(d, nil, slices.Clone(parts)...) // the node keeps them
}
