package ops

import "fmt"

// NormAttrs are the attributes of the normalizations.
type NormAttrs struct{ Eps float32 }

// RMSNormOp is root-mean-square normalization with a weight (Zhang and Sennrich 2019, arXiv 1910.07467).
var RMSNormOp = Register(&Def{
	Name:  "rms_norm",
	Infer: inferNorm,
	Cases: func() []Case { return normCases(1e-6, 1) },
})

// RMSNorm returns x / sqrt(mean(x²) + eps) * w over the innermost dimension. x: [..., n], w: [n]. The mean is
// taken in float32 or better.
func RMSNorm(g *Graph, x, w Value, eps float32) Value {
	return one(g.Add(RMSNormOp, NormAttrs{eps}, x, w))
}

// inferNorm checks x [..., n] and the weight w [n] of a normalization, whose result is as x.
func inferNorm(n *Node) error {
	if err := arity(n, 2); err != nil {
		return err
	}
	x, w := n.In[0], n.In[1]
	if err := floats(x, "x"); err != nil {
		return err
	}
	n.Out = []Type{x.Type()}
	return vector(w, "w", x.Shape().Last())
}

// normCases are those of a normalization with a weight; shortest is the length of the shortest row.
func normCases(eps float32, shortest int) []Case {
	var cs []Case
	for _, s := range [][]int{{1, shortest}, {1, 64}, {3, 67}, {5, 256}, {2, 3, 129}, {2, 1025}} {
		cs = append(cs, Case{Name: fmt.Sprint(s), Attrs: NormAttrs{eps}, Args: []Arg{f32(s...), f32(s[len(s)-1])}})
	}
	// Small inputs, where eps is most of the denominator.
	tiny := f32(3, 96)
	tiny.Gen = scaled(1e-4)
	return append(cs, Case{Name: "eps", Attrs: NormAttrs{1e-5}, Args: []Arg{tiny, f32(96)}})
}
