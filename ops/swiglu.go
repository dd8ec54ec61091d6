package ops

// SwiGLUOp is the gated activation of most feed-forward blocks (Shazeer 2020, arXiv 2002.05202).
var SwiGLUOp = Register(&Def{
	Name:  "swiglu",
	Infer: inferGated,
	Expand: func(g *Graph, in []Value, _ any) []Value {
		return []Value{Mul(g, SiLU(g, in[0]), in[1])}
	},
	Cases: gatedCases,
})

// SwiGLU returns silu(gate) * up elementwise. gate, up: one shape, [..., n_ff].
func SwiGLU(g *Graph, gate, up Value) Value { return one(g.Add(SwiGLUOp, nil, gate, up)) }
