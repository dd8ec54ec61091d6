package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	Register(Kernel{
		Name: "embed",
		Op:   ops.EmbedOp,
		Match: func(n *ops.Node, _ *Target) int {
			s := n.In[0].Shape()
			_, ok := weightTypeOf(n.In[0])
			return matchIf(ok && fits(s[0], s[1], n.In[1].Shape()[0]) && cover(s[1], 2048) <= maxGridYZ, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s, tokens := n.In[0].Shape(), n.In[1].Shape()[0]
			w, _ := weightTypeOf(n.In[0]) // Match has looked
			return one(Launch{Object: "embed", Symbol: "embed_" + w.kernel,
				Grid: [3]uint32{uint32(tokens), Blocks(s[1], 2048)}, Block: [3]uint32{256},
				Args: Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.Result(0)).i32s(s[0], s[1])})
		},
	})
}
