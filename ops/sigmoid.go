package ops

// SigmoidOp is the logistic function.
var SigmoidOp = Register(&Def{Name: "sigmoid", Infer: inferUnary, Cases: unaryCases})

// Sigmoid returns 1 / (1 + exp(-x)) elementwise.
func Sigmoid(g *Graph, x Value) Value { return one(g.Add(SigmoidOp, nil, x)) }
