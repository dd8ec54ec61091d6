package simd

import (
	"math/rand/v2"
	"testing"
)

// TestDotBlocks compares products of rows of types with blocks of 32 as they are with those of converted rows, bit by
// bit: also of rows that end within a group of four blocks.
func TestDotBlocks(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(55, 55))
		for _, c := range []Conversion{Q4_0, Q5_0, IQ4_NL, MXFP4} {
			for _, s := range [][3]int{{1, 1, 128}, {4, 1, 256}, {7, 3, 160}, {16, 4, 800}, {5, 7, 224}} {
				rows, cols, k := s[0], s[1], s[2]
				f, size := c.Format(), k/32*conversions[c].bytes
				act := f.ActBytes(k)
				w, acts := make([]byte, rows*size), make([]byte, cols*act)
				for i := range w {
					w[i] = byte(r.Uint32())
					if c == MXFP4 && i%17 == 0 {
						w[i] = byte(104 + r.IntN(40))
					}
				}
				for i := range cols {
					f.Quantize(acts[i*act:], normal(r, k))
				}
				stride := rows + 1
				got, want := make([]float32, cols*stride), make([]float32, cols*stride)
				if ok := c.Dot(got, stride, w, size, rows, acts, cols, k); ok != hasDotConverted(c) {
					t.Fatalf("type %d, k %d: %v, want %v", c, k, ok, !ok)
				} else if !ok {
					continue
				}
				converted := make([]byte, rows*f.Bytes(k))
				for i := range rows {
					c.Convert(converted[i*f.Bytes(k):], w[i*size:][:size])
				}
				DotColumns(f, want, stride, converted, f.Bytes(k), rows, acts, cols, k)
				for i := range want {
					if !sameBits(got[i], want[i]) {
						t.Fatalf("type %d, %d rows, %d columns, k %d: row %d of column %d is %v, want %v", c, rows, cols,
							k, i%stride, i/stride, got[i], want[i])
					}
				}
				if c != MXFP4 {
					continue
				}
				for _, e := range []byte{0, 103, 144, 255} {
					w[len(w)-17] = e
					if c.Dot(got, stride, w, size, rows, acts, cols, k) {
						t.Errorf("scale %d, which float16 lacks, was multiplied", e)
					}
				}
			}
		}
	})
}
