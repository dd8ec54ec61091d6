package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// ReshapeAttrs are the attributes of [ReshapeOp]; an array keeps them comparable.
type ReshapeAttrs struct {
	Rank int
	Dims [4]int
}

// ReshapeOp gives a value another shape. It is a view: no backend has a kernel for it.
var ReshapeOp = Register(&Def{
	Name: "reshape",
	View: true,
	Infer: func(n *Node) error {
		if err := arity(n, 1); err != nil {
			return err
		}
		a := n.Attrs.(ReshapeAttrs)
		s := tensor.Shape(a.Dims[:a.Rank])
		if x := n.In[0].Shape(); s.Elems() != x.Elems() {
			return fmt.Errorf("%v has %d elements, %v has %d", s, s.Elems(), x, x.Elems())
		}
		n.Out = []Type{{n.In[0].DType(), s}}
		if n.In[0].DType() == tensor.I32 {
			return nil
		}
		return floats(n.In[0], "x")
	},
	Cases: func() []Case {
		return []Case{{Name: "6x4to2x3x4", Args: []Arg{f32(6, 4)}, Attrs: ReshapeAttrs{3, [4]int{2, 3, 4}}}}
	},
})

// Reshape returns x, F32 or I32, with the given dimensions, at most four, of the same number of elements in the same order: x
// itself where it has them.
func Reshape(g *Graph, x Value, dims ...int) Value {
	a := ReshapeAttrs{Rank: len(dims)}
	if copy(a.Dims[:], dims) < len(dims) {
		g.Fail(fmt.Errorf("ops: reshape: %d dimensions, at most 4", len(dims)))
		return Value{}
	}
	if x.Valid() && (x.DType() == tensor.F32 || x.DType() == tensor.I32) && x.Shape().Equal(dims) {
		return x
	}
	return one(g.Add(ReshapeOp, a, x))
}
