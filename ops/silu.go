package ops

// SiLUOp is the sigmoid-weighted linear unit.
var SiLUOp = Register(&Def{Name: "silu", Infer: inferUnary, Cases: unaryCases})

// SiLU returns x * sigmoid(x) elementwise.
func SiLU(g *Graph, x Value) Value { return one(g.Add(SiLUOp, nil, x)) }
