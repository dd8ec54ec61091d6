package ops

// MulOp is elementwise multiplication.
var MulOp = Register(&Def{Name: "mul", Infer: inferBroadcast, Cases: binaryCases})

// Mul returns x * y elementwise. y has x's shape or lacks leading dimensions of it, over which it is repeated.
func Mul(g *Graph, x, y Value) Value { return one(g.Add(MulOp, nil, x, y)) }
