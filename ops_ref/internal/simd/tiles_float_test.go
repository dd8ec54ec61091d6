package simd

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
)

// onTiles makes the test use tiles, and skips it where there are none.
func onTiles(t *testing.T) {
	t.Helper()
	restore, ok := Force(AMX)
	if !ok {
		t.Skipf("SKIPPED: this machine or build has %v at most", best)
	}
	t.Cleanup(restore)
}

// floatWeights returns n numbers of type t as float32, and as they are stored.
func floatWeights(r *rand.Rand, t FloatType, n int) ([]float32, []byte) {
	raw := make([]byte, n*t.Size())
	for i := range n {
		v := math.Float32bits(float32(r.NormFloat64()))
		switch t {
		case F32:
			binary.LittleEndian.PutUint32(raw[4*i:], v)
		case BF16:
			binary.LittleEndian.PutUint16(raw[2*i:], uint16(v>>16))
		case F16:
			binary.LittleEndian.PutUint16(raw[2*i:], uint16(r.Uint32())&0xbfff) // subnormals too
		}
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = elem(t, raw, i)
	}
	return x, raw
}

// mulFloatPanels computes all columns of one panel, in chunks of n elements.
func mulFloatPanels(t FloatType, w, x []float32, cols, k, n, outStride int) []float32 {
	columns := make([]byte, t.ColumnsBytes(cols, k))
	for c := range cols {
		t.PackFloats(columns, x[c*k:][:k], c)
	}
	out := make([]float32, roundUp(cols, FloatColumns)*outStride)
	for first := 0; first < k; first += n {
		n := min(n, k-first)
		panel := make([]byte, t.PanelBytes(n))
		for half := range 2 {
			t.RepackFloats(panel, half, w[half*16*k+first:], k, n)
		}
		t.MulFloatPanels(out, outStride, panel, 1, columns, cols, k, first, n)
	}
	return out
}

// TestFloatPanels compares with sums in float64. The products that are left out are at most two units of the last
// place of each product, or 2^-17 of it if the weights are not float32; a tile adds 16 products to each of two sums,
// and these to the result, for each pair of planes.
func TestFloatPanels(t *testing.T) {
	onTiles(t)
	r := rand.New(rand.NewPCG(17, 17))
	for typ, name := range map[FloatType]string{F32: "F32", F16: "F16", BF16: "BF16"} {
		for _, s := range [][2]int{{32, 1}, {64, 32}, {1024, 33}, {1120, 70}, {2048, 16}} {
			k, cols := s[0], s[1]
			t.Run(fmt.Sprintf("%s/k%d/columns%d", name, k, cols), func(t *testing.T) {
				w, _ := floatWeights(r, typ, FloatRows*k)
				x := normal(r, cols*k)
				const gap = 5
				out := mulFloatPanels(typ, w, x, cols, k, typ.Chunk(), FloatRows+gap)
				for c := range cols {
					for i := range FloatRows {
						var want, size float64
						for j := range k {
							p := float64(w[i*k+j]) * float64(x[c*k+j])
							want += p
							size += math.Abs(p)
						}
						bound := float64(6*k/floatStep+16+2+2) * 0x1p-24 * size
						if typ != F32 {
							bound += 0x1p-17 * size
						}
						if got := float64(out[c*(FloatRows+gap)+i]); !(math.Abs(got-want) <= bound) {
							t.Fatalf("row %d of column %d is %v, want %v: off by %g, bound %g", i, c, got, want,
								got-want, bound)
						}
					}
					for _, v := range out[c*(FloatRows+gap)+FloatRows:][:gap] {
						if v != 0 {
							t.Fatal("wrote between columns")
						}
					}
				}
			})
		}
	}
}

// TestFloatPlanes checks that products with one are exact: planes lose nothing.
func TestFloatPlanes(t *testing.T) {
	onTiles(t)
	r := rand.New(rand.NewPCG(18, 18))
	for _, typ := range []FloatType{F32, F16, BF16} {
		w, _ := floatWeights(r, typ, FloatRows*32)
		x := make([]float32, 32*32) // column c picks element c of each row
		for c := range 32 {
			x[c*32+c] = 1
		}
		out := mulFloatPanels(typ, w, x, 32, 32, 32, FloatRows)
		for c := range 32 {
			for i := range FloatRows {
				if got, want := out[c*FloatRows+i], w[i*32+c]; got != want {
					t.Fatalf("type %d: element %d of row %d is %x, want %x", typ, c, i, got, want)
				}
			}
		}
		// The activations' planes, with weights of one.
		if typ != F32 {
			continue
		}
		y, one := normal(r, 32), make([]float32, FloatRows*32)
		y[3], y[4] = math.MaxFloat32, -math.MaxFloat32
		for i := range 32 {
			one[i*32+i] = 1
		}
		for i, got := range mulFloatPanels(typ, one, y, 1, 32, 32, FloatRows)[:FloatRows] {
			if got != y[i] {
				t.Fatalf("activation %d is %x, want %x", i, got, y[i])
			}
		}
	}
}

// BenchmarkFloatPanels measures products of 128 rows of float32 with many columns, repacking included.
func BenchmarkFloatPanels(b *testing.B) {
	const rows, k = 128, 1024
	if !HasFloatPanels(k) {
		b.Skipf("SKIPPED: no kernels at level %v", Current())
	}
	r := rand.New(rand.NewPCG(19, 19))
	for typ, name := range map[FloatType]string{F32: "F32", F16: "F16", BF16: "BF16"} {
		for _, cols := range []int{16, 64, 512} {
			b.Run(fmt.Sprintf("%s/columns%d", name, cols), func(b *testing.B) {
				w, _ := floatWeights(r, typ, rows*k)
				columns := cast.Bytes(int64(typ.ColumnsBytes(cols, k)))
				for c := range cols {
					typ.PackFloats(columns, normal(r, k), c)
				}
				panels := cast.Bytes(int64(rows / FloatRows * typ.PanelBytes(k)))
				out := make([]float32, roundUp(cols, FloatColumns)*rows)
				for b.Loop() {
					for row := 0; row < rows; row += FloatRows {
						panel := panels[row/FloatRows*typ.PanelBytes(k):]
						for half := range 2 {
							typ.RepackFloats(panel, half, w[(row+16*half)*k:], k, k)
						}
					}
					typ.MulFloatPanels(out, rows, panels, rows/FloatRows, columns, cols, k, 0, k)
				}
				b.ReportMetric(2*k*rows*float64(cols)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOP/s")
			})
		}
	}
}
