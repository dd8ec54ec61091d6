package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	args := func(n *ops.Node) Args {
		a := Args{}.Ptr(n.In[0]).Ptr(n.In[1])
		if len(n.In) == 3 {
			a = a.Ptr(n.In[2])
		} else {
			a = a.NullPtr()
		}
		return a.Ptr(n.Result(0))
	}
	registerNorm(ops.LayerNormOp, true, args, "_f32_row")
	registerNormOfAny(ops.LayerNormOp, args)
}
