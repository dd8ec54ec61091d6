package opship

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// cacheTypes are the types of KV caches, by their part of kernel names.
var cacheTypes = map[tensor.DType]string{tensor.F32: "f32", tensor.F16: "f16", tensor.BF16: "bf16", quant.Q8_0: "q8_0"}

func init() {
	Register(Kernel{
		Name: "kv_append",
		Op:   ops.KVAppendOp,
		Match: func(n *ops.Node, _ *Target) int {
			c, x := n.In[0].Shape(), n.In[1].Shape()
			_, ok := cacheTypes[n.In[0].DType()]
			return matchIf(ok && fits(c[0]*c[1], x[0], x[1]*x[2], n.In[4].Shape().Elems()) &&
				cover(x[1]*x[2], 256) <= maxGridYZ, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			c, x := n.In[0].Shape(), n.In[1].Shape()
			row := x[1] * x[2]
			return one(Launch{Object: "kv_append", Symbol: "kv_append_" + cacheTypes[n.In[0].DType()],
				Grid: [3]uint32{uint32(x[0]), Blocks(row, 256)}, Block: [3]uint32{256},
				Args: Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.In[2]).Ptr(n.In[3]).Ptr(n.In[4]).i32s(row, c[1],
					n.In[4].Shape()[1])})
		},
	})
}
