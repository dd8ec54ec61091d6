package ops

import "fmt"

// MulMatSwiGLUOp is the first half of most feed-forward blocks: both products and the gated activation.
var MulMatSwiGLUOp = mulMatGated("mul_mat_swiglu", SwiGLU)

// MulMatGeGLUOp is the same for the Gemma models.
var MulMatGeGLUOp = mulMatGated("mul_mat_geglu", GeGLU)

// mulMatGated declares an op that combines the products with two matrices.
func mulMatGated(name string, act func(g *Graph, gate, up Value) Value) *Def {
	return Register(&Def{
		Name: name,
		Infer: func(n *Node) error {
			if err := arity(n, 3); err != nil {
				return err
			}
			gate, err := inferProduct(n.In[0], n.In[1], "gate")
			if err != nil {
				return err
			}
			up, err := inferProduct(n.In[0], n.In[2], "up")
			if err == nil && !gate.Shape.Equal(up.Shape) {
				err = fmt.Errorf("gate has %d rows, up %d", gate.Shape[1], up.Shape[1])
			}
			n.Out = []Type{gate}
			return err
		},
		Expand: func(g *Graph, in []Value, attrs any) (ys []Value) {
			exactly(g, attrs, func() { ys = []Value{act(g, MulMat(g, in[0], in[1]), MulMat(g, in[0], in[2]))} })
			return ys
		},
		Work: func(n *Node) (flop, bytes int64) { return productWork(n, 2) },
		Cases: func() []Case {
			var cs []Case
			for _, s := range [][3]int{{1, 32, 512}, {1, 5, 256}, {3, 70, 256}, {8, 64, 1280}, {9, 33, 256},
				{4, 22, 17 * 256}, {70, 160, 256}} {
				for _, types := range [][2]string{{"F32", "F32"}, {"Q8_0", "Q8_0"}, {"Q4_K", "Q4_K"}, {"Q6_K", "Q6_K"},
					{"Q4_K", "Q6_K"}} {
					cs = append(cs, Case{Name: fmt.Sprintf("%s-%s/m%dn%dk%d", types[0], types[1], s[0], s[1], s[2]),
						Attrs: MulMatAttrs{}, Args: []Arg{
							f32(s[0], s[2]), weightOf(types[0], s[1], s[2]), weightOf(types[1], s[1], s[2])}})
				}
			}
			return knownTypes(cs)
		},
	})
}
