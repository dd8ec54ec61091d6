package ops

// GeGLUOp is the gated activation of the Gemma models.
var GeGLUOp = Register(&Def{
	Name:  "geglu",
	Infer: inferGated,
	Expand: func(g *Graph, in []Value, _ any) []Value {
		return []Value{Mul(g, GELU(g, in[0]), in[1])}
	},
	Cases: gatedCases,
})

// GeGLU returns gelu(gate) * up elementwise. gate, up: one shape, [..., n_ff].
func GeGLU(g *Graph, gate, up Value) Value { return one(g.Add(GeGLUOp, nil, gate, up)) }
