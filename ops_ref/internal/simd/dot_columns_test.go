package simd

import (
	"math/rand/v2"
	"testing"
)

// TestDotColumnsIsDot compares all levels with the row functions, bit by bit, whatever the number of columns.
func TestDotColumnsIsDot(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 11))
		for f := range dtypes {
			for _, s := range [][2]int{{1, 256}, {4, 512}, {7, 1024}, {9, 768 + f.Block()}} {
				rows, k := s[0], s[1]
				if k%f.Block() != 0 {
					continue
				}
				acts := activations(r, k)
				for wname, w := range weights(r, f, rows, k) {
					for cols := 1; cols <= 9; cols++ {
						columnsAreDot(t, f, wname, w, rows, k, cols, acts,
							func(out []float32, stride int, columns []byte) {
								DotColumns(f, out, stride, w, len(w)/rows, rows, columns, cols, k)
							})
					}
				}
			}
		}
	})
}

// columnsAreDot compares what product writes for cols of the activations, quantized, with the row functions for w.
// Results have a gap between columns, which stays as it was.
func columnsAreDot(t *testing.T, f Format, wname string, w []byte, rows, k, cols int, acts map[string][]float32,
	product func(out []float32, stride int, columns []byte)) {
	t.Helper()
	size, act := len(w)/rows, f.ActBytes(k)
	columns := make([]byte, cols*act)
	var c int
	for _, x := range acts { // in random order
		if c < cols {
			f.Quantize(columns[c*act:][:act], x)
			c++
		}
	}
	stride := rows + 3
	out := make([]float32, cols*stride)
	for i := range out {
		out[i] = 5
	}
	product(out, stride, columns)
	for i, got := range out {
		want := float32(5)
		if c, row := i/stride, i%stride; row < rows {
			want = dotRow(f, 0, w[row*size:][:size], columns[c*act:][:act], 0)
		}
		if !sameBits(got, want) {
			t.Fatalf("format %d, %dx%d, %s, %d columns: result %d is %v, want %v", f, rows, k, wname, cols, i, got,
				want)
		}
	}
}

func TestDotColumnsRejectsWrongSizes(t *testing.T) {
	for name, f := range map[string]func(){
		"output": func() {
			DotColumns(Q4_K, make([]float32, 7), 4, make([]byte, 4*144), 144, 4, make([]byte, 2*ActKBytes), 2, 256)
		},
		"weights": func() {
			DotColumns(Q4_K, make([]float32, 8), 4, make([]byte, 4*144-1), 144, 4, make([]byte, 2*ActKBytes), 2, 256)
		},
		"activations": func() {
			DotColumns(Q4_K, make([]float32, 8), 4, make([]byte, 4*144), 144, 4, make([]byte, 2*ActKBytes-1), 2, 256)
		},
		"block": func() {
			DotColumns(Q4_K, make([]float32, 8), 4, make([]byte, 4*144), 144, 4, make([]byte, 2*ActKBytes), 2, 128)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			f()
		})
	}
}
