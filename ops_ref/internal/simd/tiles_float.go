package simd

// Products of floats on tiles, for many columns. A tile multiplies bfloat16 and adds in float32, so a float32 is taken
// apart into the sum of three bfloat16, its planes, which is exact. Weights of type F16 have two planes and BF16 one.
// All products of planes that reach the last bit of a product of float32 are computed, so that the error is that of
// a sum in float32; but the order of the additions is not that of MulFloat, whose bits differ. What is left of an
// infinity after its first plane is NaN, and so are products with one.
//
// A panel is FloatRows rows of up to FloatChunk elements, [k/32][row/16][plane] tiles of [16][row%16][2]bfloat16. A
// dword holds the parts of elements i and i+16 of 32. Columns are [column/32][k/32][column%32][plane][32]bfloat16, in
// the same order, and there are three planes of them.
const (
	FloatRows  = 32
	FloatChunk = 1024

	floatColumns = 32
	floatStep    = 32 // elements of a tile
	actPlanes    = 3
	actFloatStep = floatColumns * actPlanes * 2 * floatStep // bytes of 32 elements of the columns
)

// planes are the numbers of bfloat16 that make up an element of each type.
var planes = [...]int{F32: 3, F16: 2, BF16: 1}

// HasFloatPanels reports whether there are kernels for products of rows of k floats with many columns.
func HasFloatPanels(k int) bool { return tiles && k > 0 && k%floatStep == 0 }

// PanelBytes returns the size of a panel of n elements of each row.
func (t FloatType) PanelBytes(n int) int { return FloatRows * n * 2 * planes[t] }

// FloatColumnsBytes returns the size of cols columns of k activations.
func FloatColumnsBytes(cols, k int) int {
	return roundUp(cols, floatColumns) / floatColumns * k / floatStep * actFloatStep
}

// PackFloats writes x as column c.
func PackFloats(columns []byte, x []float32, c int) {
	k := len(x)
	if !HasFloatPanels(k) || c < 0 || len(columns) < FloatColumnsBytes(c+1, k) {
		panic("simd: wrong sizes to pack")
	}
	at := c/floatColumns*(k/floatStep)*actFloatStep + c%floatColumns*actPlanes*2*floatStep
	asmPackFloats(&columns[at], &x[0], k/floatStep)
}

// RepackFloats writes half of a panel, rows 16*half on: 16 rows of n float32, rowStride elements apart, that are
// numbers of type t.
func (t FloatType) RepackFloats(panel []byte, half int, w []float32, rowStride, n int) {
	if !HasFloatPanels(n) || uint(half) > 1 || len(panel) < t.PanelBytes(n) || len(w) < (FloatRows/2-1)*rowStride+n {
		panic("simd: wrong sizes to repack")
	}
	asmRepackFloats(t, &panel[half*planes[t]*1024], &w[0], 4*rowStride, n/floatStep)
}

// MulFloatPanels adds to out[c*outStride+r] the products of the n elements of row r that count panels hold with
// elements first to first+n-1 of column c, for all rows and cols columns of k elements. If first is 0, it sets out
// instead.
func (t FloatType) MulFloatPanels(out []float32, outStride int, panels []byte, count int, columns []byte, cols, k, first, n int) {
	size := t.PanelBytes(n)
	if cols < 1 || count < 1 || !HasFloatPanels(k) || n <= 0 || n%floatStep != 0 || first < 0 || first%floatStep != 0 || first+n > k ||
		len(out) < (cols-1)*outStride+count*FloatRows || len(panels) < count*size || len(columns) < FloatColumnsBytes(cols, k) {
		panic("simd: wrong sizes of a product")
	}
	for c := 0; c < cols; c += floatColumns {
		a := &columns[(c/floatColumns*k+first)/floatStep*actFloatStep]
		for i := range count {
			w, y := &panels[i*size], out[c*outStride+i*FloatRows:]
			if cols-c < floatColumns {
				t.floatEdge(y, outStride, w, a, cols-c, n, first == 0)
				continue
			}
			src, srcBytes := &y[0], 4*outStride
			if first == 0 {
				src, srcBytes = &noSums[0], 0
			}
			asmTilesFloat(t, n/floatStep, w, a, src, srcBytes, &y[0], 4*outStride)
		}
	}
}

// floatEdge computes a tile of fewer columns than columns have neighbours.
func (t FloatType) floatEdge(out []float32, outStride int, w, a *byte, cols, n int, clear bool) {
	var sums [floatColumns * FloatRows]float32
	if !clear {
		for c := range cols {
			copy(sums[c*FloatRows:][:FloatRows], out[c*outStride:])
		}
	}
	asmTilesFloat(t, n/floatStep, w, a, &sums[0], 4*FloatRows, &sums[0], 4*FloatRows)
	for c := range cols {
		copy(out[c*outStride:][:FloatRows], sums[c*FloatRows:])
	}
}
