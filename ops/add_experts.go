package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// AddExpertsOp adds the biases of the experts that each token chose.
var AddExpertsOp = Register(&Def{
	Name: "add_experts",
	Infer: func(n *Node) error {
		if err := arity(n, 3); err != nil {
			return err
		}
		x, bias, ids := n.In[0], n.In[1], n.In[2]
		if err := is(x, "x", tensor.F32, 3); err != nil {
			return err
		}
		if err := is(bias, "bias", tensor.F32, 2); err != nil {
			return err
		}
		s := x.Shape()
		if err := experts(ids, s[0]); err != nil {
			return err
		}
		if ids.Shape()[1] != s[1] || bias.Shape()[1] != s[2] {
			return fmt.Errorf("x %v, bias %v and ids %v do not fit together", s, bias.Shape(), ids.Shape())
		}
		n.Out = []Type{x.Type()}
		return nil
	},
	Cases: func() []Case {
		return []Case{
			{Name: "one", Args: []Arg{f32(1, 1, 1), f32(1, 1), expertIDs(1, 1, 1)}},
			{Name: "some", Args: []Arg{f32(5, 3, 67), f32(7, 67), expertIDs(5, 3, 7)}},
		}
	},
})

// AddExperts returns y[t][j] = x[t][j] + bias[ids[t][j]]. x: F32 [tokens, k, n], bias: F32 [experts, n], ids: I32
// [tokens, k].
func AddExperts(g *Graph, x, bias, ids Value) Value {
	return one(g.Add(AddExpertsOp, nil, x, bias, ids))
}
