package ops

// GELUErfOp is the Gaussian error linear unit itself (Hendrycks and Gimpel 2016, arXiv 1606.08415), of which [GELUOp]
// is an approximation.
var GELUErfOp = Register(&Def{
	Name:  "gelu_erf",
	Infer: inferUnary,
	Cases: func() []Case {
		cs := unaryCases()
		far := f32(7, 129)
		far.Gen = scaled(4) // where the result is nearly 0 or x
		return append(cs, Case{Name: "far", Args: []Arg{far}})
	},
})

// GELUErf returns x·Φ(x) elementwise, Φ(x) = (1 + erf(x/√2))/2 being the normal distribution.
func GELUErf(g *Graph, x Value) Value { return one(g.Add(GELUErfOp, nil, x)) }

// GeGLUErf is GELUErf(gate) * up elementwise. gate, up: one shape, [..., n_ff].
func GeGLUErf(g *Graph, gate, up Value) Value { return Mul(g, GELUErf(g, gate), up) }
