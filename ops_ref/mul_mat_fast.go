package opsref

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() { RegisterFast(ops.MulMatOp, bindMulMat) }

func bindMulMat(b *Binding) Task {
	x, w, out := b.Call.In[0], b.Call.In[1], b.Call.Out[0]
	m := newMatrix(w)
	if m.integer {
		t := &mulMatInteger{next: b.Shares(), matrix: m, tokens: x.Shape[0], x: x.F, acts: b.Activations(m.f), out: out.F}
		local := m.scratch()
		if t.tokens > fewTokens && m.rows >= simd.TileRows && m.f.HasPanels(m.k) {
			t.columns = b.Columns(m.f)
			t.panelAt = local
			local += m.f.PanelBytes(m.k)
		}
		t.local = b.Scratch(0, local)
		return t
	}
	if simd.Current() == simd.Generic {
		return nil // the definition of the float kernels is slower than the reference
	}
	t := &mulMatFloat{next: b.Shares(), matrix: m, tokens: x.Shape[0], x: x.F, out: out.F}
	t.choose(t.tokens)
	t.local = b.Scratch(0, t.scratch())
	return t
}

// fewTokens is the number of tokens up to which weights are read as they are. Above it, panels of them are made
// first.
const fewTokens = 8

// mulMatInteger multiplies quantized weights with quantized activations.
type mulMatInteger struct {
	next par.Shares
	matrix
	tokens  int
	x       []float32
	acts    *activations
	columns *activations // the same in panels; nil: few tokens, or no such kernels
	out     []float32    // [tokens, rows]
	local   *scratch     // converted rows, and a panel of weights
	panelAt int
}

// Reset starts the loop over rows again.
func (t *mulMatInteger) Reset() { t.next.Reset() }

// Run takes rows. The bits of a product depend on its row and token alone: see simd.Dot.
func (t *mulMatInteger) Run(w *par.Worker) error {
	local := t.local.local[w.ID]
	grain := rowGrain(t.rows, t.rowBytes, w)
	if t.columns != nil {
		grain = simd.TileRows
	}
	for {
		lo, hi, ok := t.next.Take(w, grain, t.rows)
		if !ok {
			return nil
		}
		if t.columns != nil && hi-lo == simd.TileRows {
			rows, stride, wide := t.rowsAsInteger(local, lo, simd.TileRows)
			panel := local[t.panelAt:]
			t.f.Repack(panel, rows, stride, t.k)
			t.f.MulPanels(t.out[lo:], t.rows, panel, t.columns.b, t.tokens, t.k)
			t.again(local, lo, wide)
			continue
		}
		t.dot(local, lo, hi)
	}
}

// dot multiplies rows lo to hi-1 with all tokens.
func (t *mulMatInteger) dot(local []byte, lo, hi int) {
	size := t.f.ActBytes(t.k)
	step := hi - lo
	if t.tokens > 1 || t.convert { // few rows at a time, which stay in the first cache
		step = min(cachedRows(t.rowBytes), simd.TileRows)
	}
	for r := lo; r < hi; r += step {
		n := min(step, hi-r)
		rows, stride, wide := t.rowsAsInteger(local, r, n)
		for c := range t.tokens {
			simd.Dot(t.f, t.out[c*t.rows+r:][:n], rows, stride, t.acts.b[c*size:], t.k)
		}
		t.again(local, r, wide)
	}
}

// again computes the rows from r on of which wide has a bit as floating-point numbers.
func (t *mulMatInteger) again(local []byte, r int, wide uint32) {
	for ; wide != 0; r, wide = r+1, wide>>1 {
		if wide&1 != 0 {
			row := t.rowsAsFloat(local, r, 1)
			simd.MulFloat(t.out[r:], t.rows, row, 1, t.x, t.k, t.tokens, t.k)
		}
	}
}

// grainBytes are the weights that a worker takes at a time: few, so that all end at nearly the same time, but enough to
// hide what taking costs.
const grainBytes = 32 << 10

// rowGrain returns how many of n rows a worker takes at a time: enough parts for an even end, but no less than a
// kernel does at once.
func rowGrain(n, rowBytes int, w *par.Worker) int {
	return max(4, min(64, grainBytes/rowBytes, n/(8*w.Threads()))&^3)
}

// cachedRows returns how many rows fit in about half of the first cache.
func cachedRows(rowBytes int) int { return min(64, max(4, 16<<10/rowBytes&^3)) }

// mulMatFloat multiplies weights as float32 with activations. Types that no kernel reads are converted row by row.
type mulMatFloat struct {
	next par.Shares
	matrix
	tokens int
	x, out []float32
	local  *scratch
}

// Reset starts the loop over rows again.
func (t *mulMatFloat) Reset() { t.next.Reset() }

// Run takes rows.
func (t *mulMatFloat) Run(w *par.Worker) error {
	grain := rowGrain(t.rows, t.rowBytes, w)
	for {
		lo, hi, ok := t.next.Take(w, grain, t.rows)
		if !ok {
			return nil
		}
		for r := lo; r < hi; r += floatRows {
			n := min(floatRows, hi-r)
			m := t.rowsAsFloat(t.local.local[w.ID], r, n)
			simd.MulFloat(t.out[r:], t.rows, m, n, t.x, t.k, t.tokens, t.k)
		}
	}
}
