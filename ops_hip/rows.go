package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	Register(Kernel{
		Name: "rows_f32",
		Op:   ops.RowsOp,
		Match: func(n *ops.Node, _ *Target) int {
			s := n.In[0].Shape()
			return matchIf(fits(s[0], s[1], n.In[1].Shape()[0]) && cover(s[1], 256) <= maxGridYZ, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s, rows := n.In[0].Shape(), n.In[1].Shape()[0]
			return one(Launch{Object: "rows", Symbol: "rows_f32", Grid: [3]uint32{uint32(rows), Blocks(s[1], 256)},
				Block: [3]uint32{256},
				Args:  Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.Result(0)).i32s(s[0], s[1])})
		},
	})
}
