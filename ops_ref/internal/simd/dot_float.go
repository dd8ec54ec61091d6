package simd

import (
	"encoding/binary"
	"math"
)

// FloatType is the type of the weights of a floating-point product.
type FloatType uint8

// The types.
const (
	F32 FloatType = iota
	F16
	BF16
)

// Size returns the bytes of an element.
func (t FloatType) Size() int {
	if t == F32 {
		return 4
	}
	return 2
}

// Matrix is rows of k weights, one every Stride bytes.
type Matrix struct {
	Type   FloatType
	Data   []byte
	Stride int
}

// MulFloat sets out[c*outStride+r] to the product of row r of w with column c of x, x[c*xStride:][:k], for all rows
// and cols columns. Each product is computed by itself as dotF32Row says, so that its bits do not depend on what
// else is computed, nor on the level.
func MulFloat(out []float32, outStride int, w Matrix, rows int, x []float32, xStride, cols, k int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	size := w.Type.Size()
	if k <= 0 || len(out) < (cols-1)*outStride+rows || len(w.Data) < (rows-1)*w.Stride+k*size ||
		len(x) < (cols-1)*xStride+k {
		panic("simd: wrong sizes of a product")
	}
	if n := rows &^ 3; cols == 1 && n > 0 && asmTile(w.Type, &out[0], 0, &w.Data[0], w.Stride, n/4, k, &x[0], 0, 1) == 1 {
		if n < rows {
			mulOne(out[n:], w, n, rows-n, x[:k])
		}
		return
	}
	// The rows of a tile stay in the first cache while all columns pass.
	const step = 4
	for r := 0; r < rows; r += step {
		quad := rows-r >= step
		for c := 0; c < cols; {
			n := 0
			if quad {
				n = asmTile(w.Type, &out[c*outStride+r], 4*outStride, &w.Data[r*w.Stride], w.Stride, 1, k,
					&x[c*xStride], 4*xStride, cols-c)
			}
			if n == 0 {
				mulOne(out[c*outStride+r:], w, r, min(step, rows-r), x[c*xStride:][:k])
				n = 1
			}
			c += n
		}
	}
}

// mulOne computes n < 5 rows from row r on for one column.
func mulOne(out []float32, w Matrix, r, n int, x []float32) {
	for i := range n {
		row := w.Data[(r+i)*w.Stride:][:len(x)*w.Type.Size()]
		var same [4]float32
		if asmTile(w.Type, &same[0], 0, &row[0], 0, 1, len(x), &x[0], 0, 1) == 0 {
			same[0] = dotF32Row(w.Type, row, x)
		}
		out[i] = same[0]
	}
}

// dotF32Row is the definition of a floating-point product: element i is multiplied and added to partial sum i mod 16
// with one rounding, and the sums are added as the last lines say.
func dotF32Row(t FloatType, w []byte, x []float32) float32 {
	var s [16]float32
	for i, v := range x {
		s[i%16] = fma(elem(t, w, i), v, s[i%16])
	}
	for i := range 8 {
		s[i] += s[i+8]
	}
	for i := range 4 {
		s[i] += s[i+4]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// elem returns element i of w.
func elem(t FloatType, w []byte, i int) float32 {
	switch t {
	case F16:
		return halfAt(w[2*i:])
	case BF16:
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(w[2*i:])) << 16)
	}
	return floatAt(w[4*i:])
}

// fma returns x*y + z with one rounding. The product of float32 numbers is exact in float64; the sum is rounded there
// to odd, after which rounding to float32 is as good as rounding the exact sum.
func fma(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	if s-s != 0 { // NaN or infinite
		return float32(s)
	}
	t := s - p
	if e := (p - (s - t)) + (c - t); e != 0 {
		if bits := math.Float64bits(s); bits&1 == 0 {
			if (e > 0) == (s > 0) {
				bits++
			} else {
				bits--
			}
			s = math.Float64frombits(bits)
		}
	}
	return float32(s)
}

// Widen converts len(dst) elements of type F16 or BF16 to float32.
func Widen(t FloatType, dst []float32, src []byte) {
	if len(src) < len(dst)*t.Size() {
		panic("simd: too little to widen")
	}
	n := len(dst) / 8
	if n == 0 || !asmWiden(t, &dst[0], &src[0], n) {
		n = 0
	}
	for i := 8 * n; i < len(dst); i++ {
		dst[i] = elem(t, src, i)
	}
}
