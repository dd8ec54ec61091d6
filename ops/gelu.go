package ops

// GELUOp is the Gaussian error linear unit in its tanh form (Hendrycks and Gimpel 2016, arXiv 1606.08415).
var GELUOp = Register(&Def{Name: "gelu", Infer: inferUnary, Cases: unaryCases})

// GELU returns 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))) elementwise.
func GELU(g *Graph, x Value) Value { return one(g.Add(GELUOp, nil, x)) }
