package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// MulMatAttrs are the attributes of products with weights; nil stands for the zero value.
type MulMatAttrs struct {
	// Exact asks for products as close to those of float32 as the device can make at a bearable price. Where a
	// decision hangs on small differences (the experts of a token), rounding activations changes a result more than
	// all other errors together.
	Exact bool
}

// Exact reports whether n, a product with weights, is to be exact: see [MulMatAttrs].
func Exact(n *Node) bool {
	a, _ := n.Attrs.(MulMatAttrs)
	return a.Exact
}

// mulMatAttrs are the attributes of a product that g records.
func (g *Graph) mulMatAttrs() any {
	if g.Exact {
		return MulMatAttrs{Exact: true}
	}
	return nil
}

// MulMatOp is the product with a weight matrix.
var MulMatOp = Register(&Def{
	Name: "mul_mat",
	Infer: func(n *Node) error {
		if err := arity(n, 2); err != nil {
			return err
		}
		x, w := n.In[0], n.In[1]
		if err := is(x, "x", tensor.F32, 2); err != nil {
			return err
		}
		if err := is(w, "w", w.DType(), 2); err != nil {
			return err
		}
		if x.Shape()[1] != w.Shape()[1] {
			return fmt.Errorf("x has rows of %d elements, w of %d", x.Shape()[1], w.Shape()[1])
		}
		n.Out = []Type{{tensor.F32, tensor.Shape{x.Shape()[0], w.Shape()[0]}}}
		return nil
	},
	Work: func(n *Node) (flop, bytes int64) {
		x, w := n.In[0].Shape(), n.In[1]
		wb, _ := tensor.Bytes(w.DType(), w.Shape()) // a weight that exists has a size
		m := int64(x[0])
		return 2 * m * int64(w.Shape().Elems()), wb + 4*m*int64(x[1]+w.Shape()[0])
	},
	Cases: func() []Case {
		var cs []Case
		for _, f := range quantTypes() {
			k := f.Block
			// One block and one row; odd row counts; token counts around the tile sizes that kernels use.
			for _, s := range [][3]int{{1, 1, k}, {1, 37, max(256, k)}, {3, 5, max(2*k, 64)}, {17, 33, max(256, k)}, {65, 66, max(512, k)}} {
				cs = append(cs, Case{Name: fmt.Sprintf("%s/m%dn%dk%d", f.Name, s[0], s[1], s[2]), Args: []Arg{
					f32(s[0], s[2]), {Leaf: Weight, DType: f.DType, Shape: tensor.Shape{s[1], s[2]}}}})
			}
		}
		return cs
	},
})

// MulMat returns x·wᵀ: y[t][o] = Σ_i x[t][i]·w[o][i]. x: F32 [tokens, in], w: [out, in] of any weight type;
// result F32 [tokens, out].
func MulMat(g *Graph, x, w Value) Value { return one(g.Add(MulMatOp, g.mulMatAttrs(), x, w)) }
