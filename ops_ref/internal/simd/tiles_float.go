package simd

// Products of floats on tiles, for many columns. A tile multiplies bfloat16 and adds in float32, so a float32 is taken
// apart into the sum of three bfloat16, its planes, which is exact. Weights of type F16 have two planes and BF16 one.
//
// With weights of type F32, all products of planes that reach the last bit of a product of float32 are computed, so
// that the error is that of a sum in float32. With F16 and BF16, activations have two planes, each rounded, and
// products of second planes are left out: together 2^-17 of a product at most. With quantized weights, one plane of
// each, both rounded, errs by 2^-8 at most, and less than activations of 8 bits on average.
//
// The order of the additions is not that of MulFloat, whose bits differ, but a result depends on its row and column
// alone. What is left of an infinity after its first plane is NaN, and so are products with one.
//
// A panel is FloatRows rows, [k/32][row/16][plane] tiles of [16][row%16][2]bfloat16. A dword holds the parts of
// elements i and i+16 of 32. Columns are [column/32][k/32][column%32][plane][32]bfloat16, in the same order, with
// room between groups of 32 columns.
const (
	FloatRows    = 32
	FloatColumns = 32

	// Rounded stands for quantized weights, rounded to bfloat16: see Format.MulPanels. No matrix has this type.
	Rounded = BF16 + 1

	floatStep    = 32 // elements of a tile
	longestTiles = 64 // groups of columns in a call, which takes some 100 microseconds at most
)

// planes are the numbers of bfloat16 that make up a weight of each type, and the activations for it. chunk is the
// number of elements for which both operands of a tile stay in the first cache.
var planes = [...]struct{ weights, acts, chunk int }{F32: {3, 3, 128}, F16: {2, 2, 128}, BF16: {1, 2, 256},
	Rounded: {1, 1, 256}}

// HasFloatPanels reports whether there are kernels for products of rows of k floats with many columns.
func HasFloatPanels(k int) bool { return tiles && k > 0 && k%floatStep == 0 }

// PanelBytes returns the size of a panel of n elements of each row.
func (t FloatType) PanelBytes(n int) int { return FloatRows * n * 2 * planes[t].weights }

// Chunk returns how many elements of rows to multiply at a time.
func (t FloatType) Chunk() int { return planes[t].chunk }

// actStep returns the bytes of 32 elements of FloatColumns columns.
func (t FloatType) actStep() int { return FloatColumns * planes[t].acts * 2 * floatStep }

// groupBytes returns the bytes from FloatColumns columns of k activations to the next. Between long ones there is
// room for a chunk: they would lie multiples of the size of the second cache's ways apart otherwise, and throw each
// other out.
func (t FloatType) groupBytes(k int) int {
	if k > planes[t].chunk {
		k += planes[t].chunk
	}
	return k / floatStep * t.actStep()
}

// ColumnsBytes returns the size of cols columns of k activations for weights of type t.
func (t FloatType) ColumnsBytes(cols, k int) int {
	return (cols + FloatColumns - 1) / FloatColumns * t.groupBytes(k)
}

// PackFloats writes x as column c for weights of type t.
func (t FloatType) PackFloats(columns []byte, x []float32, c int) {
	k := len(x)
	if !HasFloatPanels(k) || c < 0 || len(columns) < t.ColumnsBytes(c+1, k) {
		panic("simd: wrong sizes to pack")
	}
	at := c/FloatColumns*t.groupBytes(k) + c%FloatColumns*planes[t].acts*2*floatStep
	asmPackFloats(planes[t].acts, &columns[at], &x[0], k/floatStep)
}

// RepackFloats writes half of a panel, rows 16*half on: 16 rows of n float32, rowStride elements apart, that are
// numbers of type t.
func (t FloatType) RepackFloats(panel []byte, half int, w []float32, rowStride, n int) {
	if !HasFloatPanels(n) || uint(half) > 1 || t == Rounded || len(panel) < t.PanelBytes(n) ||
		len(w) < (FloatRows/2-1)*rowStride+n {
		panic("simd: wrong sizes to repack")
	}
	asmRepackFloats(t, &panel[half*planes[t].weights*1024], &w[0], 4*rowStride, n/floatStep)
}

// MulFloatPanels adds to out[c*outStride+r] the products of the n elements of row r that count panels hold with
// elements first to first+n-1 of column c, for all rows and cols columns of k elements. If first is 0, it sets out
// instead. Columns of out up to the next multiple of FloatColumns must exist; those from cols on are undefined.
func (t FloatType) MulFloatPanels(out []float32, outStride int, panels []byte, count int, columns []byte, cols, k,
	first, n int) {
	size, tiles := t.PanelBytes(n), (cols+FloatColumns-1)/FloatColumns
	if cols < 1 || count < 1 || !HasFloatPanels(k) || n <= 0 || n%floatStep != 0 || first < 0 ||
		first%floatStep != 0 || first+n > k || outStride < count*FloatRows ||
		len(out) < (tiles*FloatColumns-1)*outStride+count*FloatRows || len(panels) < count*size ||
		len(columns) < t.ColumnsBytes(cols, k) {
		panic("simd: wrong sizes of a product")
	}
	clear := 0
	if first == 0 {
		clear = 1
	}
	for done := 0; done < tiles; done += longestTiles {
		a, y := &columns[done*t.groupBytes(k)+first/floatStep*t.actStep()], out[done*FloatColumns*outStride:]
		for i := range count {
			asmTilesFloat(t, min(longestTiles, tiles-done), n/floatStep, &panels[i*size], a, t.groupBytes(k),
				&y[i*FloatRows], 4*outStride, clear)
		}
	}
}
