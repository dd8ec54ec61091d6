package ops

import "github.com/hipengine/hipengine/tensor"

// RowsOp picks rows of an activation.
var RowsOp = Register(&Def{
	Name: "rows",
	Infer: func(n *Node) error {
		if err := arity(n, 2); err != nil {
			return err
		}
		x, rows := n.In[0], n.In[1]
		if err := is(x, "x", tensor.F32, 2); err != nil {
			return err
		}
		if err := is(rows, "rows", tensor.I32, 1); err != nil {
			return err
		}
		n.Out = []Type{{tensor.F32, tensor.Shape{rows.Shape()[0], x.Shape()[1]}}}
		return nil
	},
	Cases: func() []Case {
		return []Case{
			{Name: "last", Args: []Arg{f32(7, 33), i32([]int32{6})}},
			{Name: "some", Args: []Arg{f32(5, 256), i32([]int32{4, 0, 0, 2})}},
		}
	},
})

// Rows returns rows idx of x, in that order. x: [tokens, n], idx: I32 [rows], each in 0..tokens-1; result
// [rows, n]. Models use it to compute logits only for the tokens that need them.
func Rows(g *Graph, x, idx Value) Value { return one(g.Add(RowsOp, nil, x, idx)) }
