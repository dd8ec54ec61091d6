package ops

// AddOp is elementwise addition.
var AddOp = Register(&Def{Name: "add", Infer: inferBroadcast, Cases: binaryCases})

// Add returns x + y elementwise. y has x's shape or lacks leading dimensions of it, over which it is repeated.
func Add(g *Graph, x, y Value) Value { return one(g.Add(AddOp, nil, x, y)) }
