package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// WeightedSumOp adds rows with weights.
var WeightedSumOp = Register(&Def{
	Name: "weighted_sum",
	Infer: func(n *Node) error {
		if err := arity(n, 2); err != nil {
			return err
		}
		x, w := n.In[0], n.In[1]
		if err := is(x, "x", tensor.F32, 3); err != nil {
			return err
		}
		if err := is(w, "w", tensor.F32, 2); err != nil {
			return err
		}
		s := x.Shape()
		if !w.Shape().Equal(s[:2]) {
			return fmt.Errorf("weights %v for x %v", w.Shape(), s)
		}
		n.Out = []Type{{tensor.F32, tensor.Shape{s[0], s[2]}}}
		return nil
	},
	Cases: func() []Case {
		return []Case{
			{Name: "one", Args: []Arg{f32(1, 1, 1), f32(1, 1)}},
			{Name: "gate", Args: []Arg{f32(5, 1, 67), f32(5, 1)}},
			{Name: "k8", Args: []Arg{f32(3, 8, 256), f32(3, 8)}},
		}
	},
})

// WeightedSum returns y[t] = Σ_j w[t][j]·x[t][j]. x: F32 [tokens, k, n], w: F32 [tokens, k]; result F32 [tokens,
// n]. It combines the outputs of experts; with k = 1 it scales rows.
func WeightedSum(g *Graph, x, w Value) Value { return one(g.Add(WeightedSumOp, nil, x, w)) }
