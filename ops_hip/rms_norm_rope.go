package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	Register(Kernel{
		Name: "rms_norm_rope_f32",
		Op:   ops.RMSNormRoPEOp,
		Match: func(n *ops.Node, _ *Target) int {
			s := n.In[0].Shape()
			return matchIf(s.Last()%4 == 0 && s.Last() <= normWave && fits(s.Rows()), matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s, a := n.In[0].Shape(), n.Attrs.(ops.RMSNormRoPEAttrs)
			args := Args{}
			for _, v := range n.In {
				args = args.Ptr(v)
			}
			return one(Launch{Object: "rms_norm_rope", Symbol: "rms_norm_rope_f32_" + a.RoPE.Pairing.String(),
				Grid: [3]uint32{Blocks(s.Rows(), 4)}, Block: [3]uint32{128},
				Args: args.Ptr(n.Result(0)).i32s(s.Rows(), s[1], s[2], a.RoPE.NRot/2).F32(a.Norm.Eps).
					F32(a.RoPE.MScale)})
		},
	})
}
