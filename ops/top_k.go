package ops

import (
	"fmt"
	"math/rand/v2"

	"github.com/hipengine/hipengine/tensor"
)

// TopKAttrs are the attributes of [TopKOp].
type TopKAttrs struct{ K int }

// TopKOp finds the largest elements of each row; with K = 1 it is the argmax.
var TopKOp = Register(&Def{
	Name:    "top_k",
	Results: 2,
	Infer: func(n *Node) error {
		if err := arity(n, 1); err != nil {
			return err
		}
		x, a := n.In[0], n.Attrs.(TopKAttrs)
		if err := is(x, "x", tensor.F32, 2); err != nil {
			return err
		}
		s := x.Shape()
		if a.K < 1 || a.K > s[1] {
			return fmt.Errorf("the %d largest of %d", a.K, s[1])
		}
		picked := tensor.Shape{s[0], a.K}
		n.Out = []Type{{tensor.I32, picked}, {tensor.F32, picked}}
		return nil
	},
	Cases: func() []Case {
		var cs []Case
		for _, c := range []struct{ rows, n, k int }{{1, 1, 1}, {3, 67, 1}, {2, 9001, 1}, {1, 64, 64}, {3, 67, 5},
			{2, 300, 40}, {1, 9001, 64}} {
			cs = append(cs, Case{Name: fmt.Sprintf("r%dn%dk%d", c.rows, c.n, c.k), Args: []Arg{f32(c.rows, c.n)},
				Attrs: TopKAttrs{c.k}})
		}
		// Few distinct elements, zeros of both signs among them: the order among equals decides.
		ties := f32(2, 5000)
		ties.Gen = func(r *rand.Rand) float32 { return []float32{-1, 0, 0, 0, 1}[r.IntN(5)] * float32(1-2*r.IntN(2)) }
		for _, k := range []int{1, 64} {
			cs = append(cs, Case{Name: fmt.Sprintf("ties_k%d", k), Args: []Arg{ties}, Attrs: TopKAttrs{k}})
		}
		return cs
	},
})

// TopK returns the indexes, I32 [rows, k], and values, F32 [rows, k], of the k largest elements of each row of x, F32
// [rows, n], the largest first and the lower index first among equals; both zeros are equal. A row with an element
// that is not finite has no order: all its indexes are -1-i, where i is the index of the first such element, and all
// its values are that element.
func TopK(g *Graph, x Value, k int) (ids, values Value) {
	r := g.Add(TopKOp, TopKAttrs{k}, x)
	return r[0], r[1]
}
