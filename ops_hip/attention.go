package opship

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Limits of the attention kernels.
const (
	maxKeyDim      = 576 // LDS for a query
	mmaQueries     = 16  // tokens of a wave of the matrix kernels, fewer leave them idle
	splitKeys      = 256 // fewest keys for which a further split pays
	maxSplits      = 64
	splitPerCU     = 2  // blocks that a compute unit should get
	assumedCUs     = 64 // where the device does not say
	plainValueDims = 256

	// invariantSplits is the number where results must not depend on that of tokens and pages. Each token's share of keys
	// follows from its position then.
	invariantSplits = 4
)

// attentionArgs are the arguments that all attention kernels start with.
func attentionArgs(n *ops.Node) Args {
	q, k, v, a := n.In[0].Shape(), n.In[1].Shape(), n.In[2].Shape(), n.Attrs.(ops.AttentionAttrs)
	args := Args{}
	for _, in := range n.In[:6] {
		args = args.Ptr(in)
	}
	return args.optional(n, 6).Ptr(n.Result(0)).i32s(q[0], q[1], k[2], q[2], v[3], k[1], n.In[5].Shape()[1]).F32(a.Scale).F32(a.Softcap).i32s(a.Window)
}

// matchAttention reports whether sizes and types are those of the kernels.
func matchAttention(n *ops.Node) bool {
	q, k := n.In[0].Shape(), n.In[1].Shape()
	_, ok := cacheTypes[n.In[1].DType()]
	return ok && n.In[1].DType() == n.In[2].DType() && q[2] <= maxKeyDim &&
		fits(q[0]*q[1], k[0]*k[1], n.In[5].Shape().Elems(), n.In[5].Shape()[1]*k[1], n.Attrs.(ops.AttentionAttrs).Window) && q[1] <= maxGridYZ
}

// attentionSplits returns over how many blocks the keys of a token and head are spread: enough to fill the device,
// none with so few keys that merging costs more than it saves. It depends on the capacity of the page table, since the
// number of keys changes from run to run.
func attentionSplits(n *ops.Node, t *Target) int {
	if t.Invariant {
		return invariantSplits
	}
	q, keys := n.In[0].Shape(), n.In[5].Shape()[1]*n.In[1].Shape()[1]
	if w := n.Attrs.(ops.AttentionAttrs).Window; w > 0 {
		keys = min(keys, w)
	}
	cus := t.CUs
	if cus == 0 {
		cus = assumedCUs
	}
	return max(1, min(maxSplits, keys/splitKeys, cover(splitPerCU*cus, q[0]*q[1])))
}

func init() {
	Register(Kernel{
		Name:  "attention_plain",
		Op:    ops.AttentionOp,
		Match: func(n *ops.Node, t *Target) int { return matchIf(matchAttention(n), t.invariantFirst(matchPlain)) },
		Launch: func(n *ops.Node, t *Target) ([]Launch, error) {
			q, dv, splits := n.In[0].Shape(), n.In[2].Shape()[3], attentionSplits(n, t)
			pairs := q[0] * q[1]
			l := Launch{Object: "attention", Symbol: "attention_" + cacheTypes[n.In[1].DType()] + "_plain",
				Grid: [3]uint32{uint32(pairs), uint32(splits), Blocks(dv, plainValueDims)}, Block: [3]uint32{128}}
			if splits == 1 {
				l.Args = attentionArgs(n).NullPtr().NullPtr().i32s(splits)
				return one(l)
			}
			stats := aligned(8 * int64(pairs) * int64(splits))
			l.Scratch = stats + 4*int64(pairs)*int64(splits)*int64(dv)
			l.Args = attentionArgs(n).ScratchPtr(0).ScratchPtr(stats).i32s(splits)
			return []Launch{l, {Object: "attention", Symbol: "attention_combine", Grid: [3]uint32{uint32(pairs)}, Block: [3]uint32{128}, Scratch: l.Scratch,
				Args: Args{}.ScratchPtr(0).ScratchPtr(stats).Ptr(n.In[4]).optional(n, 6).Ptr(n.Result(0)).i32s(q[1], dv, splits)}}, nil
		},
	})

	waves := map[int]int{64: 4, 128: 4, 256: 2} // by head dim
	Register(Kernel{
		Name: "attention_mma",
		Op:   ops.AttentionOp,
		Match: func(n *ops.Node, t *Target) int {
			q, dv := n.In[0].Shape(), n.In[2].Shape()[3]
			return matchIf(matchAttention(n) && t.MMA != MMANone && waves[dv] > 0 && q[2] == dv && q[0] >= mmaQueries &&
				n.In[1].DType() != tensor.F32, matchGood) // who asks for a cache of floats wants their precision
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			q := n.In[0].Shape()
			w := waves[q[2]]
			return one(Launch{Object: "attention_mma", Symbol: fmt.Sprintf("attention_%s_mma%d", cacheTypes[n.In[1].DType()], q[2]),
				Grid: [3]uint32{Blocks(q[0], mmaQueries*w), uint32(q[1])}, Block: [3]uint32{uint32(32 * w)}, Args: attentionArgs(n)})
		},
	})
}
