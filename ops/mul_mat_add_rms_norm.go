package ops

import "fmt"

// MulMatNormAttrs are the attributes of a product and a norm.
type MulMatNormAttrs struct {
	MulMat MulMatAttrs
	Norm   NormAttrs
}

// MulMatAddRMSNormOp is the end of a block and the start of the next: the last product, its addition to the residual
// stream, and the norm that follows.
var MulMatAddRMSNormOp = Register(&Def{
	Name:    "mul_mat_add_rms_norm",
	Results: 2,
	Infer: func(n *Node) error {
		if err := arity(n, 4); err != nil {
			return err
		}
		y, err := inferProduct(n.In[0], n.In[1], "w")
		if err != nil {
			return err
		}
		if h := n.In[2]; h.DType() != y.DType || !h.Shape().Equal(y.Shape) {
			return fmt.Errorf("h is %v, the product %v", h.Type(), y)
		}
		n.Out = []Type{y, y}
		return vector(n.In[3], "the norm's w", y.Shape[1])
	},
	Expand: func(g *Graph, in []Value, attrs any) []Value {
		a := attrs.(MulMatNormAttrs)
		var y Value
		exactly(g, a.MulMat, func() { y = MulMat(g, in[0], in[1]) })
		sum, normed := AddRMSNorm(g, in[2], y, in[3], a.Norm.Eps)
		return []Value{sum, normed}
	},
	Work: func(n *Node) (flop, bytes int64) { return productWork(n, 1) },
	Cases: func() []Case {
		var cs []Case
		for _, s := range [][3]int{{1, 4, 256}, {1, 64, 512}, {1, 1152, 256}, {3, 132, 256}, {8, 516, 512},
			{2, 37, 256}, {9, 96, 256}, {70, 160, 256}} {
			for _, typ := range []string{"F32", "Q8_0", "Q4_K", "Q6_K"} {
				h := f32(s[0], s[1])
				h.Gen = scaled(10) // a residual stream is larger than what a block adds
				cs = append(cs, Case{Name: fmt.Sprintf("%s/m%dn%dk%d", typ, s[0], s[1], s[2]),
					Attrs: MulMatNormAttrs{Norm: NormAttrs{1e-6}},
					Args:  []Arg{f32(s[0], s[2]), weightOf(typ, s[1], s[2]), h, f32(s[1])}})
			}
		}
		return knownTypes(cs)
	},
})

// MulMatAddRMSNorm returns h + MulMat(x, w) and RMSNorm of that sum with weights wn. h: F32 [tokens, out], wn: [out];
// x and w are as for MulMat.
func MulMatAddRMSNorm(g *Graph, x, w, h, wn Value, eps float32) (sum, normed Value) {
	r := g.Add(MulMatAddRMSNormOp, MulMatNormAttrs{MulMatAttrs{Exact: g.Exact}, NormAttrs{eps}}, x, w, h, wn)
	return r[0], r[1]
}
