package cpu

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() {
	Register(ops.AttentionOp, bindAttention)
	Register(ops.LatentAttentionOp, bindLatentAttention)
}

// chunkKeys is the number of positions whose softmax is computed together. Chunk i of a sequence holds positions
// i*chunkKeys on. Each gives a query its largest score, its sum of weights and its weighted sum of values, and what
// the chunks give is merged in their order (Dao et al. 2022, arXiv 2205.14135). So the bits of a token's result depend
// on its sequence and position alone, whoever computes the chunks and in whatever company; but where there are tiles,
// tokens of long runs have others than those of few.
const chunkKeys = 128

// attentionTask computes softmax attention chunk by chunk: many queries of a sequence in panels (attentionPanels), few
// of them row by row of the cache (attentionRows).
type attentionTask struct {
	q, out  []float32
	k, v    cache
	heads   int
	kvHeads int
	group   int // query heads of a KV head
	attrs   ops.AttentionAttrs
	at      *index.Paged
	sinks   []float32
	work    *attentionWork
	scratch *scratch
	tiles   bool // panels are multiplied on tiles

	panelNext par.Counter
	rowNext   par.Shares // whose ranges follow one another in the cache
}

// cache is the keys or values of a layer.
type cache struct {
	raw  []byte
	typ  simd.FloatType
	dim  int
	size int // bytes of a head
}

func newCache(v opsref.View[float32]) (cache, bool) {
	typ, ok := floatFormats[v.DType]
	dim := v.Shape[3]
	return cache{v.Raw, typ, dim, v.RowBytes()}, ok && dim%16 == 0
}

// rows returns the rows of some heads, from one head on, from a place on.
func (c *cache) rows(place, heads, head int) simd.Matrix {
	return simd.Matrix{Type: c.typ, Data: c.raw[(place*heads+head)*c.size:], Stride: heads * c.size}
}

func bindAttention(b *Binding) Task {
	in := b.Call.In
	k, okK := newCache(in[1])
	v, okV := newCache(in[2])
	t := &attentionTask{k: k, v: v, attrs: b.Call.Attrs.(ops.AttentionAttrs)}
	if len(in) == 7 {
		if t.sinks = in[6].F; t.sinks == nil {
			return nil
		}
	}
	return t.bind(b, okK && okV, 3)
}

// bindLatentAttention binds attention whose values are the beginnings of its keys.
func bindLatentAttention(b *Binding) Task {
	a := b.Call.Attrs.(ops.LatentAttentionAttrs)
	k, ok := newCache(b.Call.In[1])
	v := k
	v.dim = a.Values
	return (&attentionTask{k: k, v: v, attrs: ops.AttentionAttrs{Scale: a.Scale}}).bind(b, ok && v.dim%16 == 0, 2)
}

// bind completes a task whose caches kernels can read if ok; indexes are the inputs from the given one on.
func (t *attentionTask) bind(b *Binding, ok bool, indexes int) Task {
	q, cache := b.Call.In[0], b.Call.In[1]
	if !ok || cache.Shape[1]%4 != 0 || simd.Current() == simd.Generic {
		return nil
	}
	t.q, t.out, t.heads, t.kvHeads, t.at = q.F, b.Call.Out[0].F, q.Shape[1], cache.Shape[2], b.paged(cache, indexes)
	t.group = t.heads / t.kvHeads
	// Who asks for a cache of float32 wants its precision.
	t.tiles = simd.HasFloatPanels(t.k.dim) && simd.HasFloatPanels(t.v.dim) && t.k.typ != simd.F32 &&
		t.v.typ != simd.F32 && !b.Call.Invariant
	t.rowNext = b.Shares()
	t.work = b.attentionWork(t)
	tokens := q.Shape[0]
	t.scratch = b.Scratch(4*t.rowShared(tokens), 4*max(t.rowLocal(), t.panelLocal(tokens)))
	return t
}

// Reset makes the task ready for the next run.
func (t *attentionTask) Reset() {
	t.panelNext.Reset()
	t.rowNext.Reset()
}

// Run computes the tokens that are no padding.
func (t *attentionTask) Run(w *par.Worker) error {
	for i := w.ID; i < len(t.work.padding); i += w.Threads() {
		clear(t.result(int(t.work.padding[i]), 0, t.heads))
	}
	t.runPanels(w)
	t.runRows(w)
	return nil
}

// result returns where the output of n heads of a token goes.
func (t *attentionTask) result(token, head, n int) []float32 {
	return t.out[(token*t.heads+head)*t.v.dim:][:n*t.v.dim]
}

