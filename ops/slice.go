package ops

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/tensor"
)

// SliceAttrs are the attributes of [SliceOp].
type SliceAttrs struct{ Lo, Hi int }

// SliceOp copies a range of the innermost dimension.
var SliceOp = Register(&Def{
	Name: "slice",
	Infer: func(n *Node) error {
		if err := arity(n, 1); err != nil {
			return err
		}
		x, a := n.In[0], n.Attrs.(SliceAttrs)
		if err := floats(x, "x"); err != nil {
			return err
		}
		if a.Lo < 0 || a.Hi <= a.Lo || a.Hi > x.Shape().Last() {
			return fmt.Errorf("range [%d,%d) of %d elements", a.Lo, a.Hi, x.Shape().Last())
		}
		s := slices.Clone(x.Shape())
		s[len(s)-1] = a.Hi - a.Lo
		n.Out = []Type{{tensor.F32, s}}
		return nil
	},
	Cases: func() []Case {
		return []Case{
			{Name: "head", Args: []Arg{f32(3, 70)}, Attrs: SliceAttrs{0, 5}},
			{Name: "middle", Args: []Arg{f32(2, 3, 65)}, Attrs: SliceAttrs{1, 64}},
			{Name: "tail", Args: []Arg{f32(1, 300)}, Attrs: SliceAttrs{44, 300}},
		}
	},
})

// Slice returns elements lo to hi-1 of the innermost dimension of x: [..., n] to [..., hi-lo].
func Slice(g *Graph, x Value, lo, hi int) Value { return one(g.Add(SliceOp, SliceAttrs{lo, hi}, x)) }
