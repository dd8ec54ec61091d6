package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	Register(Kernel{
		Name:  "swiglu_f32",
		Op:    ops.SwiGLUOp,
		Match: func(n *ops.Node, _ *Target) int { return matchIf(fits(n.In[0].Shape().Elems()), matchPlain) },
		emits: func(n *ops.Node, _ int, f packForm) bool {
			return f.kind == packQ24 && n.In[0].Shape().Elems() == f.rows*f.k // blocks of codes are of 32
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			elems := n.In[0].Shape().Elems()
			return one(Launch{Object: "swiglu", Symbol: "swiglu_f32", Grid: [3]uint32{Blocks(elems, 256)},
				Block: [3]uint32{256},
				Args:  Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.Result(0)).emitted(n).U32(uint32(elems))})
		},
	})
}
