package simd

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
)

// heads are the sizes of heads that loops over vectors go wrong on: the smallest, odd and even numbers of steps.
var headSizes = []int{16, 32, 48, 64, 96, 128, 256}

func TestPanelsAreTheirDefinitions(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(20, 20))
		for _, dim := range headSizes {
			rows := normal(r, PanelQueries*dim)
			panel, want := make([]float32, PanelQueries*dim), make([]float32, PanelQueries*dim)
			PackQueries(panel, rows, dim)
			generic(func() { PackQueries(want, rows, dim) })
			equal(t, "panel", panel, want)
			for _, n := range []int{1, 4, 5, 31, 128} {
				up := (n + 7) / 8 * 8
				keys, values := normal(r, up*dim), normal(r, n*dim)
				s, wantS := normal(r, up*PanelQueries), make([]float32, up*PanelQueries)
				PanelScores(s, keys, n, dim, panel)
				generic(func() { PanelScores(wantS, keys, n, dim, panel) })
				equal(t, "scores", s[:n*PanelQueries], wantS[:n*PanelQueries])
				for i := range PanelQueries { // and the definition of that
					if d := dot(keys[:dim], rows[i*dim:][:dim]); !sameBits(d, s[i]) {
						t.Fatalf("score of query %d is %v, want %v", i, s[i], d)
					}
				}

				from, to := make([]int32, PanelQueries), make([]int32, PanelQueries)
				for i := range from {
					to[i] = int32(r.IntN(n + 1))
					from[i] = int32(r.IntN(int(to[i]) + 1))
				}
				for i := n * PanelQueries; i < len(s); i++ {
					s[i] = float32(math.NaN()) // what lies behind the last row does not matter
				}
				copy(wantS, s)
				var top, sum, wantTop, wantSum [PanelQueries]float32
				Softmax(s, n, from, to, 0.3, top[:], sum[:])
				generic(func() { Softmax(wantS, n, from, to, 0.3, wantTop[:], wantSum[:]) })
				for i := range from {
					if from[i] == to[i] {
						continue // undefined
					}
					if !sameBits(top[i], wantTop[i]) || !sameBits(sum[i], wantSum[i]) {
						t.Fatalf("query %d: top %v, want %v; sum %v, want %v", i, top[i], wantTop[i], sum[i],
							wantSum[i])
					}
					for j := range n {
						if at := j*PanelQueries + i; !sameBits(s[at], wantS[at]) {
							t.Fatalf("query %d: weight %d is %v, want %v", i, j, s[at], wantS[at])
						}
					}
				}

				weights := normal(r, n*PanelQueries)
				out := normal(r, ValueQueries*dim)
				wantOut := append([]float32(nil), out...)
				PanelValues(out, values, weights[8:], n, dim)
				for i := range ValueQueries {
					var own []float32
					for j := range n {
						own = append(own, weights[j*PanelQueries+8+i])
					}
					addRow(wantOut[i*dim:][:dim], Matrix{F32, cast.AsBytes(values), 4 * dim}, own, 0)
				}
				equal(t, "values", out, wantOut)
				one, wantOne := normal(r, dim), make([]float32, dim)
				copy(wantOne, one)
				PanelValue(one, values, weights[3:], n)
				generic(func() { PanelValue(wantOne, values, weights[3:], n) })
				equal(t, "values of one query", one, wantOne)
			}
			const n = 5
			dst, x, a, b := normal(r, n*dim), normal(r, n*dim), normal(r, n), normal(r, n)
			wantDst := append([]float32(nil), dst...)
			MergeRows(dst, x, a, b, dim)
			for i := range n {
				mergeRow(wantDst[i*dim:][:dim], x[i*dim:], a[i], b[i])
			}
			equal(t, "merged rows", dst, wantDst)
		}
	})
}

// TestSoftmaxIsThatOfRows compares a column with what the functions for rows make of it.
func TestSoftmaxIsThatOfRows(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(21, 21))
		const n = 77
		s := normal(r, 80*PanelQueries)
		for i := range s {
			s[i] *= 60
		}
		from, to := make([]int32, PanelQueries), make([]int32, PanelQueries)
		for i := range to {
			to[i] = int32(n - i)
		}
		rows := make([][]float32, PanelQueries)
		for i := range rows {
			for j := range int(to[i]) {
				rows[i] = append(rows[i], s[j*PanelQueries+i])
			}
		}
		var top, sum [PanelQueries]float32
		Softmax(s, n, from, to, 0.7, top[:], sum[:])
		for i, row := range rows {
			Scale.Apply(row, row, 0.7)
			m := Max(row, float32(math.Inf(-1)))
			if total := ExpSum(row, m); m != top[i] || total != sum[i] {
				t.Fatalf("query %d: top %v, want %v; sum %v, want %v", i, top[i], m, sum[i], total)
			}
			for j, w := range row {
				if got := s[j*PanelQueries+i]; !sameBits(got, w) {
					t.Fatalf("query %d: weight %d is %v, want %v", i, j, got, w)
				}
			}
		}
	})
}

