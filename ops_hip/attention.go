package opship

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Limits of the attention kernels.
const (
	maxKeyDim      = 576 // LDS for a query
	mmaQueries     = 16  // tokens of a wave of the matrix kernels, fewer leave them idle
	mmaPage        = 8   // fewest tokens of a page there
	splitKeys      = 256 // fewest keys for which a further split pays
	maxSplits      = 64
	splitPerCU     = 2  // blocks that a compute unit should get
	assumedCUs     = 64 // where the device does not say
	plainValueDims = 256

	// invariantSplits is the number where results must not depend on that of tokens and pages. Each token's share of
	// keys follows from its position then.
	invariantSplits = 4
)

// attend is an attention as its kernels see it, of whichever op.
type attend struct {
	tokens, heads, dim int
	q                  func(Args) Args // adds the address of the queries
	k, v               ops.Value       // caches
	pos, seq, pages    ops.Value
	result             func(Args) Args // adds the address of the result
	sinks              ops.Value       // the zero Value for none
	gate               func(Args) Args // adds the address of the gate and the distance of its rows in elements
	attrs              ops.AttentionAttrs
	scratch            int64 // bytes that are taken of the node's scratch memory
}

// attentionOf returns the attention of a node of that op.
func attentionOf(n *ops.Node) attend {
	q := n.In[0].Shape()
	a := attend{tokens: q[0], heads: q[1], dim: q[2], k: n.In[1], v: n.In[2], pos: n.In[3], seq: n.In[4],
		pages: n.In[5], attrs: n.Attrs.(ops.AttentionAttrs)}
	a.result = func(args Args) Args { return args.Ptr(n.Result(0)) }
	a.q = func(args Args) Args { return args.Ptr(n.In[0]) }
	a.gate = func(args Args) Args { return args.NullPtr().I32(0) }
	if len(n.In) > 6 {
		a.sinks = n.In[6]
	}
	return a
}

// args are the arguments that all attention kernels start with.
func (a attend) args() Args {
	k, v := a.k.Shape(), a.v.Shape()
	args := a.result(a.optionalSinks(a.q(Args{}).Ptr(a.k).Ptr(a.v).Ptr(a.pos).Ptr(a.seq).Ptr(a.pages)))
	return a.gate(args.i32s(a.tokens, a.heads, k[2], a.dim, v[3], k[1], a.pages.Shape()[1]).F32(a.attrs.Scale).
		F32(a.attrs.Softcap).i32s(a.attrs.Window))
}

func (a attend) optionalSinks(args Args) Args {
	if a.sinks.Valid() {
		return args.Ptr(a.sinks)
	}
	return args.NullPtr()
}

// matches reports whether sizes and types are those of the kernels.
func (a attend) matches() bool {
	k := a.k.Shape()
	_, ok := cacheTypes[a.k.DType()]
	return ok && a.k.DType() == a.v.DType() && a.dim <= maxKeyDim &&
		fits(a.tokens*a.heads, k[0]*k[1], a.pages.Shape().Elems(), a.pages.Shape()[1]*k[1], a.attrs.Window) &&
		a.heads <= maxGridYZ
}

// splits returns over how many blocks attention_plain spreads the keys of a token and head: enough to fill the device,
// none with so few keys that merging costs more than it saves. It depends on the capacity of the page table, since the
// number of keys changes from run to run.
func (a attend) splits(t *Target) int {
	if t.Invariant {
		return invariantSplits
	}
	keys := a.pages.Shape()[1] * a.k.Shape()[1]
	if w := a.attrs.Window; w > 0 {
		keys = min(keys, w)
	}
	cus := t.computeUnits()
	return max(1, min(maxSplits, keys/splitKeys, cover(splitPerCU*cus, a.tokens*a.heads)))
}

