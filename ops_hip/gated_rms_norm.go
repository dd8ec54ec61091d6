package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	registerNorm(ops.GatedRMSNormOp, false, func(n *ops.Node) Args {
		return Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.In[2]).Ptr(n.Result(0))
	})
}
