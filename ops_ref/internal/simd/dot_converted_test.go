package simd

import (
	"math/rand/v2"
	"testing"
)

// TestDotConverted compares products of rows as they are with those of converted rows, bit by bit, for all numbers of
// rows and columns that kernels split.
func TestDotConverted(t *testing.T) {
	const k = 768
	r := rand.New(rand.NewPCG(33, 33))
	ran := 0
	levels(t, func(t *testing.T) {
		for c := range conversions {
			c := Conversion(c)
			f := c.Format()
			act := f.ActBytes(k)
			size := k / f.Block() * conversions[c].bytes
			for _, s := range [][2]int{{1, 1}, {4, 1}, {7, 3}, {16, 2}, {9, 7}} {
				rows, cols := s[0], s[1]
				w, acts := make([]byte, rows*size), make([]byte, cols*act)
				for i := range w {
					w[i] = byte(r.Uint32())
				}
				for i := range cols {
					f.Quantize(acts[i*act:], normal(r, k))
				}
				stride := rows + 1
				got, want := make([]float32, cols*stride), make([]float32, cols*stride)
				if !c.Dot(got, stride, w, size, rows, acts, cols, k) {
					continue
				}
				ran++
				converted := make([]byte, rows*f.Bytes(k))
				for i := range rows {
					c.Convert(converted[i*f.Bytes(k):], w[i*size:][:size])
				}
				DotColumns(f, want, stride, converted, f.Bytes(k), rows, acts, cols, k)
				for i := range want {
					if !sameBits(got[i], want[i]) {
						t.Fatalf("type %d, %d rows, %d columns: row %d of column %d is %v, want %v", c, rows, cols,
							i%stride, i/stride, got[i], want[i])
					}
				}
			}
		}
	})
	if Has(AVX512) != (ran > 0) {
		t.Errorf("%d products at levels up to %v", ran, best)
	}
}
