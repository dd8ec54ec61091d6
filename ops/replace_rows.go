package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// ReplaceRowsOp replaces rows of an activation by given ones.
var ReplaceRowsOp = Register(&Def{
	Name: "replace_rows",
	Infer: func(n *Node) error {
		if err := arity(n, 3); err != nil {
			return err
		}
		x, rows, ids := n.In[0], n.In[1], n.In[2]
		if err := is(x, "x", tensor.F32, 2); err != nil {
			return err
		}
		if err := is(rows, "rows", tensor.F32, 2); err != nil {
			return err
		}
		if rows.Shape()[1] != x.Shape()[1] {
			return fmt.Errorf("rows have %d elements, those of x %d", rows.Shape()[1], x.Shape()[1])
		}
		if err := ints(ids, "ids", x.Shape()[0]); err != nil {
			return err
		}
		n.Out = []Type{{tensor.F32, x.Shape()}}
		return nil
	},
	Cases: func() []Case {
		return []Case{
			{Name: "some", Args: []Arg{f32(5, 33), f32(3, 33), i32([]int32{-1, 2, 0, -1, 2})}},
			{Name: "all", Args: []Arg{f32(4, 256), f32(4, 256), i32([]int32{3, 2, 1, 0})}},
			{Name: "none", Args: []Arg{f32(2, 300), f32(1, 300), i32([]int32{-1, -7})}},
			{Name: "one", Args: []Arg{f32(1, 1), f32(2, 1), i32([]int32{1})}},
		}
	},
})

// ReplaceRows returns x with some rows replaced: row t of the result is x[t] where ids[t] is negative, else
// rows[ids[t]]. x: F32 [tokens, n], rows: F32 [m, n], ids: I32 [tokens], each below m; result [tokens, n]. Models use
// it where embeddings take the place of tokens.
func ReplaceRows(g *Graph, x, rows, ids Value) Value {
	return one(g.Add(ReplaceRowsOp, nil, x, rows, ids))
}
