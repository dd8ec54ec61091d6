package cpu

import (
	"math"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
)

func init() { Register(ops.TopKOp, bindTopK) }

// maxTopK bounds what is kept by insertion; the reference sorts for more.
const maxTopK = 256

// topKTask lets every worker find the best of a segment of each row, and one of them join what was found. An element
// is compared as a rank: a number that is larger the earlier the element comes in the result.
type topKTask struct {
	fixed
	x      []float32
	ids    []int32
	values []float32
	n, k   int
	found  *scratch // shared: ranks of each row and worker, the largest first, zeros behind the last
}

func bindTopK(b *Binding) Task {
	x := b.Call.In[0]
	t := &topKTask{x: x.F, ids: b.Call.Out[0].Ints(), values: b.Call.Out[1].F, n: x.Shape[1],
		k: b.Node.Attrs.(ops.TopKAttrs).K}
	if t.k > maxTopK {
		return nil
	}
	t.found = b.Scratch(8*x.Shape[0]*b.plan.pool.Threads()*t.k, 0)
	return t
}

// Run searches the worker's segment of each row, and then joins the worker's rows.
func (t *topKTask) Run(w *par.Worker) error {
	found := cast.Of[uint64](t.found.shared.b)
	rows := len(t.x) / t.n
	lo, hi := evenly(w, t.n, 64)
	for r := range rows {
		best := found[(r*w.Threads()+w.ID)*t.k:][:t.k]
		clear(best)
		topRanks(best, t.x[r*t.n:][lo:hi], lo)
	}
	w.Barrier()
	lo, hi = evenly(w, rows, 1)
	for r := lo; r < hi; r++ {
		all := found[r*w.Threads()*t.k:][:w.Threads()*t.k]
		best := all[:t.k]
		for _, rank := range all[t.k:] {
			insertRank(best, rank)
		}
		ids, values := t.ids[r*t.k:][:t.k], t.values[r*t.k:][:t.k]
		for j, rank := range best {
			id := rankedIndex(rank)
			ids[j], values[j] = id, t.x[r*t.n+int(id)]
		}
		if worst := rankedIndex(best[0]); best[0]>>32 == notFinite {
			for j := range ids {
				ids[j], values[j] = -1-worst, t.x[r*t.n+int(worst)]
			}
		}
	}
	return nil
}

// notFinite is the upper half of the ranks of NaN and infinities, above all others.
const notFinite = math.MaxUint32

// rankOf returns the rank of element i, which is v. It is never 0.
func rankOf(v float32, i int) uint64 {
	b := math.Float32bits(v)
	switch {
	case v-v != 0:
		b = notFinite
	case v == 0:
		b = 1 << 31
	case b>>31 == 0:
		b |= 1 << 31
	default:
		b = ^b
	}
	return uint64(b)<<32 | uint64(^uint32(i))
}

// rankedIndex returns the index of the element with a rank.
func rankedIndex(rank uint64) int32 { return int32(^uint32(rank)) }

// topRanks fills best, which is zero, with the largest ranks of x, whose first element has index first.
func topRanks(best []uint64, x []float32, first int) {
	cut := float32(math.Inf(-1)) // what is no larger comes behind all of best
	for i, v := range x {
		if v <= cut && v >= -math.MaxFloat32 {
			continue
		}
		insertRank(best, rankOf(v, first+i))
		if last := best[len(best)-1]; last != 0 {
			cut = x[int(rankedIndex(last))-first]
		}
	}
}

// insertRank puts rank into best, which is in falling order, if it is larger than the last.
func insertRank(best []uint64, rank uint64) {
	last := len(best) - 1
	if rank <= best[last] {
		return
	}
	at, _ := slices.BinarySearchFunc(best, rank, func(a, b uint64) int {
		if a > b {
			return -1
		}
		return 1
	})
	copy(best[at+1:], best[at:last])
	best[at] = rank
}
