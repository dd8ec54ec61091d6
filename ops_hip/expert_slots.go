package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	Register(Kernel{
		Name:  "expert_slots",
		Op:    ops.ExpertSlotsOp,
		Match: func(n *ops.Node, _ *Target) int { return matchIf(fits(n.Out[2].Shape[0]), matchPlain) },
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			total, experts := n.Out[2].Shape[0], 0
			a := Args{}.Ptr(n.In[0])
			if len(n.In) == 2 {
				experts = n.In[1].Shape()[0]
				a = a.Ptr(n.In[1])
			} else {
				a = a.NullPtr()
			}
			return one(Launch{Object: "expert_slots", Symbol: "expert_slots", Grid: [3]uint32{Blocks(total, 256)},
				Block: [3]uint32{256},
				Args:  a.Ptr(n.Result(0)).Ptr(n.Result(1)).Ptr(n.Result(2)).i32s(experts, total)})
		},
	})
	Register(Kernel{
		Name:  "count_experts",
		Op:    ops.CountExpertsOp,
		Match: func(n *ops.Node, _ *Target) int { return matchIf(fits(n.In[1].Shape().Elems()), matchPlain) },
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			experts := n.Out[0].Shape[0]
			return one(Launch{Object: "expert_slots", Symbol: "count_experts", Grid: [3]uint32{Blocks(experts, 256)},
				Block: [3]uint32{256},
				Args:  Args{}.Ptr(n.In[0]).Ptr(n.In[1]).i32s(experts, n.In[1].Shape().Elems())})
		},
	})
}
