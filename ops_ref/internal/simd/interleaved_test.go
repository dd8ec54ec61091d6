package simd

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
)

// interleaved returns rows of w, of k elements each, interleaved.
func interleaved(f Format, w []byte, k int) []byte {
	woven := cast.Bytes(int64(len(w)))
	f.Interleave(woven, w, k)
	return woven
}

// TestInterleavedRowsAreRows takes rows of random bytes out again, and compares all levels.
func TestInterleavedRowsAreRows(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(40, 40))
		for f := range dtypes {
			const groups = 3
			k := 3 * f.step()
			size := f.Bytes(k)
			w := make([]byte, groups*InterleavedRows*size)
			for i := range w {
				w[i] = byte(r.Uint32())
			}
			woven := interleaved(f, w, k)
			var want []byte
			generic(func() { want = interleaved(f, w, k) })
			if !bytes.Equal(woven, want) {
				t.Fatalf("format %d: other bytes than the definition", f)
			}
			for i := range groups * InterleavedRows {
				row := make([]byte, size)
				f.InterleavedRow(row, woven[i/InterleavedRows*InterleavedRows*size:], i%InterleavedRows, k)
				if !bytes.Equal(row, w[i*size:][:size]) {
					t.Fatalf("format %d: row %d is not what it was", f, i)
				}
			}
		}
	})
}

// TestDotInterleavedIsDot compares all levels with the row functions, bit by bit, whatever the number of columns.
func TestDotInterleavedIsDot(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(41, 41))
		for f := range dtypes {
			for _, s := range [][2]int{{16, f.step()}, {48, 1280}} {
				rows, k := s[0], s[1]
				acts := activations(r, k)
				for wname, w := range weights(r, f, rows, k) {
					woven := interleaved(f, w, k)
					for _, cols := range []int{1, 2, 3, 4, 5, 7} {
						columnsAreDot(t, f, wname, w, rows, k, cols, acts,
							func(out []float32, stride int, columns []byte) {
								DotInterleaved(f, out, stride, woven, rows, columns, cols, k)
							})
					}
				}
			}
		}
	})
}

// TestRepackInterleavedIsRepack compares the panels of interleaved rows with those of rows as files have them, of a
// part of their elements.
func TestRepackInterleavedIsRepack(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(42, 42))
		for f := range dtypes {
			k, first, n := 5*f.step(), f.step(), 3*f.step()
			if !Interleaves() {
				t.Skipf("SKIPPED: no interleaved rows at level %v", Current())
			}
			for name, w := range weights(r, f, TileRows, k) {
				got, want := cast.Bytes(int64(f.PanelsBytes(2, n))), cast.Bytes(int64(f.PanelsBytes(2, n)))
				f.Repack(want, 1, w[f.Bytes(first):], f.Bytes(k), n)
				f.RepackInterleaved(got, 1, interleaved(f, w, k), k, first, n)
				if !bytes.Equal(got, want) {
					t.Fatalf("format %d, %s: other panels", f, name)
				}
			}
		}
	})
}

func TestInterleavedRejectsWrongSizes(t *testing.T) {
	w, act := make([]byte, 16*144), make([]byte, ActKBytes)
	for name, f := range map[string]func(){
		"rows to interleave": func() { Q4_K.Interleave(w[:15*144], w[:15*144], 256) },
		"part of a block":    func() { Q4_K.Interleave(w, w, 128) },
		"destination":        func() { Q4_K.Interleave(w[1:], w, 256) },
		"row":                func() { Q4_K.InterleavedRow(make([]byte, 144), w, 16, 256) },
		"output":             func() { DotInterleaved(Q4_K, make([]float32, 15), 16, w, 16, act, 1, 256) },
		"weights":            func() { DotInterleaved(Q4_K, make([]float32, 16), 16, w[1:], 16, act, 1, 256) },
		"activations":        func() { DotInterleaved(Q4_K, make([]float32, 16), 16, w, 16, act[1:], 1, 256) },
		"rows":               func() { DotInterleaved(Q4_K, make([]float32, 16), 16, w, 8, act, 1, 256) },
		"elements to repack": func() {
			Q4_K.RepackInterleaved(make([]byte, 1<<20), 0, make([]byte, 32*144), 256, 0,
				512)
		},
		"weights to repack": func() {
			Q4_K.RepackInterleaved(make([]byte, 1<<20), 0, make([]byte, 31*144), 256, 0,
				256)
		},
		"destination of panels": func() {
			Q4_K.RepackInterleaved(make([]byte, 1000), 0, make([]byte, 32*144), 256, 0,
				256)
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
