package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	Register(Kernel{
		Name: "concat_f32",
		Op:   ops.ConcatOp,
		Match: func(n *ops.Node, _ *Target) int {
			s := n.Out[0].Shape
			return matchIf(fits(s.Rows(), s.Last()) && cover(s.Last(), 256) <= maxGridYZ, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			a, b, s := n.In[0].Shape(), n.In[1].Shape(), n.Out[0].Shape
			return one(Launch{Object: "concat", Symbol: "concat_f32",
				Grid: [3]uint32{uint32(s.Rows()), Blocks(s.Last(), 256)}, Block: [3]uint32{256},
				Args: Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.Result(0)).i32s(a.Last(), b.Last())})
		},
	})
}
