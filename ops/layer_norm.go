package ops

import (
	"fmt"
)

// LayerNormOp is layer normalization with a weight (Ba et al. 2016, arXiv 1607.06450). A bias is an addition of its
// own.
var LayerNormOp = Register(&Def{
	Name: "layer_norm",
	Infer: func(n *Node) error {
		if err := arity(n, 2); err != nil {
			return err
		}
		x, w := n.In[0], n.In[1]
		if err := floats(x, "x"); err != nil {
			return err
		}
		n.Out = []Type{x.Type()}
		return vector(w, "w", x.Shape().Last())
	},
	Expand: func(g *Graph, in []Value, attrs any) []Value {
		x := in[0]
		return []Value{RMSNorm(g, Add(g, x, negatedMean(g, x)), in[1], attrs.(NormAttrs).Eps)}
	},
	Cases: func() []Case {
		var cs []Case
		// Not two elements: what they differ by, and so the result, is as uncertain as their own last bits.
		for _, s := range [][]int{{1, 7}, {1, 64}, {3, 67}, {5, 256}, {2, 3, 129}, {2, 1025}} {
			cs = append(cs, Case{Name: fmt.Sprint(s), Attrs: NormAttrs{1e-5},
				Args: []Arg{f32(s...), f32(s[len(s)-1])}})
		}
		// Small inputs, where eps is most of the denominator.
		tiny := f32(3, 96)
		tiny.Gen = scaled(1e-4)
		return append(cs, Case{Name: "eps", Attrs: NormAttrs{1e-5}, Args: []Arg{tiny, f32(96)}})
	},
})

// negatedMean returns minus the mean of each row of x in all elements of the row. It sums the elements in two steps, of
// rows and of columns of a rectangle, with weights of a half.
func negatedMean(g *Graph, x Value) Value {
	n, rows := x.Shape().Last(), x.Shape().Rows()
	high := 1
	for d := 1; d*d <= n; d++ {
		if n%d == 0 {
			high = d
		}
	}
	half := Reshape(g, Sigmoid(g, Scale(g, x, 0)), rows, n)
	sums := WeightedSum(g, Reshape(g, x, rows, high, n/high), Slice(g, half, 0, high))
	sum := WeightedSum(g, Reshape(g, sums, rows, n/high, 1), Slice(g, half, 0, n/high))
	all := WeightedSum(g, Reshape(g, half, rows, 1, n), sum) // an eighth of the sum
	return Reshape(g, Scale(g, all, -8/float32(n)), x.Shape()...)
}

// LayerNorm returns (x - mean(x)) / sqrt(var(x) + eps) * w over the innermost dimension, where the variance is the mean
// of the squared deviations. x: [..., n], w: [n].
func LayerNorm(g *Graph, x, w Value, eps float32) Value {
	return one(g.Add(LayerNormOp, NormAttrs{eps}, x, w))
}
