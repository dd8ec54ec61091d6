package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
)

// manyNormal returns n rows of k normal numbers.
func manyNormal(r *rand.Rand, n, k int) [][]float32 {
	x := make([][]float32, n)
	for i := range x {
		x[i] = normal(r, k)
	}
	return x
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// packColumns returns the columns that panels of f meet, and the activations as Dot wants them.
func packColumns(f Format, x [][]float32) (columns, acts []byte) {
	k := len(x[0])
	actBytes := f.ActBytes(k)
	acts, columns = cast.Bytes(int64(len(x)*actBytes)), cast.Bytes(int64(f.ColumnsBytes(len(x), k)))
	for c := range x {
		f.Quantize(acts[c*actBytes:], x[c])
	}
	packQuantized(f, columns, acts, x)
	return columns, acts
}

// packQuantized writes activations, or what they were quantized from, as columns.
func packQuantized(f Format, columns, acts []byte, x [][]float32) {
	k, size := len(x[0]), f.ActBytes(len(x[0]))
	for c := 0; c < len(x); c += TileColumns {
		var some [][]byte
		for i := range min(TileColumns, len(x)-c) {
			if RoundsColumns() {
				Rounded.PackFloats(columns, x[c+i], c+i)
			}
			some = append(some, acts[(c+i)*size:][:size])
		}
		if !RoundsColumns() {
			f.PackColumns(columns, some, c, len(x), k)
		}
	}
}

// mulPanels computes all columns of two panels, n elements at a time.
func mulPanels(f Format, w []byte, x [][]float32, k, n int) []float32 {
	columns, _ := packColumns(f, x)
	const panels, gap = 2, 3
	rowBytes := len(w) / (panels * TileRows)
	out := make([]float32, roundUp(len(x), FloatColumns)*(panels*TileRows+gap))
	for first := 0; first < k; first += n {
		n := min(n, k-first)
		b := cast.Bytes(int64(f.PanelsBytes(panels, n)))
		for i := range panels {
			f.Repack(b, i, w[i*TileRows*rowBytes+first/f.Block()*layouts[f].bytes:], rowBytes, n)
		}
		f.MulPanels(out, panels*TileRows+gap, b, panels, columns, len(x), k, first, n)
	}
	return out
}

// TestPanelsAreDot compares with Dot, whose definition holds for products through panels too.
func TestPanelsAreDot(t *testing.T) {
	levels(t, func(t *testing.T) {
		if !Q8_0.HasPanels(256) || RoundsColumns() {
			t.Skipf("SKIPPED: no panels of integers at level %v", Current())
		}
		r := rand.New(rand.NewPCG(8, 8))
		for f := range dtypes {
			for _, s := range [][3]int{{f.step(), 1, 256}, {f.step(), 16, 256}, {512, 17, 256}, {1024, 0, 4096},
				{256, 5, 256}, {1280 + f.step(), 150, 512}} {
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
				const rows, stride = 2 * TileRows, 2*TileRows + 3
				for name, w := range weights(r, f, rows, k) {
					got := mulPanels(f, w, x, k, s[2])
					for c := range x {
						act := make([]byte, f.ActBytes(k))
						f.Quantize(act, x[c])
						want := make([]float32, stride) // nothing between the columns
						Dot(f, want[:rows], w, len(w)/rows, act, k)
						for i := range want {
							if g := got[c*stride+i]; !sameBits(g, want[i]) {
								t.Fatalf("format %d, k %d, %s·%s, column %d of %d: row %d is %v, want %v", f, k, name,
									names[c], c, len(x), i, g, want[i])
							}
						}
					}
				}
			}
		}
	})
}

// TestRoundedPanels compares products on tiles with sums in float64: each factor is off by a half of the last of 8
// bits at most, which is 2^-9 of it. What is not finite in the sums is not finite on tiles.
func TestRoundedPanels(t *testing.T) {
	onTiles(t)
	r := rand.New(rand.NewPCG(11, 11))
	for f, dt := range dtypes {
		format, _ := dt.Format()
		for _, s := range [][3]int{{f.step(), 1, 256}, {512, 17, 256}, {1280 + f.step(), 150, 512}} {
			k, cols := s[0], s[1]
			x := [][]float32{normal(r, k)}
			for len(x) < cols {
				x = append(x, normal(r, k))
			}
			const rows, stride = 2 * TileRows, 2*TileRows + 3
			for name, raw := range weights(r, f, rows, k) {
				got := mulPanels(f, raw, x, k, s[2])
				w := make([]float32, rows*k)
				format.Dequant(w, raw)
				for c := range x {
					for i := range rows {
						var want, size float64
						for j, v := range x[c] {
							p := float64(w[i*k+j]) * float64(v)
							want += p
							size += math.Abs(p)
						}
						g := float64(got[c*stride+i])
						// Subnormal numbers count as zeros on tiles: their products are below the second term.
						bound := (0x1p-8+float64(k)*0x1p-24)*size + float64(k)*0x1p-120
						if finite := want-want == 0 && want < math.MaxFloat32/4 && want > -math.MaxFloat32/4; finite &&
							!(math.Abs(g-want) <= bound) || want-want != 0 && g-g == 0 {
							t.Fatalf("%v, k %d, %s: row %d of column %d is %v, want %v within %g", dt, k, name, i, c,
								g, want, bound)
						}
					}
					for _, v := range got[c*stride+rows:][:stride-rows] {
						if v != 0 {
							t.Fatal("wrote between columns")
						}
					}
				}
			}
		}
	}
}

// BenchmarkGemm measures products of 256 rows with many columns, repacking included.
func BenchmarkGemm(b *testing.B) {
	const k, rows = 4096, 256
	r := rand.New(rand.NewPCG(9, 9))
	for f, dt := range dtypes {
		if !f.HasPanels(k) {
			continue
		}
		for _, cols := range []int{12, 48, 192, 512} {
			b.Run(fmt.Sprintf("%v/columns%d", dt, cols), func(b *testing.B) {
				format, _ := dt.Format()
				size := k / format.Block * format.Bytes
				w := cast.Bytes(int64(rows * size))
				columns, _ := packColumns(f, manyNormal(r, cols, k))
				const count = 4
				chunk := f.PanelChunk(k, cols)
				panels := cast.Bytes(int64(f.PanelsBytes(count, chunk)))
				out := make([]float32, roundUp(cols, FloatColumns)*rows)
				for b.Loop() {
					for row := 0; row < rows; row += count * TileRows {
						for first := 0; first < k; first += chunk {
							n := min(chunk, k-first)
							for i := range count {
								f.Repack(panels, i, w[(row+i*TileRows)*size+first/format.Block*format.Bytes:], size, n)
							}
							f.MulPanels(out[row:], rows, panels, count, columns, cols, k, first, n)
						}
					}
				}
				b.ReportMetric(2*k*rows*float64(cols)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOP/s")
			})
		}
	}
	b.Run("F32", func(b *testing.B) {
		const cols = 48
		w := cast.Bytes(4 * k * rows)
		x, out := normal(r, k*cols), make([]float32, cols*rows)
		for b.Loop() {
			MulFloat(out, rows, Matrix{F32, w, 4 * k}, rows, x, k, cols, k)
		}
		b.ReportMetric(2*k*rows*float64(cols)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOP/s")
	})
}

// BenchmarkFewColumns measures from how many columns on panels pay: 128 rows as they are, and in panels, everything
// included.
func BenchmarkFewColumns(b *testing.B) {
	const k, rows = 2048, 128
	r := rand.New(rand.NewPCG(10, 10))
	for _, l := range []Level{AVX512, AMX} {
		for f, dt := range dtypes {
			size := f.Bytes(k)
			w := cast.Bytes(int64(rows * size))
			for _, cols := range []int{2, 3, 4, 6, 8, 12, 16, 17, 24, 32} {
				b.Run(fmt.Sprintf("%v/%v/columns%d", l, dt, cols), func(b *testing.B) {
					restore, ok := Force(l)
					defer restore()
					if !ok {
						b.Skipf("SKIPPED: this machine has %v at most", best)
					}
					actBytes, x := f.ActBytes(k), manyNormal(r, cols, k)
					columns, acts := packColumns(f, x)
					panels := cast.Bytes(int64(f.PanelsBytes(rows/TileRows, k)))
					out := make([]float32, roundUp(cols, FloatColumns)*rows)
					var plain, packed time.Duration = time.Hour, time.Hour
					for b.Loop() {
						t0 := time.Now()
						for row := 0; row < rows; row += 16 {
							for c := range cols {
								Dot(f, out[c*rows+row:][:16], w[row*size:], size, acts[c*actBytes:], k)
							}
						}
						t1 := time.Now()
						packQuantized(f, columns, acts, x)
						for i := range rows / TileRows {
							f.Repack(panels, i, w[i*TileRows*size:], size, k)
						}
						f.MulPanels(out, rows, panels, rows/TileRows, columns, cols, k, 0, k)
						plain, packed = min(plain, t1.Sub(t0)), min(packed, time.Since(t1))
					}
					b.ReportMetric(float64(plain.Nanoseconds()), "ns-plain")
					b.ReportMetric(float64(packed.Nanoseconds()), "ns-panels")
				})
			}
		}
	}
}
