package opship

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
)

// deltaSerial are the widths of key heads that the kernels which go token by token are compiled for; narrower ones are
// padded.
var deltaSerial = []int{16, 32, 64, 128, 256}

// atLeast returns the first of the rising sizes that is n or more, 0 if none is.
func atLeast(sizes []int, n int) int {
	for _, s := range sizes {
		if s >= n {
			return s
		}
	}
	return 0
}

func init() {
	match := func(n *ops.Node) bool {
		q, v, sequences := n.In[0].Shape(), n.In[2].Shape(), n.In[7].Shape()[0]
		return isF32(n.In[5]) && atLeast(deltaSerial, q[2]) > 0 && fits(v.Elems(), q.Elems()) && sequences < maxGridYZ
	}
	launch := func(n *ops.Node, form string) ([]Launch, error) {
		q, v, a := n.In[0].Shape(), n.In[2].Shape(), n.Attrs.(ops.GatedDeltaNetAttrs)
		tiled := 0
		if a.Tiled {
			tiled = 1
		}
		args := Args{}
		for _, in := range n.In[:6] { // q, k, v, g, beta, state
			args = args.Ptr(in)
		}
		args = args.Ptr(n.Result(0)).Ptr(n.In[6]).Ptr(n.In[7]).i32s(n.In[7].Shape()[0], q[0], q[1], v[1], q[2], v[2],
			tiled).F32(a.Scale)
		if kept := ops.Kept(n.In[7]); kept > 0 {
			args = args.i32s(kept)
		}
		return one(Launch{Object: "gated_delta_net",
			Symbol: fmt.Sprintf("gated_delta_net_f32_%s%d", form, atLeast(deltaSerial, q[2])),
			Grid:   [3]uint32{uint32(v[1]) * Blocks(v[2], 32), uint32(n.In[7].Shape()[0] + 1)}, Block: [3]uint32{128},
			Args: args})
	}
	Register(Kernel{
		Name: "gated_delta_net_f32_serial",
		Op:   ops.GatedDeltaNetOp,
		Match: func(n *ops.Node,
			t *Target) int {
			return matchIf(match(n) && ops.Kept(n.In[7]) == 0, t.invariantFirst(matchPlain))
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) { return launch(n, "serial") },
	})
	Register(Kernel{
		Name: "gated_delta_net_f32_kept",
		Op:   ops.GatedDeltaNetOp,
		Match: func(n *ops.Node, _ *Target) int {
			return matchIf(match(n) && ops.Kept(n.In[7]) > 0, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) { return launch(n, "kept") },
	})
	rule := func(n *ops.Node) chunkedRule {
		q := n.In[0].Shape()
		return chunkedRule{tokens: q[0], keyHeads: q[1], state: n.In[5], starts: n.In[6], slots: n.In[7],
			attrs: n.Attrs.(ops.GatedDeltaNetAttrs)}
	}
	Register(Kernel{
		Name: "gated_delta_net_f32_chunk",
		Op:   ops.GatedDeltaNetOp,
		Match: func(n *ops.Node, _ *Target) int {
			many := n.In[0].Shape()[0] >= chunkTokens*n.In[7].Shape()[0]
			return matchIf(match(n) && rule(n).fits() && ops.Kept(n.In[7]) == 0 && many, matchGood)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			q, v, r := n.In[0].Shape(), n.In[2].Shape(), rule(n)
			qk := Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.In[3]).Ptr(n.In[4]).NullPtr().NullPtr()
			launches := r.launches("gated_delta_net", 0, qk, q[1]*q[2], 0, 0, reloc{value: n.In[2]}, v[1]*v[2],
				reloc{value: n.Result(0)}, true)
			for i := range launches {
				launches[i].Scratch = r.bytes()
			}
			return launches, nil
		},
	})
}
