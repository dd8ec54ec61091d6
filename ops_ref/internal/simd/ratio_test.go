package simd

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
)

// BenchmarkRatio reports the bytes of weights per second of each format as a share of the F32 product's, over
// matrices of half a megabyte, in the layout that kernels of the level want. Both take turns in slices of some 10 µs,
// and the share is the median over pairs of neighbours, which other work on the machine disturbs little.
func BenchmarkRatio(b *testing.B) {
	const k = 4096
	r := rand.New(rand.NewPCG(7, 7))
	x := normal(r, k)
	dense := cast.Bytes(1 << 19)
	out := make([]float32, 1<<19/k)
	f32 := func() {
		rows := 1 << 19 / (4 * k)
		MulFloat(out, rows, Matrix{F32, dense, 4 * k}, rows, x, k, 1, k)
	}
	for _, l := range Levels()[1:] {
		for f, dt := range dtypes {
			b.Run(fmt.Sprintf("%v/%v", dt, l), func(b *testing.B) {
				restore, ok := Force(l)
				defer restore()
				if !ok {
					b.Skipf("SKIPPED: this machine has %v at most", best)
				}
				size := k / f.Block() * layouts[f].bytes
				rows := 1 << 19 / size / InterleavedRows * InterleavedRows
				w, act := cast.Bytes(int64(rows*size)), cast.Bytes(int64(f.ActBytes(k)))
				f.Quantize(act, x)
				y := make([]float32, rows)
				product := func() { Dot(f, y, w, size, act, k) }
				if Interleaves() && f.Interleaved(rows, k) {
					product = func() { DotInterleaved(f, y, rows, w, rows, act, 1, k) }
				}
				var shares []float64
				var fast time.Duration = time.Hour
				for b.Loop() {
					t0 := time.Now()
					f32()
					t1 := time.Now()
					product()
					t2 := time.Now()
					fast = min(fast, t1.Sub(t0))
					shares = append(shares, float64(rows*size)/t2.Sub(t1).Seconds()/(1<<19/t1.Sub(t0).Seconds()))
				}
				slices.Sort(shares)
				b.ReportMetric(shares[len(shares)/2], "of-F32")
				b.ReportMetric(1<<19/fast.Seconds()/1e9, "best-F32-GB/s")
			})
		}
	}
}
