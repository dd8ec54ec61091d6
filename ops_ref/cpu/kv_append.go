package cpu

import (
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

func init() { Register(ops.KVAppendOp, bindKVAppend) }

// kvAppendTask stores tokens in a paged cache.
type kvAppendTask struct {
	fixed
	cache opsref.View[float32]
	x     []float32
	heads int
	at    *index.Paged
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
func (b *Binding) paged(cache opsref.View[float32], i int) *index.Paged {
	pages, page := cache.Shape[0], cache.Shape[1]
	in := b.Node.In[i:]
	return b.Once(pagedKey{in[0], in[1], in[2], pages, page}, func() (any, Task) {
		pos, seq, table := b.Call.In[i], b.Call.In[i+1], b.Call.In[i+2]
		p := index.NewPaged(page, pos.Ints(), seq.Ints(), table.Ints(), table.Shape[1])
		return &p, check{f: func() error { return p.Check(pages) }}
	}).(*index.Paged)
}

// extent returns the heads of all tokens, and those of a unit.
func (t *kvAppendTask) extent() (n, grain int) {
	return len(t.at.Pos) * t.heads, max(1, elementGrain/t.cache.Shape.Last())
}

// Run stores the worker's tokens.
func (t *kvAppendTask) Run(w *par.Worker) error {
	n, size := t.cache.Shape.Last(), t.cache.RowBytes()
	lo, hi := part(w, t)
	for i := lo; i < hi; i++ {
		token, head := i/t.heads, i%t.heads
		if t.at.Seq[token] < 0 {
			continue
		}
		row := t.at.Row(int(t.at.Seq[token]), int(t.at.Pos[token]))*t.heads + head
		to, from := t.cache.Raw[row*size:][:size], t.x[i*n:][:n]
		switch t.cache.DType {
		case tensor.F32:
			copy(t.cache.F[row*n:][:n], from)
		case tensor.F16:
			simd.NarrowF16(to, from)
		default:
			t.cache.Format.Quant(to, from)
		}
	}
	return nil
}
