package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	Register(Kernel{
		Name: "weighted_sum_f32",
		Op:   ops.WeightedSumOp,
		Match: func(n *ops.Node, _ *Target) int {
			s := n.In[0].Shape()
			return matchIf(fits(s.Rows(), s[2]) && cover(s[2], 256) <= maxGridYZ, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s := n.In[0].Shape()
			return one(Launch{Object: "weighted_sum", Symbol: "weighted_sum_f32",
				Grid: [3]uint32{uint32(s[0]), Blocks(s[2], 256)}, Block: [3]uint32{256},
				Args: Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.Result(0)).i32s(s[1], s[2])})
		},
	})
}
