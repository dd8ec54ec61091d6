package ops

// SwiGLUOp is the gated activation of most feed-forward blocks (Shazeer 2020, arXiv 2002.05202).
var SwiGLUOp = Register(&Def{
	Name: "swiglu",
	Infer: func(n *Node) error {
		if err := inferBroadcast(n); err != nil {
			return err
		}
		return sameShape(n)
	},
	Expand: func(g *Graph, in []Value, _ any) []Value {
		return []Value{Mul(g, SiLU(g, in[0]), in[1])}
	},
	Cases: func() []Case {
		return []Case{
			{Name: "1x1", Args: []Arg{f32(1, 1), f32(1, 1)}},
			{Name: "2x129", Args: []Arg{f32(2, 129), f32(2, 129)}},
			{Name: "3x768", Args: []Arg{f32(3, 768), f32(3, 768)}},
		}
	},
})

// SwiGLU returns silu(gate) * up elementwise. gate, up: [tokens, n_ff].
func SwiGLU(g *Graph, gate, up Value) Value { return one(g.Add(SwiGLUOp, nil, gate, up)) }
