package opship

import "github.com/hipengine/hipengine/ops"

// Sizes of the kernel of bidirectional_attention.hip.
const (
	bidirectionalTokens  = 16 // of a block
	bidirectionalColumns = 64 // of values
	bidirectionalKeyDim  = 256
)

func init() {
	const name = "bidirectional_attention_f32"
	Register(Kernel{
		Name: name,
		Op:   ops.BidirectionalAttentionOp,
		Match: func(n *ops.Node, _ *Target) int {
			q, v := n.In[0].Shape(), n.In[2].Shape()
			return matchIf(q[2]%4 == 0 && q[2] <= bidirectionalKeyDim && max(q[1], v[2]) <= maxGridYZ &&
				fits(q[0]+n.Attrs.(ops.BidirectionalAttentionAttrs).Reach+bidirectionalTokens), matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			q, v, a := n.In[0].Shape(), n.In[2].Shape(), n.Attrs.(ops.BidirectionalAttentionAttrs)
			var args Args
			for _, in := range n.In {
				args = args.Ptr(in)
			}
			return one(Launch{Object: "bidirectional_attention", Symbol: name,
				Grid:  [3]uint32{Blocks(q[0], bidirectionalTokens), uint32(q[1]), Blocks(v[2], bidirectionalColumns)},
				Block: [3]uint32{128},
				Args:  args.Ptr(n.Result(0)).i32s(q[0], q[1], v[1], q[2], v[2], a.Reach).F32(a.Scale)})
		},
	})
}
