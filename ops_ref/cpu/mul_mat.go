package cpu

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() { Register(ops.MulMatOp, bindMulMat) }

func bindMulMat(b *Binding) Task {
	x, w, out := b.Call.In[0], b.Call.In[1], b.Call.Out[0]
	m := newMatrix(w)
	if m.integer {
		t := &mulMatInteger{next: b.Shares(), matrix: m, tokens: x.Shape[0], x: x.F, out: out.F}
		local := m.scratch()
		panels := t.tokens > m.few() && m.rows >= simd.TileRows && m.f.HasPanels(m.k) &&
			!(b.Call.Invariant && simd.RoundsColumns())
		if panels {
			t.columns = b.Columns(m.f) // quantized on the way, without tiles
			if t.chunk = m.f.PanelChunk(m.k, t.tokens); m.convert {
				t.chunk = m.k // rows are converted once
			}
			t.panelAt = local
			if local += m.f.PanelsBytes(1, t.chunk); simd.RoundsColumns() {
				t.sumsAt = t.panelAt + m.f.PanelsBytes(panelGroup, t.chunk)
				local = t.sumsAt + sumsBytes(t.tokens)
			}
		}
		if !panels || m.rows%simd.TileRows != 0 {
			t.acts = b.Activations(m.f)
		}
		t.local = b.Scratch(0, local)
		return t
	}
	return bindMulMatFloat(b, m)
}

// panelGroup is the largest number of panels that meet the columns together, so that these are read less often.
const panelGroup = 8

// sumsGap is the room between the results of tokens in elements: a cache line, so that they spread over the first
// cache.
const sumsGap = 16

// sumsBytes returns the size of the results of panelGroup panels for so many tokens, while not all parts of the rows
// have been multiplied. They are kept together: in the node's result, tokens often lie a multiple of 4 KiB apart, for
// which the first cache has but a few lines.
func sumsBytes(tokens int) int {
	return 4 * (panelGroup*simd.TileRows +
		sumsGap) * ((tokens + simd.FloatColumns - 1) / simd.FloatColumns * simd.FloatColumns)
}

// spread copies results of the given number of rows for each token to where they belong.
func spread(out []float32, stride int, sums []float32, rows, tokens int) {
	for t := range tokens {
		copy(out[t*stride:][:rows], sums[t*(rows+sumsGap):])
	}
}

// mulMatInteger multiplies quantized weights with quantized activations or, many tokens on tiles, both rounded to
// bfloat16.
type mulMatInteger struct {
	next par.Shares
	matrix
	tokens  int
	x       []float32
	acts    *activations // quantized; nil: panels of all rows meet columns
	columns *activations // in panels; nil: few tokens, or no such kernels
	out     []float32    // [tokens, rows]
	local   *scratch     // converted rows, panels of weights, and their results
	panelAt int
	sumsAt  int
	chunk   int // elements of a row in a panel
}

// Reset starts the loop over rows again.
func (t *mulMatInteger) Reset() { t.next.Reset() }

// Run takes rows. The bits of a product depend on its row and token alone, and on tiles on whether there are more
// tokens than few says: see simd.Dot and simd.FloatType.MulFloatPanels.
func (t *mulMatInteger) Run(w *par.Worker) error {
	local, grain := t.local.local[w.ID].b, t.grain(w)
	most := 1
	if t.columns == nil {
		most = together(grain, t.rowBytes)
	}
	for {
		lo, hi, ok := t.next.TakeMany(w, grain, most, t.rows)
		if !ok {
			return nil
		}
		if n := (hi - lo) / simd.TileRows; t.columns != nil && n > 0 {
			t.panels(local, lo, n)
			lo += n * simd.TileRows
		}
		if lo < hi {
			t.dot(local, lo, hi)
		}
	}
}

