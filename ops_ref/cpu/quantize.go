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

// Run takes tokens.
func (t *quantizeTask) Run(w *par.Worker) error {
	size := t.format.ActBytes(t.x.Shape.Last())
	for {
		lo, _, ok := t.next.Take(1, t.x.Shape.Rows())
		if !ok {
			return nil
		}
		t.format.Quantize(t.to.b[lo*size:][:size], t.x.Row(lo, nil))
	}
}

// packTask arranges quantized activations in panels.
type packTask struct {
	shared
	format   simd.Format
	rows, k  int
	from, to *activations
}

// Run takes tokens, as many at a time as share the cache lines of a panel.
func (t *packTask) Run(w *par.Worker) error {
	size := t.format.ActBytes(t.k)
	for {
		lo, hi, ok := t.next.Take(simd.TileColumns, t.rows)
		if !ok {
			return nil
		}
		for c := lo; c < hi; c++ {
			t.format.PackColumn(t.to.b, t.from.b[c*size:], c, t.rows, t.k)
		}
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
