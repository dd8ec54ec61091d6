package opship

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// Sizes of latent_attention.hip, those of the models that there are.
const (
	latentDim    = 576 // of a row of the cache
	latentValues = 512
	latentHeads  = 16 // of a block
)

// latentThreads returns how many threads a block has.
func latentThreads(t *Target) uint32 {
	if t.MMA == MMANvidia {
		return 512
	}
	return 256
}

// latentOf returns the attention of a node of that op, with whole rows as values.
func latentOf(n *ops.Node) attend {
	q := n.In[0].Shape()
	return attend{tokens: q[0], heads: q[1], dim: q[2], k: n.In[1], v: n.In[1], pos: n.In[2], seq: n.In[3],
		pages: n.In[4], attrs: ops.AttentionAttrs{Scale: n.Attrs.(ops.LatentAttentionAttrs).Scale},
		q:    func(args Args) Args { return args.Ptr(n.In[0]) },
		gate: func(args Args) Args { return args.NullPtr().I32(0) }}
}

// Limits of the splits of latent_attention.hip.
const (
	latentSplitKeys = 128 // fewest rows for which a further split pays
	maxLatentSplits = 160 // that latent_combine merges
	latentPerCU     = 4   // blocks that a compute unit should get; on NVIDIA one fills it
)

// latentSplits returns over how many blocks the rows that a token sees are spread: see attend.splits.
func latentSplits(a attend, t *Target) int {
	if t.Invariant {
		return invariantSplits
	}
	cus := t.CUs
	if cus == 0 {
		cus = assumedCUs
	}
	if t.MMA != MMANvidia {
		cus *= latentPerCU
	}
	return max(1, min(maxLatentSplits, a.pages.Shape()[1]*a.k.Shape()[1]/latentSplitKeys,
		cover(cus, a.tokens*cover(a.heads, latentHeads))))
}

func init() {
	// Whole rows serve as values, of which a copy keeps the first: for all sizes and types.
	Register(Kernel{
		Name: "latent_attention_plain",
		Op:   ops.LatentAttentionOp,
		Match: func(n *ops.Node, _ *Target) int {
			a := latentOf(n)
			return matchIf(a.matches() && fits(a.tokens*a.heads*a.dim) && cover(a.dim, 256) <= maxGridYZ, matchPlain)
		},
		Launch: func(n *ops.Node, t *Target) ([]Launch, error) {
			a, values := latentOf(n), n.Attrs.(ops.LatentAttentionAttrs).Values
			a.result = func(args Args) Args { return args.ScratchPtr(0) }
			a.scratch = aligned(4 * int64(a.tokens*a.heads) * int64(a.dim))
			ls := a.plain(t)
			return append(ls, Launch{Object: "slice", Symbol: "slice_f32",
				Grid: [3]uint32{uint32(a.tokens * a.heads), Blocks(values, 256)}, Block: [3]uint32{256},
				Args:    Args{}.ScratchPtr(0).Ptr(n.Result(0)).i32s(a.dim, 0, values),
				Scratch: ls[0].Scratch}), nil
		},
	})
	// Heads share what they read, with matrix instructions. A token's result does not depend on how many others there are.
	Register(Kernel{
		Name: "latent_attention_shared",
		Op:   ops.LatentAttentionOp,
		Match: func(n *ops.Node, t *Target) int {
			a, values := latentOf(n), n.Attrs.(ops.LatentAttentionAttrs).Values
			return matchIf(a.matches() && t.MMA != MMANone && a.dim == latentDim && values == latentValues &&
				(a.k.DType() == tensor.F16 || a.k.DType() == quant.Q8_0), matchGood)
		},
		Launch: func(n *ops.Node, t *Target) ([]Launch, error) {
			a := latentOf(n)
			tiles, splits, pairs := cover(a.heads, latentHeads), latentSplits(a, t), int64(a.tokens*a.heads)
			l := Launch{Object: "latent_attention", Symbol: "latent_attention_" + cacheTypes[a.k.DType()],
				Grid: [3]uint32{uint32(a.tokens * tiles), uint32(splits)}, Block: [3]uint32{latentThreads(t)}}
			args := Args{}.Ptr(n.In[0]).Ptr(a.k).Ptr(a.pos).Ptr(a.seq).Ptr(a.pages).Ptr(n.Result(0)).
				i32s(a.heads, a.k.Shape()[1], a.pages.Shape()[1]).F32(a.attrs.Scale)
			if splits == 1 {
				l.Args = args.NullPtr().NullPtr().i32s(splits)
				return one(l)
			}
			sums := aligned(8 * pairs * int64(splits))
			l.Scratch = sums + 4*pairs*int64(splits)*latentValues
			l.Args = args.ScratchPtr(0).ScratchPtr(sums).i32s(splits)
			combine := Launch{Object: "latent_attention", Symbol: "latent_combine",
				Grid: [3]uint32{uint32(pairs), latentValues / 128}, Block: [3]uint32{256}, Scratch: l.Scratch,
				Args: Args{}.ScratchPtr(0).ScratchPtr(sums).Ptr(a.seq).Ptr(n.Result(0)).i32s(a.heads, splits)}
			return []Launch{l, combine}, nil
		},
	})
}
