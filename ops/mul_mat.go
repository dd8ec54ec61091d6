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

// Exact reports whether n, with products with weights, is to make them exact: see [MulMatAttrs].
func Exact(n *Node) bool {
	switch a := n.Attrs.(type) {
	case MulMatAttrs:
		return a.Exact
	case MulMatNormAttrs:
		return a.MulMat.Exact
	case MixtureAttrs:
		return a.MulMat.Exact
	case MixtureNormAttrs:
		return a.Mixture.MulMat.Exact
	}
	return false
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
		y, err := inferProduct(n.In[0], n.In[1], "w")
		n.Out = []Type{y}
		return err
	},
	Work: func(n *Node) (flop, bytes int64) { return productWork(n, 1) },
	Cases: func() []Case {
		var cs []Case
		for _, f := range quantTypes() {
			k := f.Block
			// One block and one row; odd row counts; token counts around the tile sizes that kernels use; of blocks of
			// 256, so many that waves have one or two more than others.
			sizes := [][3]int{{1, 1, k}, {1, 37, max(256, k)}, {3, 5, max(2*k, 64)}, {17, 33, max(256, k)},
				{65, 66, max(512, k)}, {115, 130, max(256, k)}}
			if k == 256 {
				sizes = append(sizes, [3]int{5, 19, 17 * k})
			}
			for _, s := range sizes {
				cs = append(cs, Case{Name: fmt.Sprintf("%s/m%dn%dk%d", f.Name, s[0], s[1], s[2]), Args: []Arg{
					f32(s[0], s[2]), {Leaf: Weight, DType: f.DType, Shape: tensor.Shape{s[1], s[2]}}}})
			}
		}
		return cs
	},
})

// inferProduct returns the type of x·wᵀ.
func inferProduct(x, w Value, name string) (Type, error) {
	if err := is(x, "x", tensor.F32, 2); err != nil {
		return Type{}, err
	}
	if err := is(w, name, w.DType(), 2); err != nil {
		return Type{}, err
	}
	if x.Shape()[1] != w.Shape()[1] {
		return Type{}, fmt.Errorf("x has rows of %d elements, %s of %d", x.Shape()[1], name, w.Shape()[1])
	}
	return Type{tensor.F32, tensor.Shape{x.Shape()[0], w.Shape()[0]}}, nil
}

// productWork is the Work of products of input 0 with the given number of weights, which follow, whose other operands
// are read once and whose results are written once.
func productWork(n *Node, weights int) (flop, bytes int64) {
	m := int64(n.In[0].Shape()[0])
	for i, v := range n.In {
		b, _ := tensor.Bytes(v.DType(), v.Shape()) // what exists has a size
		bytes += b
		if i >= 1 && i <= weights {
			flop += 2 * m * int64(v.Shape().Elems())
		}
	}
	for _, t := range n.Out {
		bytes += 4 * int64(t.Shape.Elems())
	}
	return flop, bytes
}

// exactly records with f while products of g are exact if attrs, a MulMatAttrs, say so.
func exactly(g *Graph, attrs any, f func()) {
	was := g.Exact
	g.Exact = attrs.(MulMatAttrs).Exact
	f()
	g.Exact = was
}

// MulMat returns x·wᵀ: y[t][o] = Σ_i x[t][i]·w[o][i]. x: F32 [tokens, in], w: [out, in] of any weight type;
// result F32 [tokens, out].
func MulMat(g *Graph, x, w Value) Value { return one(g.Add(MulMatOp, g.mulMatAttrs(), x, w)) }