// query returns the queries of n heads of a token.
func (t *attentionTask) query(token, head, n int) []float32 {
	return t.q[(token*t.heads+head)*t.k.dim:][:n*t.k.dim]
}

// seen returns which positions of a chunk a token sees, counted from the start of the chunk: none if from >= to.
func (t *attentionTask) seen(token, chunk int) (from, to int) {
	base, pos := chunk*chunkKeys, int(t.at.Pos[token])
	if t.attrs.Window > 0 {
		from = max(0, pos-t.attrs.Window+1-base)
	}
	return from, min(chunkKeys, pos+1-base)
}

// start makes the running softmax of heads from one on ready for the first chunk.
func (t *attentionTask) start(top, total []float32, head int) {
	for i := range top {
		top[i], total[i] = float32(math.Inf(-1)), 0
		if t.sinks != nil {
			top[i], total[i] = t.sinks[head+i], 1
		}
	}
}

// merge adds a chunk to the running softmax of several queries: top and total hold its largest score and its sum of
// weights, m and l those of the chunk. Weighted sums of values become their old selves times a plus those of the chunk
// times b.
func merge(top, total, m, l, a, b []float32) {
	total, m, l, a, b = total[:len(top)], m[:len(top)], l[:len(top)], a[:len(top)], b[:len(top)]
	for i, old := range top {
		if m[i] > old {
			top[i] = m[i]
		}
		a[i], b[i] = old-top[i], m[i]-top[i]
	}
	simd.ExpSum(a, 0)
	simd.ExpSum(b, 0)
	for i := range total {
		total[i] = float32(total[i]*a[i]) + float32(l[i]*b[i])
	}
}

// floatsOf hands out parts of memory.
type floatsOf struct{ mem []float32 }

// take returns the next n elements.
func (f *floatsOf) take(n int) []float32 {
	s := f.mem[:n:n]
	f.mem = f.mem[n:]
	return s
}

// attentionWork says which tokens of a step are computed how. Layers with the same places and groups share it.
type attentionWork struct {
	fixed
	at      *index.Paged
	group   int // query heads of a KV head
	kvHeads int
	window  int
	padding []int32
	blocks  []tokenRun // for panels
	runs    []tokenRun // for rows
	parts   int        // of all of runs
}

// tokenRun is tokens lo to hi-1, all of one sequence and in its order.
type tokenRun struct {
	lo, hi      int
	first, last int // chunks
	part        int // number of the run's first part: a part is one chunk for one token
}

// attentionKey tells work apart.
type attentionKey struct {
	at                     *index.Paged
	group, kvHeads, window int
}

func (b *Binding) attentionWork(t *attentionTask) *attentionWork {
	return b.Once(attentionKey{t.at, t.group, t.kvHeads, t.attrs.Window}, func() (any, Task) {
		n := len(t.at.Pos)
		w := &attentionWork{at: t.at, group: t.group, kvHeads: t.kvHeads, window: t.attrs.Window,
			padding: make([]int32, 0, n), blocks: make([]tokenRun, 0, n), runs: make([]tokenRun, 0, n)}
		return w, w
	}).(*attentionWork)
}

// Run lets one worker lay out the step.
func (w *attentionWork) Run(worker *par.Worker) error {
	if worker.ID != 0 {
		return nil
	}
	w.padding, w.blocks, w.runs, w.parts = w.padding[:0], w.blocks[:0], w.runs[:0], 0
	seq, pos := w.at.Seq, w.at.Pos
	few, block := max(1, rowQueries/w.group), blockTokens(len(seq), w.group, w.kvHeads, worker.Threads())
	for lo, hi := 0, 0; lo < len(seq); lo = hi {
		hi = lo + 1
		if seq[lo] < 0 {
			w.padding = append(w.padding, int32(lo))
			continue
		}
		for hi < len(seq) && seq[hi] == seq[lo] && pos[hi] > pos[hi-1] {
			hi++
		}
		if !simd.HasQueryPanels() || hi-lo <= few {
			r := w.run(lo, hi)
			r.part = w.parts
			w.parts += (hi - lo) * (r.last + 1 - r.first)
			w.runs = append(w.runs, r)
			continue
		}
		for ; lo < hi; lo += block {
			w.blocks = append(w.blocks, w.run(lo, min(lo+block, hi)))
		}
	}
	return nil
}

func (w *attentionWork) run(lo, hi int) tokenRun {
	r := tokenRun{lo: lo, hi: hi, last: int(w.at.Pos[hi-1]) / chunkKeys}
	if w.window > 0 {
		r.first = max(0, int(w.at.Pos[lo])-w.window+1) / chunkKeys
	}
	return r
}
