package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
)

// TestFloatColumnsAreMulFloat checks that panels of columns change no bit, whatever edges there are and whatever the
// memory held.
func TestFloatColumnsAreMulFloat(t *testing.T) {
	if !HasFloatColumns(floatSums) {
		t.Skipf("SKIPPED: no panels of columns at level %v", Current())
	}
	r := rand.New(rand.NewPCG(31, 31))
	for _, typ := range []FloatType{F32, F16, BF16} {
		for _, s := range [][3]int{{16, 4, 1}, {48, 8, 6}, {columnChunk, 20, 7}, {2*columnChunk + 32, 36, 13}} {
			k, rows, cols := s[0], s[1], s[2]
			wStride, stride := k+5, rows+3
			_, raw := floatWeights(r, typ, rows*wStride)
			x := normal(r, cols*k)
			columns, sums := make([]float32, FloatColumnsLen(cols, k)), make([]float32, FloatSumsLen(rows))
			for _, dirty := range [][]float32{columns, sums} {
				for i := range dirty {
					dirty[i] = float32(math.NaN())
				}
			}
			got, want := make([]float32, cols*stride), make([]float32, cols*stride)
			for c := range cols {
				PackFloatColumn(columns, x[c*k:][:k], c)
				for i := range rows {
					want[c*stride+i] = dotF32Row(typ, raw[i*wStride*typ.Size():], x[c*k:][:k])
				}
			}
			MulFloatColumns(got, stride, Matrix{typ, raw, wStride * typ.Size()}, rows, columns, cols, k, sums)
			for i := range want {
				if !sameBits(got[i], want[i]) {
					t.Fatalf("type %d, k %d, %d rows, %d columns: row %d of column %d is %v, want %v", typ, k, rows, cols, i%stride,
						i/stride, got[i], want[i])
				}
			}
		}
	}
}

// BenchmarkFloatColumns measures products of rows with many columns, which take turns with MulFloat.
func BenchmarkFloatColumns(b *testing.B) {
	r := rand.New(rand.NewPCG(32, 32))
	for _, s := range [][2]int{{64, 1024}, {32, 3072}, {16, 9728}} {
		rows, k := s[0], s[1]
		for _, cols := range []int{12, 48, 512} {
			b.Run(fmt.Sprintf("k%d/columns%d", k, cols), func(b *testing.B) {
				if !HasFloatColumns(k) {
					b.Skipf("SKIPPED: no panels of columns at level %v", Current())
				}
				_, half := floatWeights(r, F16, rows*k)
				w, x := normal(r, rows*k), normal(r, cols*k)
				columns, sums := make([]float32, FloatColumnsLen(cols, k)), make([]float32, FloatSumsLen(rows))
				for c := range cols {
					PackFloatColumn(columns, x[c*k:][:k], c)
				}
				out := make([]float32, rows*cols)
				plain, panels, halves := time.Hour, time.Hour, time.Hour
				for b.Loop() {
					t0 := time.Now()
					for row := 0; row < rows; row += 8 {
						MulFloat(out[row:], rows, Matrix{F32, cast.AsBytes(w[row*k:]), 4 * k}, 8, x, k, cols, k)
					}
					t1 := time.Now()
					MulFloatColumns(out, rows, Matrix{F32, cast.AsBytes(w), 4 * k}, rows, columns, cols, k, sums)
					t2 := time.Now()
					MulFloatColumns(out, rows, Matrix{F16, half, 2 * k}, rows, columns, cols, k, sums)
					plain, panels, halves = min(plain, t1.Sub(t0)), min(panels, t2.Sub(t1)), min(halves, time.Since(t2))
				}
				flop := 2e-9 * float64(rows*k*cols)
				b.ReportMetric(flop/plain.Seconds(), "GFLOP/s-plain")
				b.ReportMetric(flop/panels.Seconds(), "GFLOP/s-panels")
				b.ReportMetric(flop/halves.Seconds(), "GFLOP/s-F16")
			})
		}
	}
}
