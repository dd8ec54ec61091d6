package ops

// SoftplusOp is the smooth rectifier.
var SoftplusOp = Register(&Def{Name: "softplus", Infer: inferUnary, Cases: unaryCases})

// Softplus returns ln(1 + exp(x)) elementwise; x itself above 20, where both agree in float32.
func Softplus(g *Graph, x Value) Value { return one(g.Add(SoftplusOp, nil, x)) }