// plain returns the launches of attention_plain.
func (a attend) plain(t *Target) []Launch {
	dv, splits := a.v.Shape()[3], a.splits(t)
	pairs := a.tokens * a.heads
	l := Launch{Object: "attention", Symbol: "attention_" + cacheTypes[a.k.DType()] + "_plain", Scratch: a.scratch,
		Grid: [3]uint32{uint32(pairs), uint32(splits), Blocks(dv, plainValueDims)}, Block: [3]uint32{128}}
	if splits == 1 {
		l.Args = a.args().NullPtr().NullPtr().i32s(splits)
		return []Launch{l}
	}
	sums := a.scratch + aligned(8*int64(pairs)*int64(splits))
	l.Scratch = sums + 4*int64(pairs)*int64(splits)*int64(dv)
	l.Args = a.args().ScratchPtr(a.scratch).ScratchPtr(sums).i32s(splits)
	combine := Launch{Object: "attention", Symbol: "attention_combine", Grid: [3]uint32{uint32(pairs)},
		Block: [3]uint32{128}, Scratch: l.Scratch}
	combine.Args = a.gate(a.result(a.optionalSinks(Args{}.ScratchPtr(a.scratch).ScratchPtr(sums).Ptr(a.seq))).
		i32s(a.heads, dv, splits))
	return []Launch{l, combine}
}

// mmaDims are the dims of heads that attention_mma is compiled for.
var mmaDims = []int{64, 80, 96, 128, 256, 512}

// mmaWaves returns the waves of a block of attention_mma.
func mmaWaves(t *Target) int {
	if t.MMA == MMANvidia {
		return 4
	}
	return 8
}

// mmaUnits returns how many times a block of attention_mma has 16 queries of a head. A wave has them, but where its
// registers do not hold sums of all dims: then several waves share queries.
func mmaUnits(t *Target, dim int) int {
	own := dim
	if dim > 256 {
		own = 128
		if t.MMA == MMAGfx12 {
			own = 256
		}
	}
	return mmaWaves(t) * own / dim
}

// matchesMMA reports whether attention_mma takes a. Who asks for a cache of floats wants their precision.
func (a attend) matchesMMA(t *Target) bool {
	page := a.k.Shape()[1]
	return a.matches() && t.MMA != MMANone && slices.Contains(mmaDims, a.dim) && a.v.Shape()[3] == a.dim &&
		page >= mmaPage && page&(page-1) == 0 && a.tokens >= mmaQueries && a.k.DType() != tensor.F32
}

// mma returns the launch of attention_mma.
func (a attend) mma(t *Target) Launch {
	kv, waves := a.k.Shape()[2], mmaWaves(t)
	blocks := Blocks(int(Blocks(a.tokens, mmaQueries))*a.heads/kv, mmaUnits(t, a.dim))
	return Launch{Object: "attention_mma", Symbol: fmt.Sprintf("attention_%s_mma%d", cacheTypes[a.k.DType()], a.dim),
		Scratch: a.scratch, Grid: [3]uint32{uint32(kv) * blocks}, Block: [3]uint32{uint32(32 * waves)}, Args: a.args()}
}

// registerAttention registers kernels <name>_plain, _mma and _decode for an op that is an attention once what before
// says has run. of returns the attention of a node, and whether the launches before it take the node.
func registerAttention(op *ops.Def, of func(n *ops.Node) (attend, bool), before func(n *ops.Node) []Launch) {
	register := func(name string, score int, emits bool, match func(a attend, t *Target) bool,
		launch func(n *ops.Node, a attend, t *Target) []Launch) {
		k := Kernel{
			Name: op.Name + "_" + name,
			Op:   op,
			Match: func(n *ops.Node, t *Target) int {
				a, ok := of(n)
				if name == "plain" {
					return matchIf(ok && match(a, t), t.invariantFirst(score))
				}
				return matchIf(ok && match(a, t), score)
			},
			Launch: func(n *ops.Node, t *Target) ([]Launch, error) {
				a, _ := of(n)
				return append(before(n), launch(n, a, t)...), nil
			},
		}
		if emits {
			k.emits = emitsHeads
		}
		Register(k)
	}
	register("plain", matchPlain, false, func(a attend, _ *Target) bool { return a.matches() },
		func(_ *ops.Node, a attend, t *Target) []Launch { return a.plain(t) })
	register("mma", matchGood, false, attend.matchesMMA,
		func(_ *ops.Node, a attend, t *Target) []Launch { return []Launch{a.mma(t)} })
	register("decode", matchBest, true, attend.matchesDecode,
		func(n *ops.Node, a attend, t *Target) []Launch { return []Launch{a.decode(n, t)} })
}

func init() {
	registerAttention(ops.AttentionOp, func(n *ops.Node) (attend, bool) { return attentionOf(n), true },
		func(*ops.Node) []Launch { return nil })
}
