package ops

// LayerNormOp is layer normalization with a weight and, as a third operand, a bias or none (Ba et al. 2016, arXiv
// 1607.06450).
var LayerNormOp = Register(&Def{
	Name: "layer_norm",
	Infer: func(n *Node) error {
		weighted := *n
		weighted.In = n.In[:min(2, len(n.In))]
		if err := inferNorm(&weighted); err != nil {
			return err
		}
		n.Out = weighted.Out
		if len(n.In) == 2 {
			return nil
		}
		if err := arity(n, 3); err != nil {
			return err
		}
		return vector(n.In[2], "bias", n.In[0].Shape().Last())
	},
	Expand: func(g *Graph, in []Value, attrs any) []Value {
		x := in[0]
		y := RMSNorm(g, Add(g, x, negatedMean(g, x)), in[1], attrs.(NormAttrs).Eps)
		if len(in) == 3 {
			y = Add(g, y, in[2])
		}
		return []Value{y}
	},
	// Not rows of two: what their elements differ by, and so the result, is as uncertain as their own last bits.
	Cases: func() []Case {
		cs := normCases(1e-5, 7)
		for _, c := range cs {
			c.Name += "/bias"
			c.Args = append(c.Args[:2:2], f32(c.Args[1].Shape...))
			cs = append(cs, c)
		}
		return cs
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

// LayerNorm returns (x - mean(x)) / sqrt(var(x) + eps) * w + bias over the innermost dimension, where the variance is
// the mean of the squared deviations. x: [..., n]; w and bias: [n], bias the zero Value for none.
func LayerNorm(g *Graph, x, w, bias Value, eps float32) Value {
	in := []Value{x, w}
	if bias.Valid() {
		in = append(in, bias)
	}
	return one(g.Add(LayerNormOp, NormAttrs{eps}, in...))
}
