package ops

// LayerNormOp is layer normalization with a weight (Ba et al. 2016, arXiv 1607.06450). A bias is an addition of its
// own.
var LayerNormOp = Register(&Def{
	Name:  "layer_norm",
	Infer: inferNorm,
	Expand: func(g *Graph, in []Value, attrs any) []Value {
		x := in[0]
		return []Value{RMSNorm(g, Add(g, x, negatedMean(g, x)), in[1], attrs.(NormAttrs).Eps)}
	},
	// Not rows of two: what their elements differ by, and so the result, is as uncertain as their own last bits.
	Cases: func() []Case { return normCases(1e-5, 7) },
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
