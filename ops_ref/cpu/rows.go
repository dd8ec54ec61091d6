package cpu

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
)

func init() {
	Register(ops.RowsOp, bindGather)
	Register(ops.EmbedOp, bindGather)
	Register(ops.SliceOp, bindSlice)
	Register(ops.ConcatOp, bindConcat)
}

// gatherTask copies or dequantizes chosen rows.
type gatherTask struct {
	fixed
	from  opsref.View[float32]
	ids   []int32
	out   []float32
	local *scratch // a row as files have it
}

func bindGather(b *Binding) Task {
	from := b.Call.In[0]
	return &gatherTask{from: from, ids: b.Call.In[1].Ints(), out: b.Call.Out[0].F,
		local: b.Scratch(0, from.RowBytes())}
}

// Run fetches the worker's rows.
func (t *gatherTask) Run(w *par.Worker) error {
	rows, n := t.from.Shape.Rows(), t.from.Shape.Last()
	for i, id := range t.ids {
		if id < 0 || int(id) >= rows {
			return fmt.Errorf("id %d at %d is outside 0..%d", id, i, rows-1)
		}
	}
	lo, hi := evenly(w, len(t.ids), 1)
	for i := lo; i < hi; i++ {
		id, to := int(t.ids[i]), t.out[i*n:][:n]
		if t.from.F != nil {
			copy(to, t.from.F[id*n:])
			continue
		}
		t.from.Format.Dequant(to, t.from.Stored(id, t.local.local[w.ID].b))
	}
	return nil
}

// sliceTask copies a range of each row.
type sliceTask struct {
	fixed
	x, out []float32
	n      int // elements of a row of x
	attrs  ops.SliceAttrs
}

func bindSlice(b *Binding) Task {
	x := b.Call.In[0]
	return &sliceTask{x: x.F, out: b.Call.Out[0].F, n: x.Shape.Last(), attrs: b.Call.Attrs.(ops.SliceAttrs)}
}

// Run copies the worker's rows.
func (t *sliceTask) Run(w *par.Worker) error {
	m := t.attrs.Hi - t.attrs.Lo
	lo, hi := evenly(w, len(t.x)/t.n, max(1, 4*elementGrain/m))
	for i := lo; i < hi; i++ {
		copy(t.out[i*m:][:m], t.x[i*t.n+t.attrs.Lo:])
	}
	return nil
}

// concatTask puts rows side by side.
type concatTask struct {
	fixed
	a, b, out []float32
	n, m      int // elements of rows of a and b
}

func bindConcat(b *Binding) Task {
	in := b.Call.In
	return &concatTask{a: in[0].F, b: in[1].F, out: b.Call.Out[0].F, n: in[0].Shape.Last(), m: in[1].Shape.Last()}
}

// Run copies the worker's rows.
func (t *concatTask) Run(w *par.Worker) error {
	lo, hi := evenly(w, len(t.a)/t.n, max(1, 4*elementGrain/(t.n+t.m)))
	for i := lo; i < hi; i++ {
		y := t.out[i*(t.n+t.m):]
		copy(y, t.a[i*t.n:][:t.n])
		copy(y[t.n:], t.b[i*t.m:][:t.m])
	}
	return nil
}
