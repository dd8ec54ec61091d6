package cpu

import (
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// quantizeTask writes the quantized form of activations.
type quantizeTask struct {
	shared
	x      opsref.View[float32]
	format simd.Format
	to     *activations
}

// extent returns the tokens, of which each is a unit.
func (t *quantizeTask) extent() (n, grain int) { return t.x.Shape.Rows(), 1 }

// Run takes tokens. A single one is worker 0's.
func (t *quantizeTask) Run(w *par.Worker) error {
	if t.x.Shape.Rows() == 1 && w.ID != 0 {
		return nil
	}
	size := t.format.ActBytes(t.x.Shape.Last())
	for {
		lo, _, ok := t.next.Take(1, t.x.Shape.Rows())
		if !ok {
			return nil
		}
		t.format.Quantize(t.to.b[lo*size:][:size], t.x.Row(lo, nil))
	}
}

// packTask arranges quantized activations in panels. It quantizes them first if nobody has.
type packTask struct {
	shared
	x        opsref.View[float32]
	format   simd.Format
	quantize bool
	from, to *activations
}

// Run takes tokens, as many at a time as share the cache lines of a panel.
func (t *packTask) Run(w *par.Worker) error {
	rows, k := t.x.Shape.Rows(), t.x.Shape.Last()
	size := t.format.ActBytes(k)
	for {
		lo, hi, ok := t.next.Take(simd.TileColumns, rows)
		if !ok {
			return nil
		}
		var acts [simd.TileColumns][]byte
		for c := range hi - lo {
			acts[c] = t.from.b[(lo+c)*size:][:size]
			if t.quantize {
				t.format.Quantize(acts[c], t.x.Row(lo+c, nil))
			}
		}
		t.format.PackColumns(t.to.b, acts[:hi-lo], lo, rows, k)
	}
}

// packFloatsTask arranges activations in panels for weights in floating point, or rounded to such.
type packFloatsTask struct {
	shared
	x       opsref.View[float32]
	weights simd.FloatType
	to      *activations
}

// Run takes tokens.
func (t *packFloatsTask) Run(w *par.Worker) error {
	for {
		c, _, ok := t.next.Take(1, t.x.Shape.Rows())
		if !ok {
			return nil
		}
		t.weights.PackFloats(t.to.b, t.x.Row(c, nil), c)
	}
}

// packPlainTask arranges activations in panels as they are.
type packPlainTask struct {
	shared
	x  opsref.View[float32]
	to *activations
}

// Run takes tokens, as many at a time as a panel has.
func (t *packPlainTask) Run(w *par.Worker) error {
	columns := cast.Of[float32](t.to.b)
	for {
		lo, hi, ok := t.next.Take(simd.TileColumns, t.x.Shape.Rows())
		if !ok {
			return nil
		}
		for c := lo; c < hi; c++ {
			simd.PackFloatColumn(columns, t.x.Row(c, nil), c)
		}
	}
}
