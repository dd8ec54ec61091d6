package opship

import "github.com/hipengine/hipengine/ops"

// maxChannelDelta is the widest head of channel_delta_net.hip.
const maxChannelDelta = 128

func init() {
	Register(Kernel{
		Name: "channel_delta_net_f32",
		Op:   ops.ChannelDeltaNetOp,
		Match: func(n *ops.Node, _ *Target) int {
			q, v := n.In[0].Shape(), n.In[2].Shape()
			return matchIf(isF32(n.In[5]) && q[2] <= maxChannelDelta && fits(v.Elems(), q.Elems()) &&
				n.In[7].Shape()[0] < maxGridYZ, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			q, v, sequences := n.In[0].Shape(), n.In[2].Shape(), n.In[7].Shape()[0]
			args := Args{}
			for _, in := range n.In[:6] { // q, k, v, g, beta, state
				args = args.Ptr(in)
			}
			args = args.Ptr(n.Result(0)).Ptr(n.In[6]).Ptr(n.In[7]).i32s(sequences, q[0], q[1], q[2], v[2]).
				F32(n.Attrs.(ops.ChannelDeltaNetAttrs).Scale)
			symbol := "channel_delta_net_f32"
			if kept := ops.Kept(n.In[7]); kept > 0 {
				symbol, args = symbol+"_kept", args.i32s(kept)
			}
			return one(Launch{Object: "channel_delta_net", Symbol: symbol,
				Grid: [3]uint32{uint32(v[1]) * Blocks(v[2], 32), uint32(sequences + 1)}, Block: [3]uint32{128}, Args: args})
		},
	})
}
