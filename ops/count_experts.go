package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// CountExpertsOp counts how often experts are chosen.
var CountExpertsOp = Register(&Def{
	Name:    "count_experts",
	InPlace: map[int]int{0: 0},
	Infer: func(n *Node) error {
		if err := arity(n, 2); err != nil {
			return err
		}
		counts, ids := n.In[0], n.In[1]
		if err := is(counts, "counts", tensor.I32, 2); err != nil {
			return err
		}
		if counts.Shape()[1] != 1 {
			return fmt.Errorf("counts are %v, want one for each expert", counts.Shape())
		}
		n.Out = []Type{counts.Type()}
		return is(ids, "ids", tensor.I32, 2)
	},
	Cases: func() []Case {
		counts := func(n int) Arg {
			a := Arg{Leaf: State, DType: tensor.I32, Shape: tensor.Shape{n, 1}, Ints: make([]int32, n)}
			for i := range a.Ints {
				a.Ints[i] = int32(3 * i)
			}
			return a
		}
		return []Case{
			{Name: "one", Args: []Arg{counts(1), expertIDs(1, 1, 1)}},
			{Name: "some", Args: []Arg{counts(7), partialIDs(5, 3, 7)}},
			{Name: "many", Args: []Arg{counts(300), partialIDs(130, 8, 300)}},
		}
	},
})

// CountExperts adds to counts, a state I32 [experts, 1], how often each expert is among ids, I32 [tokens, k], and
// returns the updated counts. -1-e stands for expert e too, as in the rest of [ExpertSlots]. Counts wrap around.
func CountExperts(g *Graph, counts, ids Value) Value {
	return one(g.Add(CountExpertsOp, nil, counts, ids))
}
