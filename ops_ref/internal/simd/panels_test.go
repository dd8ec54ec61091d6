package simd

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// mulPanels computes all columns of one tile through panels.
func mulPanels(f Format, w []byte, x [][]float32, k int) []float32 {
	actBytes := f.ActBytes(k)
	acts := make([]byte, len(x)*actBytes)
	for c := range x {
		f.Quantize(acts[c*actBytes:], x[c])
	}
	panel := Bytes(int64(f.PanelBytes(k)))
	f.Repack(panel, w, len(w)/TileRows, k)
	columns := Bytes(int64(f.ColumnsBytes(len(x), k)))
	for c := range x {
		f.PackColumn(columns, acts[c*actBytes:], c, len(x), k)
	}
	out := make([]float32, len(x)*TileRows)
	f.MulPanels(out, TileRows, panel, columns, len(x), k)
	return out
}

// TestPanelsAreDot compares with Dot, whose definition holds for products through panels too.
func TestPanelsAreDot(t *testing.T) {
	levels(t, func(t *testing.T) {
		if !Q8_0.HasPanels(256) {
			t.Skipf("SKIPPED: no panels at level %v", Current())
		}
		r := rand.New(rand.NewPCG(8, 8))
		for f := range dtypes {
			for _, s := range [][2]int{{f.step(), 1}, {f.step(), 16}, {512, 17}, {1024, 0}, {256, 5}, {1280 + f.step(), 150}} {
				k, cols := s[0], s[1]
				var x [][]float32
				var names []string
				for name, v := range activations(r, k) {
					x, names = append(x, v), append(names, name)
				}
				for len(x) < cols {
					x, names = append(x, normal(r, k)), append(names, "more")
				}
				if cols > 0 {
					x = x[:cols]
				}
				for name, w := range weights(r, f, TileRows, k) {
					got := mulPanels(f, w, x, k)
					for c := range x {
						act := make([]byte, f.ActBytes(k))
						f.Quantize(act, x[c])
						want := make([]float32, TileRows)
						Dot(f, want, w, len(w)/TileRows, act, k)
						for i := range want {
							if g := got[c*TileRows+i]; !sameBits(g, want[i]) {
								t.Fatalf("format %d, k %d, %s·%s, column %d of %d: row %d is %v, want %v", f, k, name, names[c], c, len(x), i, g, want[i])
							}
						}
					}
				}
			}
		}
	})
}

// BenchmarkGemm measures products of 256 rows with many columns, repacking included.
func BenchmarkGemm(b *testing.B) {
	const k, rows = 4096, 256
	r := rand.New(rand.NewPCG(9, 9))
	for f, dt := range dtypes {
		if !f.HasPanels(k) {
			continue
		}
		for _, cols := range []int{12, 48, 192} {
			b.Run(fmt.Sprintf("%v/columns%d", dt, cols), func(b *testing.B) {
				format, _ := dt.Format()
				size := k / format.Block * format.Bytes
				w := Bytes(int64(rows * size))
				acts := Bytes(int64(cols * f.ActBytes(k)))
				columns := Bytes(int64(f.ColumnsBytes(cols, k)))
				for c := range cols {
					f.Quantize(acts[c*f.ActBytes(k):], normal(r, k))
					f.PackColumn(columns, acts[c*f.ActBytes(k):], c, cols, k)
				}
				panel := Bytes(int64(f.PanelBytes(k)))
				out := make([]float32, cols*rows)
				for b.Loop() {
					for row := 0; row < rows; row += TileRows {
						f.Repack(panel, w[row*size:], size, k)
						f.MulPanels(out[row:], rows, panel, columns, cols, k)
					}
				}
				b.ReportMetric(2*k*rows*float64(cols)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOP/s")
			})
		}
	}
	b.Run("F32", func(b *testing.B) {
		const cols = 48
		w := Bytes(4 * k * rows)
		x, out := normal(r, k*cols), make([]float32, cols*rows)
		for b.Loop() {
			MulFloat(out, rows, Matrix{F32, w, 4 * k}, rows, x, k, cols, k)
		}
		b.ReportMetric(2*k*rows*float64(cols)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOP/s")
	})
}
