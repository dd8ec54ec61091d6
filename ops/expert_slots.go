package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// ExpertSlotsOp divides choices of experts between those that have a slot in a table and the rest.
var ExpertSlotsOp = Register(&Def{
	Name:    "expert_slots",
	Results: 3,
	Infer: func(n *Node) error {
		if len(n.In) != 1 && len(n.In) != 2 {
			return fmt.Errorf("%d inputs, want 1 or 2", len(n.In))
		}
		ids := n.In[0]
		if err := is(ids, "ids", tensor.I32, 2); err != nil {
			return err
		}
		if len(n.In) == 2 {
			if err := is(n.In[1], "table", tensor.I32, 1); err != nil {
				return err
			}
		}
		n.Out = []Type{ids.Type(), ids.Type(), {tensor.I32, tensor.Shape{ids.Shape().Elems()}}}
		return nil
	},
	Cases: func() []Case {
		table := make([]int32, 300)
		for e := range table {
			table[e] = int32(e%3 - 1)
		}
		return []Case{
			{Name: "one", Args: []Arg{expertIDs(1, 1, 1), i32([]int32{-1})}},
			{Name: "some", Args: []Arg{expertIDs(5, 3, 7), i32([]int32{-1, 0, 1, -1, 2, -1, 3})}},
			{Name: "many", Args: []Arg{expertIDs(37, 8, 300), i32(table)}},
			{Name: "none", Args: []Arg{partialIDs(5, 3, 7), i32([]int32{-1, 0, 1, -1, 2, -1, 3})}},
			{Name: "identity", Args: []Arg{partialIDs(9, 4, 11)}},
		}
	},
})

// ExpertSlots looks choices of experts up in a table of slots. ids: I32 [tokens, k], experts, each below the length of
// the table; table: I32 [experts], the slot of each expert, or a negative number if it has none. The zero Value stands
// for a table in which each expert has the slot of its own number. The results are
//   - slots, I32 [tokens, k]: the slot, or 0 for experts without one;
//   - rest, I32 [tokens, k]: the expert if it has no slot, else -1 minus its number, see [MulMatSomeExperts];
//   - from, I32 [tokens·k]: for choice i, counted over all tokens, i if it has a slot, else -1, see [ReplaceRows].
//
// A negative id is no expert: it has no slot, and rest has it as it is.
func ExpertSlots(g *Graph, ids, table Value) (slots, rest, from Value) {
	in := []Value{ids}
	if table.Valid() {
		in = append(in, table)
	}
	r := g.Add(ExpertSlotsOp, nil, in...)
	return r[0], r[1], r[2]
}

// partialIDs are expertIDs of which every third is none, as ExpertSlots has them in rest.
func partialIDs(tokens, k, experts int) Arg {
	a := expertIDs(tokens, k, experts)
	for i := 1; i < len(a.Ints); i += 3 {
		a.Ints[i] = -1 - a.Ints[i]
	}
	return a
}
