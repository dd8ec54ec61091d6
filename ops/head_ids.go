package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// HeadIDsAttrs are the attributes of [HeadIDsOp].
type HeadIDsAttrs struct{ Heads int }

// HeadIDsOp numbers the heads of each token.
var HeadIDsOp = Register(&Def{
	Name: "head_ids",
	Infer: func(n *Node) error {
		if err := arity(n, 1); err != nil {
			return err
		}
		pos, a := n.In[0], n.Attrs.(HeadIDsAttrs)
		if err := is(pos, "pos", tensor.I32, 1); err != nil {
			return err
		}
		if a.Heads < 1 {
			return fmt.Errorf("%d heads", a.Heads)
		}
		n.Out = []Type{{tensor.I32, tensor.Shape{pos.Shape()[0], a.Heads}}}
		return nil
	},
	Cases: func() []Case {
		return []Case{
			{Name: "one", Args: []Arg{i32([]int32{7})}, Attrs: HeadIDsAttrs{1}},
			{Name: "many", Args: []Arg{i32([]int32{0, 1, 2, 5, 9})}, Attrs: HeadIDsAttrs{77}},
		}
	},
})

// HeadIDs returns I32 [tokens, heads] with ids[t][h] = h, for pos, I32 [tokens], of which the number alone counts. With
// these ids [MulMatExperts] multiplies each head with a matrix of its own.
func HeadIDs(g *Graph, pos Value, heads int) Value {
	return one(g.Add(HeadIDsOp, HeadIDsAttrs{heads}, pos))
}
