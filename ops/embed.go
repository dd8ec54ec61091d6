package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// EmbedOp looks up rows of a weight matrix.
var EmbedOp = Register(&Def{
	Name: "embed",
	Infer: func(n *Node) error {
		if err := arity(n, 2); err != nil {
			return err
		}
		table, ids := n.In[0], n.In[1]
		if err := is(table, "table", table.DType(), 2); err != nil {
			return err
		}
		if err := is(ids, "ids", tensor.I32, 1); err != nil {
			return err
		}
		n.Out = []Type{{tensor.F32, tensor.Shape{ids.Shape()[0], table.Shape()[1]}}}
		return nil
	},
	Cases: func() []Case {
		var cs []Case
		for _, f := range quantTypes() {
			cs = append(cs, Case{Name: f.Name, Args: []Arg{
				{Leaf: Weight, DType: f.DType, Shape: tensor.Shape{9, 256}}, i32([]int32{0, 8, 3, 3, 1})}})
		}
		for _, n := range []int{1, 67} { // a number for each position, and rows of no block's length
			cs = append(cs, Case{Name: fmt.Sprintf("F32/n%d", n), Args: []Arg{
				{Leaf: Weight, DType: tensor.F32, Shape: tensor.Shape{9, n}}, i32([]int32{4, 0, 8})}})
		}
		return cs
	},
})

// Embed returns the rows of table named by ids, as F32. table: [vocab, n_embd] of any weight type, ids: I32
// [tokens], each in 0..vocab-1; result [tokens, n_embd].
func Embed(g *Graph, table, ids Value) Value { return one(g.Add(EmbedOp, nil, table, ids)) }
