package opsref

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

func init() { RegisterFast(ops.MulMatOp, bindMulMat) }

// integerFormats are the weight types with kernels on integers.
var integerFormats = map[tensor.DType]simd.Format{quant.Q8_0: simd.Q8_0, quant.Q4_K: simd.Q4_K, quant.Q6_K: simd.Q6_K}

// floatFormats are the weight types that kernels read as floating-point numbers.
var floatFormats = map[tensor.DType]simd.FloatType{tensor.F32: simd.F32, tensor.F16: simd.F16, tensor.BF16: simd.BF16}

func bindMulMat(b *Binding) Task {
	x, w, out := b.Call.In[0], b.Call.In[1], b.Call.Out[0]
	m := matrix{data: w.raw, rowBytes: rowBytes(w), rows: w.Shape[0], k: w.Shape[1], format: w.format}
	if f, ok := integerFormats[w.DType]; ok {
		t := &mulMatInteger{matrix: m, f: f, tokens: x.Shape[0], acts: b.Activations(f), out: out.F}
		if t.tokens > fewTokens && m.rows >= simd.TileRows && f.HasPanels(m.k) {
			t.columns = b.Columns(f)
			t.scratch = b.Scratch(0, f.PanelBytes(m.k))
		}
		return t
	}
	if simd.Current() == simd.Generic {
		return nil // the definition of the float kernels is slower than the reference
	}
	t := &mulMatFloat{matrix: m, tokens: x.Shape[0], x: x.F, out: out.F}
	if t.bind(w.DType) {
		t.scratch = b.Scratch(0, 4*floatRows*m.k)
	}
	return t
}

// rowBytes returns the size of an innermost row of v.
func rowBytes(v View[float32]) int { return v.Shape.Last() / v.format.Block * v.format.Bytes }

// matrix is a weight matrix.
type matrix struct {
	data              []byte
	rowBytes, rows, k int
	format            tensor.Format
}

// from returns the bytes of the rows from r on.
func (m *matrix) from(r int) []byte { return m.data[r*m.rowBytes:] }

// mulMatInteger multiplies quantized weights with quantized activations.
type mulMatInteger struct {
	shared
	matrix
	f       simd.Format
	tokens  int
	acts    *activations
	columns *activations // the same in panels; nil: few tokens, or no such kernels
	out     []float32    // [tokens, rows]
	scratch *scratch
}

// fewTokens is the number of tokens up to which weights are read as they are. Above it, panels of them are made
// first.
const fewTokens = 8

// Run takes rows. The bits of a product depend on its row and token alone: see simd.Dot.
func (t *mulMatInteger) Run(w *par.Worker) error {
	grain := rowGrain(t.rows, w)
	if t.columns != nil {
		grain = simd.TileRows
	}
	for {
		lo, hi, ok := t.next.Take(grain, t.rows)
		if !ok {
			return nil
		}
		if t.columns != nil && hi-lo == simd.TileRows {
			panel := t.scratch.local[w.ID]
			t.f.Repack(panel, t.from(lo), t.rowBytes, t.k)
			t.f.MulPanels(t.out[lo:], t.rows, panel, t.columns.b, t.tokens, t.k)
			continue
		}
		t.dot(lo, hi)
	}
}

// dot multiplies rows lo to hi-1 with all tokens.
func (t *mulMatInteger) dot(lo, hi int) {
	size := t.f.ActBytes(t.k)
	step := hi - lo
	if t.tokens > 1 { // few rows at a time, which stay in the first cache
		step = cachedRows(t.rowBytes)
	}
	for r := lo; r < hi; r += step {
		n := min(step, hi-r)
		for c := range t.tokens {
			simd.Dot(t.f, t.out[c*t.rows+r:][:n], t.from(r), t.rowBytes, t.acts.b[c*size:], t.k)
		}
	}
}

// rowGrain returns how many of n rows a worker takes at a time: enough parts for an even end, but no less than a
// kernel does at once.
func rowGrain(n int, w *par.Worker) int {
	return min(64, max(4, n/(8*w.Threads())&^3))
}

// cachedRows returns how many rows fit in about half of the first cache.
func cachedRows(rowBytes int) int { return min(64, max(4, 16<<10/rowBytes&^3)) }

// floatRows is the number of weight rows that are converted to float32 at a time.
const floatRows = 8

// mulMatFloat multiplies weights as float32 with activations. Types that no kernel reads are converted row by row.
type mulMatFloat struct {
	shared
	matrix
	tokens  int
	x, out  []float32
	typ     simd.FloatType
	widen   bool // of a type with a fast conversion
	convert bool // rows are converted first
	scratch *scratch
}

// bind chooses how weights of type d are read and reports whether they are converted first.
func (t *mulMatFloat) bind(d tensor.DType) bool {
	typ, ok := floatFormats[d]
	t.typ = typ
	// Converting pays if several tokens use the result.
	t.convert = !ok || typ != simd.F32 && (t.tokens > 2 || t.k%16 != 0)
	t.widen = ok && t.convert
	return t.convert
}

// Run takes rows.
func (t *mulMatFloat) Run(w *par.Worker) error {
	grain := rowGrain(t.rows, w)
	for {
		lo, hi, ok := t.next.Take(grain, t.rows)
		if !ok {
			return nil
		}
		for r := lo; r < hi; r += floatRows {
			n := min(floatRows, hi-r)
			m := simd.Matrix{Type: t.typ, Data: t.from(r), Stride: t.rowBytes}
			if t.convert {
				m = t.floats(t.scratch.local[w.ID], r, n)
			}
			simd.MulFloat(t.out[r:], t.rows, m, n, t.x, t.k, t.tokens, t.k)
		}
	}
}

// floats converts n rows from r on to float32 in scratch.
func (t *mulMatFloat) floats(scratch []byte, r, n int) simd.Matrix {
	rows := simd.Of[float32](scratch)
	for i := range n {
		row := rows[i*t.k:][:t.k]
		src := t.data[(r+i)*t.rowBytes:][:t.rowBytes]
		if t.widen {
			simd.Widen(t.typ, row, src)
		} else {
			t.format.Dequant(row, src)
		}
	}
	return simd.Matrix{Type: simd.F32, Data: scratch, Stride: 4 * t.k}
}
