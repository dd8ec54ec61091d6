package cpu

import (
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// fewFloatTokens is the number of tokens up to which weights are not taken apart into panels.
const fewFloatTokens = 16

// floatPanelRows is the number of rows that become part of a panel of floats at a time.
const floatPanelRows = simd.FloatRows / 2

// mostRows and blockBytes bound the rows that meet panels of columns together: many, since all columns pass for each
// such block, but no more than a part of the second cache holds.
const (
	mostRows   = 64
	blockBytes = 448 << 10
)

// mulMatFloat multiplies weights as float32 with activations. Types that no kernel reads are converted row by row.
type mulMatFloat struct {
	next par.Shares
	matrix
	tokens int
	x, out []float32
	local  *scratch

	// On tiles, and many tokens: x in panels, their type, and where panels of weights, after rows as float32, and their
	// results are in local.
	columns         *activations
	panelType       simd.FloatType
	panelAt, sumsAt int

	// Without tiles, and several tokens: x in panels, the most rows that meet them at a time, and where partial sums are
	// in local, after rows as float32 if kernels do not read theirs.
	plain     *activations
	blockRows int
	partAt    int
}

// bindMulMatFloat binds products with a matrix that is not multiplied as integers.
func bindMulMatFloat(b *Binding, m matrix) Task {
	x := b.Call.In[0]
	if simd.Current() == simd.Generic {
		return nil // the definition of the float kernels is slower than the reference
	}
	t := &mulMatFloat{next: b.Shares(), matrix: m, tokens: x.Shape[0], x: x.F, out: b.Call.Out[0].F}
	t.choose(t.tokens)
	local := t.scratch()
	switch {
	case t.tokens > fewFloatTokens && m.rows >= simd.FloatRows && simd.HasFloatPanels(m.k) && !b.Call.Invariant:
		t.panelType = simd.F32
		if typ, ok := floatFormats[m.format.DType]; ok {
			t.panelType = typ
		}
		t.columns = b.FloatColumns(t.panelType)
		t.panelAt = 4 * floatPanelRows * m.k
		t.sumsAt = t.panelAt + panelGroup*t.panelType.PanelBytes(t.chunk())
		local = max(local, t.sumsAt+sumsBytes(t.tokens))
	case t.tokens >= simd.TileColumns && simd.HasFloatColumns(m.k):
		t.plain = b.PlainColumns()
		typ, read := floatFormats[m.format.DType]
		t.typ, t.dense = typ, !read
		t.blockRows = max(16, min(mostRows, blockBytes/(typ.Size()*m.k)&^15))
		if t.dense {
			t.partAt = 4 * t.blockRows * m.k
		}
		local = max(local, t.partAt+4*simd.FloatSumsLen(t.blockRows))
	}
	t.local = b.Scratch(0, local)
	return t
}

// Reset starts the loop over rows again.
func (t *mulMatFloat) Reset() { t.next.Reset() }

// Run takes rows.
func (t *mulMatFloat) Run(w *par.Worker) error {
	local, grain := t.local.local[w.ID].b, t.grain(w)
	most, step := 1, floatRows
	if t.columns == nil && t.plain == nil {
		most = together(grain, t.rowBytes)
	}
	if !t.dense && t.tokens == 1 {
		step = t.rows // all at once: nothing needs to stay in the first cache
	}
	for {
		lo, hi, ok := t.next.TakeMany(w, grain, most, t.rows)
		if !ok {
			return nil
		}
		if n := (hi - lo) / simd.FloatRows; t.columns != nil && n > 0 {
			t.panels(local, lo, n)
			lo += n * simd.FloatRows
		}
		if n := (hi - lo) &^ 3; t.plain != nil && n > 0 {
			t.plainly(local, lo, n)
			lo += n
		}
		for r := lo; r < hi; r += step {
			n := min(step, hi-r)
			m := t.rowsAsFloat(local, r, n)
			simd.MulFloat(t.out[r:], t.rows, m, n, t.x, t.k, t.tokens, t.k)
		}
	}
}

// grain returns how many rows a worker takes at a time.
func (t *mulMatFloat) grain(w *par.Worker) int {
	switch {
	case t.columns != nil:
		return panelGrain(t.rows, w)
	case t.plain != nil:
		return min(t.blockRows, max(16, t.rows/(8*w.Threads())&^15))
	}
	return rowGrain(t.rows, t.rowBytes, w)
}

// reads returns the worker's own share of the rows.
func (t *mulMatFloat) reads(w *par.Worker) []byte {
	lo, hi := t.next.First(w, t.grain(w), t.rows)
	return t.data[lo*t.rowBytes : hi*t.rowBytes]
}

// plainly multiplies n rows from lo on with panels of columns.
func (t *mulMatFloat) plainly(local []byte, lo, n int) {
	rows := simd.Matrix{Type: t.typ, Data: t.from(lo), Stride: t.rowBytes}
	if t.dense {
		rows = simd.Matrix{Type: simd.F32, Data: local, Stride: 4 * t.k}
		t.floats(cast.Of[float32](local), lo, n, 0, t.k)
	}
	simd.MulFloatColumns(t.out[lo:], t.rows, rows, n, cast.Of[float32](t.plain.b), t.tokens, t.k,
		cast.Of[float32](local[t.partAt:]))
}

// chunk returns the elements of a row in a panel: whole blocks.
func (t *mulMatFloat) chunk() int { return min(t.k, max(t.panelType.Chunk(), t.format.Block)) }

// panels multiplies n panels of rows from lo on with all tokens.
func (t *mulMatFloat) panels(local []byte, lo, n int) {
	panels, dense, rows := local[t.panelAt:t.sumsAt], cast.Of[float32](local[:t.panelAt]), n*simd.FloatRows
	sums := cast.Of[float32](local[t.sumsAt:][:sumsBytes(t.tokens)])
	chunk := t.chunk()
	for first := 0; first < t.k; first += chunk {
		size := min(chunk, t.k-first)
		bytes := t.panelType.PanelBytes(size)
		for i := range 2 * n {
			t.floats(dense, lo+i*floatPanelRows, floatPanelRows, first, size)
			t.panelType.RepackFloats(panels[i/2*bytes:], i%2, dense, size, size)
		}
		t.panelType.MulFloatPanels(sums, rows+sumsGap, panels, n, t.columns.b, t.tokens, t.k, first, size)
	}
	spread(t.out[lo:], t.rows, sums, rows, t.tokens)
}
