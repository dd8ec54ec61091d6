package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	Register(Kernel{
		Name: "slice_f32",
		Op:   ops.SliceOp,
		Match: func(n *ops.Node, _ *Target) int {
			s := n.In[0].Shape()
			return matchIf(fits(s.Rows(), s.Last()) && cover(s.Last(), 256) <= maxGridYZ, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s, a := n.In[0].Shape(), n.Attrs.(ops.SliceAttrs)
			cols := a.Hi - a.Lo
			return one(Launch{Object: "slice", Symbol: "slice_f32",
				Grid: [3]uint32{uint32(s.Rows()), Blocks(cols, 256)}, Block: [3]uint32{256},
				Args: Args{}.Ptr(n.In[0]).Ptr(n.Result(0)).i32s(s.Last(), a.Lo, cols)})
		},
	})
}
