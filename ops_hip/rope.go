package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	Register(Kernel{
		Name: "rope_f32",
		Op:   ops.RoPEOp,
		Match: func(n *ops.Node, _ *Target) int {
			s := n.In[0].Shape()
			return matchIf(fits(s[0], s[1]*s[2]) && cover(s[1]*s[2], 256) <= maxGridYZ, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s, a := n.In[0].Shape(), n.Attrs.(ops.RoPEAttrs)
			half := a.NRot / 2
			return one(Launch{Object: "rope", Symbol: "rope_f32_" + a.Pairing.String(),
				Grid: [3]uint32{uint32(s[0]), Blocks(s[1]*(s[2]-half), 256)}, Block: [3]uint32{256},
				Args: Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.In[2]).Ptr(n.Result(0)).i32s(s[1], s[2],
					half).F32(a.MScale)})
		},
	})
}
