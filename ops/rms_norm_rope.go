package ops

import "fmt"

// RMSNormRoPEAttrs are the attributes of [RMSNormRoPEOp]: those of its parts.
type RMSNormRoPEAttrs struct {
	Norm NormAttrs
	RoPE RoPEAttrs
}

// RMSNormRoPEOp normalizes the heads of queries or keys and rotates them.
var RMSNormRoPEOp = Register(&Def{
	Name: "rms_norm_rope",
	Infer: func(n *Node) error {
		if err := arity(n, 4); err != nil {
			return err
		}
		x, w, pos, freqs, a := n.In[0], n.In[1], n.In[2], n.In[3], n.Attrs.(RMSNormRoPEAttrs)
		rope := &Node{Op: RoPEOp, In: []Value{x, pos, freqs}, Attrs: a.RoPE}
		if err := RoPEOp.Infer(rope); err != nil {
			return err
		}
		n.Out = rope.Out
		return vector(w, "w", x.Shape()[2])
	},
	Expand: func(g *Graph, in []Value, attrs any) []Value {
		a := attrs.(RMSNormRoPEAttrs)
		return []Value{RoPE(g, RMSNorm(g, in[0], in[1], a.Norm.Eps), in[2], in[3], a.RoPE)}
	},
	Cases: func() []Case {
		var cs []Case
		for i, c := range RoPEOp.Cases() {
			a := RMSNormRoPEAttrs{NormAttrs{1e-6}, c.Attrs.(RoPEAttrs)}
			if i == 1 {
				a.Norm.Eps = 0.5
			}
			x := c.Args[0]
			cs = append(cs, Case{Name: c.Name, Attrs: a, Args: []Arg{x, f32(x.Shape[2]), c.Args[1], c.Args[2]}})
		}
		// As many heads as workers take at a time, and more.
		x := f32(7, 5, 128)
		return append(cs, Case{Name: fmt.Sprint(x.Shape),
			Attrs: RMSNormRoPEAttrs{NormAttrs{1e-6}, RoPEAttrs{128, NeoX, 1}},
			Args: []Arg{x, f32(128), i32([]int32{0, 1, 2, 3, 511, 7, 9}),
				{Leaf: Input, DType: x.DType, Shape: []int{64}, Gen: between(0, 1)}}})
	},
})

// RMSNormRoPE returns RoPE of RMSNorm of x, [tokens, heads, head dim]. w: [head dim]; pos and freqs are those of
// [RoPE].
func RMSNormRoPE(g *Graph, x, w, pos, freqs Value, a RMSNormRoPEAttrs) Value {
	return one(g.Add(RMSNormRoPEOp, a, x, w, pos, freqs))
}
