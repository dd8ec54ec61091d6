package opsref

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

func init() { RegisterFast(ops.KVAppendOp, bindKVAppend) }

// kvAppendTask stores tokens in a paged cache.
type kvAppendTask struct {
	fixed
	cache View[float32]
	x     []float32
	heads int
	at    *paged
}

func bindKVAppend(b *Binding) Task {
	cache, x := b.Call.Out[0], b.Call.In[1]
	return &kvAppendTask{cache: cache, x: x.F, heads: x.Shape[1], at: b.paged(cache, 2)}
}

// pagedKey tells places in caches apart.
type pagedKey struct {
	pos, seq, table ops.Value
	pages, page     int
}

// paged returns the places of the step's tokens in cache, given the inputs pos, seq and pages from number i on. They
// are checked once in a run for all caches of a size.
func (b *Binding) paged(cache View[float32], i int) *paged {
	pages, page := cache.Shape[0], cache.Shape[1]
	in := b.Node.In[i:]
	return b.Once(pagedKey{in[0], in[1], in[2], pages, page}, func() (any, Task) {
		p := pagedOf(page, b.Call.In[i], b.Call.In[i+1], b.Call.In[i+2])
		return &p, check{f: func() error { return p.check(pages) }}
	}).(*paged)
}

// Run stores the worker's tokens.
func (t *kvAppendTask) Run(w *par.Worker) error {
	n, size := t.cache.Shape.Last(), rowBytes(t.cache)
	lo, hi := evenly(w, len(t.at.pos)*t.heads, max(1, elementGrain/n))
	for i := lo; i < hi; i++ {
		token, head := i/t.heads, i%t.heads
		if t.at.seq[token] < 0 {
			continue
		}
		row := t.at.row(int(t.at.seq[token]), int(t.at.pos[token]))*t.heads + head
		to, from := t.cache.raw[row*size:][:size], t.x[i*n:][:n]
		switch t.cache.DType {
		case tensor.F32:
			copy(t.cache.F[row*n:][:n], from)
		case tensor.F16:
			simd.NarrowF16(to, from)
		default:
			t.cache.format.Quant(to, from)
		}
	}
	return nil
}
