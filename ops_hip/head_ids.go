package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	Register(Kernel{
		Name:  "head_ids",
		Op:    ops.HeadIDsOp,
		Match: func(n *ops.Node, _ *Target) int { return matchIf(fits(n.Out[0].Shape.Elems()), matchPlain) },
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			total := n.Out[0].Shape.Elems()
			return one(Launch{Object: "head_ids", Symbol: "head_ids", Grid: [3]uint32{Blocks(total, 256)},
				Block: [3]uint32{256}, Args: Args{}.Ptr(n.Result(0)).i32s(n.Attrs.(ops.HeadIDsAttrs).Heads, total)})
		},
	})
}
