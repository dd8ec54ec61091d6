package opship

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
)

// scanWidths are the widths of a head's state that kernels are compiled for; narrower ones are padded.
var scanWidths = []int{128, 256}

func init() {
	Register(Kernel{
		Name: "ssm_scan_f32",
		Op:   ops.SSMScanOp,
		Match: func(n *ops.Node, _ *Target) int {
			x, s, sequences := n.In[0].Shape(), n.In[5].Shape(), n.In[7].Shape()[0]
			return matchIf(isF32(n.In[5]) && atLeast(scanWidths, s[3]) > 0 && fits(x.Elems(), s[1]*s[2]) &&
				sequences < maxGridYZ, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s, sequences := n.In[5].Shape(), n.In[7].Shape()[0]
			args := Args{}
			for _, in := range n.In[:6] { // x, dt, bias, a, d, state
				args = args.Ptr(in)
			}
			args = args.Ptr(n.Result(0)).Ptr(n.In[6]).Ptr(n.In[7]).i32s(sequences, n.In[0].Shape()[0], s[1], s[2], s[3],
				n.Attrs.(ops.SSMScanAttrs).Groups)
			form := ""
			if kept := ops.Kept(n.In[7]); kept > 0 {
				form, args = "kept_", args.i32s(kept)
			}
			return one(Launch{Object: "ssm_scan",
				Symbol: fmt.Sprintf("ssm_scan_f32_%s%d", form, atLeast(scanWidths, s[3])),
				Grid:   [3]uint32{uint32(s[1]) * Blocks(s[2], 32), uint32(sequences + 1)}, Block: [3]uint32{128}, Args: args})
		},
	})
}
