package ops

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/tensor"
)

// ConcatOp puts the rows of two operands side by side.
var ConcatOp = Register(&Def{
	Name: "concat",
	Infer: func(n *Node) error {
		if err := arity(n, 2); err != nil {
			return err
		}
		a, b := n.In[0], n.In[1]
		if err := floats(a, "a"); err != nil {
			return err
		}
		if err := floats(b, "b"); err != nil {
			return err
		}
		s := slices.Clone(a.Shape())
		last := len(s) - 1
		if len(s) == 0 || len(b.Shape()) != len(s) || !s[:last].Equal(b.Shape()[:last]) {
			return fmt.Errorf("a is %v and b %v: they may differ in the innermost dimension alone", s, b.Shape())
		}
		s[last] += b.Shape().Last()
		n.Out = []Type{{tensor.F32, s}}
		return nil
	},
	Cases: func() []Case {
		return []Case{
			{Name: "one", Args: []Arg{f32(1, 1), f32(1, 1)}},
			{Name: "odd", Args: []Arg{f32(3, 70), f32(3, 5)}},
			{Name: "heads", Args: []Arg{f32(2, 3, 512), f32(2, 3, 64)}},
		}
	},
})

// Concat returns the elements of a followed by those of b along the innermost dimension: [..., n] and [..., m] to
// [..., n+m].
func Concat(g *Graph, a, b Value) Value { return one(g.Add(ConcatOp, nil, a, b)) }