// floats returns n elements of type t as bytes, none of them infinite.
func floatBytes(r *rand.Rand, t FloatType, n int) []byte {
	data := cast.Bytes(int64(n * t.Size()))
	if t == F32 {
		copy(data, cast.AsBytes(normal(r, n)))
		return data
	}
	for i := range n {
		binary.LittleEndian.PutUint16(data[2*i:], uint16(r.Uint32())&0xbbff)
	}
	return data
}

func TestRowsAreTheirDefinitions(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(22, 22))
		for _, typ := range []FloatType{F32, F16, BF16} {
			for _, h := range []Heads{{1, 1, 16}, {2, 2, 64}, {3, 3, 32}, {2, 5, 128}, {3, 4, 64}, {2, 7, 128},
				{1, 8, 96}} {
				for _, n := range []int{1, 4, 7, 37} {
					up, width := (n+3)/4*4, h.Heads*h.Dim+16 // rows have more than these heads
					all := h.Heads * h.Group
					m := Matrix{typ, floatBytes(r, typ, up*width), width * typ.Size()}
					wide, wantWide := make([]float32, n*h.Dim), make([]float32, n*h.Dim)
					WidenRows(wide, m, n, h.Dim)
					generic(func() { WidenRows(wantWide, m, n, h.Dim) })
					equal(t, "float32", wide, wantWide)

					const stride = 40
					q, s, want := normal(r, all*h.Dim), make([]float32, all*stride), make([]float32, all*stride)
					RowScores(s, stride, m, n, h, q, nil)
					generic(func() { RowScores(want, stride, m, n, h, q, nil) })
					equal(t, "scores", s, want)

					out := normal(r, all*h.Dim)
					wantOut := append([]float32(nil), out...)
					weights := normal(r, all*stride)
					m.Data = m.Data[:(n-1)*m.Stride+h.Heads*h.Dim*typ.Size()] // no more than that is read
					RowValues(out, m, n, h, weights, stride, m.Data[len(m.Data)-1:])
					for u := range all {
						head := m
						head.Data = m.Data[u/h.Group*h.Dim*typ.Size():]
						addRow(wantOut[u*h.Dim:][:h.Dim], head, weights[u*stride:][:n], 0)
					}
					equal(t, "values", out, wantOut)
				}
			}
		}
	})
}

// BenchmarkPanels measures what a panel of queries costs with 128 keys of 128 elements.
func BenchmarkPanels(b *testing.B) {
	const n, dim = 128, 128
	r := rand.New(rand.NewPCG(23, 23))
	rows, panel := normal(r, PanelQueries*dim), make([]float32, PanelQueries*dim)
	keys, values, s, out := normal(r, n*dim), normal(r, n*dim), make([]float32, n*PanelQueries),
		make([]float32, PanelQueries*dim)
	from, to := make([]int32, PanelQueries), make([]int32, PanelQueries)
	for i := range to {
		to[i] = n
	}
	var top, sum, ones [PanelQueries]float32
	product := float64(2 * PanelQueries * n * dim)
	for _, c := range []struct {
		name string
		flop float64
		f    func()
	}{
		{"pack", 0, func() { PackQueries(panel, rows, dim) }},
		{"scores", product, func() { PanelScores(s, keys, n, dim, panel) }},
		{"softmax", 0, func() { Softmax(s, n, from, to, 0.09, top[:], sum[:]) }},
		{"values", product, func() {
			for i := 0; i < PanelQueries; i += ValueQueries {
				PanelValues(out[i*dim:], values, s[i:], n, dim)
			}
		}},
		{"merge", 0, func() { MergeRows(out, rows, ones[:], ones[:], dim) }},
		{"widen", 0, func() { WidenRows(values, Matrix{F16, cast.AsBytes(keys), 2 * dim}, n, dim) }},
	} {
		for _, l := range []Level{AVX2, AVX512} {
			b.Run(c.name+"/"+l.String(), func(b *testing.B) {
				restore, ok := Force(l)
				defer restore()
				if !ok {
					b.Skipf("SKIPPED: this machine has %v at most", best)
				}
				for b.Loop() {
					c.f()
				}
				if c.flop > 0 {
					b.ReportMetric(c.flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				}
			})
		}
	}
}