// grain returns how many rows a worker takes at a time.
func (t *mulMatInteger) grain(w *par.Worker) int {
	n := rowGrain(t.rows, t.rowBytes, w)
	switch {
	case t.columns != nil:
		n = panelGrain(t.rows, w)
	case t.interleaved:
		n = (n + simd.InterleavedRows - 1) &^ (simd.InterleavedRows - 1)
	}
	return n
}

// reads returns the worker's own share of the rows.
func (t *mulMatInteger) reads(w *par.Worker) []byte {
	lo, hi := t.next.First(w, t.grain(w), t.rows)
	return t.data[lo*t.rowBytes : hi*t.rowBytes]
}

// panelGrain returns how many of n rows, in panels, a worker takes at a time.
func panelGrain(n int, w *par.Worker) int {
	return simd.TileRows * max(1, min(panelGroup, n/(4*simd.TileRows*w.Threads())))
}

// panels multiplies n panels of rows from lo on with all tokens.
func (t *mulMatInteger) panels(local []byte, lo, n int) {
	if simd.RoundsColumns() {
		t.tilePanels(local, lo, n)
		return
	}
	panel := local[t.panelAt:]
	for ; n > 0; n, lo = n-1, lo+simd.TileRows {
		rows := t.rowsAsInteger(local, lo, simd.TileRows)
		for first := 0; first < t.k; first += t.chunk {
			size := min(t.chunk, t.k-first)
			rows.repack(panel, 0, first, size)
			t.f.MulPanels(t.out[lo:], t.rows, panel, 1, t.columns.b, t.tokens, t.k, first, size)
		}
		t.again(local, lo, rows.wide)
	}
}

// tilePanels is panels on tiles. Several panels meet the columns together, and results are kept together until all
// parts of the rows have been multiplied.
func (t *mulMatInteger) tilePanels(local []byte, lo, n int) {
	panels, rows := local[t.panelAt:t.sumsAt], n*simd.TileRows
	sums := cast.Of[float32](local[t.sumsAt:][:sumsBytes(t.tokens)])
	var wide [panelGroup]uint32
	for first := 0; first < t.k; first += t.chunk {
		size := min(t.chunk, t.k-first)
		for i := range n {
			rows := t.rowsAsInteger(local, lo+i*simd.TileRows, simd.TileRows)
			rows.repack(panels, i, first, size)
			wide[i] = rows.wide
		}
		t.f.MulPanels(sums, rows+sumsGap, panels, n, t.columns.b, t.tokens, t.k, first, size)
	}
	spread(t.out[lo:], t.rows, sums, rows, t.tokens)
	for i, w := range wide {
		t.again(local, lo+i*simd.TileRows, w)
	}
}

// dot multiplies rows lo to hi-1 with all tokens.
func (t *mulMatInteger) dot(local []byte, lo, hi int) {
	step := hi - lo
	if t.tokens > 1 || t.convert { // few rows at a time, which stay in the first cache
		step = t.dotRows()
	}
	for r := lo; r < hi; r += step {
		wide := t.multiply(local, r, min(step, hi-r), t.out[r:], t.rows, t.acts.b, t.tokens)
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

// grainBytes are the weights that a worker takes at a time: few, so that all end at nearly the same time, but enough
// to hide what taking costs.
const grainBytes = 32 << 10

// togetherBytes are the weights that a worker takes at a time as long as the end is far: that is rare enough, and the
// longest that a kernel lets the collector wait.
const togetherBytes = 256 << 10

// together returns how many parts of grain rows that are.
func together(grain, rowBytes int) int { return max(1, togetherBytes/(grain*rowBytes)) }

// rowGrain returns how many of n rows a worker takes at a time: enough parts for an even end, but no less than a
// kernel does at once.
func rowGrain(n, rowBytes int, w *par.Worker) int {
	return max(4, min(64, grainBytes/rowBytes, n/(8*w.Threads()))&^3)
}

// cachedRows returns how many rows fit in about half of the first cache.
func cachedRows(rowBytes int) int { return min(64, max(4, 16<<10/rowBytes&^3)) }
