package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// product multiplies tokens rows of k activations with a weight matrix of n rows on a device.
func product(t *testing.T, dev ops.Device, dt tensor.DType, raw []byte, x []float32, tokens, n, k int) []float64 {
	t.Helper()
	c := ops.Case{Args: []ops.Arg{{DType: tensor.F32, Shape: tensor.Shape{tokens, k}},
		{Leaf: ops.Weight, DType: dt, Shape: tensor.Shape{n, k}}}}
	in := operands{raw: [][]byte{cast.AsBytes(x), raw}}
	return compute(t, dev, ops.MulMatOp, c, in)[0]
}

// TestMulMatColumns checks that a token's bits are the same alone and among others: the kernels for few and for many
// tokens, and their edges, must agree. It runs over all weight types, with rows that can be interleaved and rows that
// cannot. Products on tiles have bits of their own, whatever the number of tokens from which they are used.
func TestMulMatColumns(t *testing.T) {
	dev := New(Options{Threads: 2})
	defer dev.Close()
	if testing.Short() {
		t.Log("SKIPPED: -short leaves one of two sizes for each type to make long")
	}
	levels(t, func(t *testing.T) {
		for i, f := range tensor.Formats() {
			if f.Quant == nil {
				continue
			}
			sizes := []int{67, 80}
			if testing.Short() {
				sizes = sizes[i%2:][:1]
			}
			for _, n := range sizes {
				t.Run(fmt.Sprintf("%s/%d", f.Name, n), func(t *testing.T) { mulMatColumns(t, dev, f, n) })
			}
		}
	})
}

// mulMatColumns is TestMulMatColumns for a matrix of n rows.
func mulMatColumns(t *testing.T, dev *Device, f tensor.Format, n int) {
	const tokens = 37
	counts := []int{1, 2, 3, 8, 9, 13, 17}
	if simd.Current() == simd.AMX {
		counts = []int{fewTokens + 1, fewInterleaved, fewInterleaved + 1, fewFloatTokens + 1, 32, 33}
		if _, ok := interleavable(f.DType, tensor.Shape{n, 512}); ok {
			counts = counts[2:]
		} else if !isInteger(f.DType) {
			counts = counts[3:]
		}
	}
	k := max(f.Block, 256) * 2
	r := rand.New(rand.NewPCG(20, uint64(f.DType)))
	w, x := make([]float32, n*k), make([]float32, tokens*k)
	for i := range w {
		w[i] = float32(r.NormFloat64())
	}
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	raw := make([]byte, n*k/f.Block*f.Bytes)
	f.Quant(raw, w)
	if f.DType == quant.MXFP4 { // rows whose scales are beyond float16
		raw[5*k/32*17], raw[66*k/32*17] = 200, 3
	}
	all := product(t, dev, f.DType, raw, x, tokens, n, k)
	for _, m := range counts {
		got := product(t, dev, f.DType, raw, x[(tokens-m)*k:], m, n, k)
		for i, g := range got {
			if want := all[(tokens-m)*n+i]; math.Float64bits(g) != math.Float64bits(want) {
				t.Fatalf("%d tokens: row %d of token %d is %v, among %d %v", m, i%n, i/n, g, tokens, want)
			}
		}
	}
}

// TestMulMatSpecial checks that what is not finite in the reference is not finite on the fast device, and the other
// way round, and that zeros stay zeros.
func TestMulMatSpecial(t *testing.T) {
	ref, dev := opsref.New(opsref.Options{}), New(Options{Threads: 2})
	defer ref.Close()
	defer dev.Close()
	const n, k = 40, 512
	levels(t, func(t *testing.T) {
		for _, f := range tensor.Formats() {
			if f.Quant == nil {
				continue
			}
			r := rand.New(rand.NewPCG(21, uint64(f.DType)))
			w := make([]float32, n*k)
			for i := range w {
				if w[i] = 1 + float32(r.Float64()); i/k == 7 {
					w[i] = 0
				}
			}
			raw := make([]byte, n*k/f.Block*f.Bytes)
			f.Quant(raw, w)
			for _, tokens := range []int{1, 12} {
				for name, special := range map[string]float32{"nan": float32(math.NaN()),
					"infinite": float32(math.Inf(-1)), "zero": 0, "subnormal": 0x1p-140} {
					t.Run(fmt.Sprintf("%s/%s%d", f.Name, name, tokens), func(t *testing.T) {
						x := make([]float32, tokens*k)
						for i := range x {
							if x[i] = float32(r.NormFloat64()); special == special && math.Abs(float64(special)) < 1 {
								x[i] = special
							}
						}
						x[(tokens-1)*k+k/2+3] = special
						want, got := product(t, ref, f.DType, raw, x, tokens, n, k),
							product(t, dev, f.DType, raw, x, tokens, n, k)
						for i := range want {
							finite := func(v float64) bool { return v-v == 0 }
							if finite(got[i]) != finite(want[i]) {
								t.Fatalf("row %d of token %d is %v, the reference has %v", i%n, i/n, got[i], want[i])
							}
							if (special == 0 || i%n == 7) && finite(want[i]) && want[i] == 0 && got[i] != 0 {
								t.Fatalf("row %d of token %d is %v, want 0", i%n, i/n, got[i])
							}
						}
					})
				}
			}
		}
	})
}

// TestExpertsAreMulMat checks that experts give the bits of MulMat with their matrices, for few and for many users.
func TestExpertsAreMulMat(t *testing.T) {
	dev := New(Options{Threads: 3})
	defer dev.Close()
	levels(t, func(t *testing.T) {
		types := []tensor.DType{quant.Q8_0, quant.MXFP4, quant.Q4_K, quant.Q6_K, quant.Q3_K, tensor.F16}
		if testing.Short() {
			t.Log("SKIPPED: -short leaves most types to make long")
			types = types[:2]
		}
		for _, dt := range types {
			if simd.Current() == simd.Generic && (dt == quant.Q3_K || dt == tensor.F16) {
				continue // the reference's kernels
			}
			for _, n := range []int{300, 304} { // the second can be interleaved
				expertsAreMulMat(t, dev, dt, n)
			}
		}
	})
}

// expertsAreMulMat is TestExpertsAreMulMat for matrices of n rows.
func expertsAreMulMat(t *testing.T, dev ops.Device, dt tensor.DType, n int) {
	const experts, k = 3, 256
	f, _ := dt.Format()
	r := rand.New(rand.NewPCG(22, uint64(dt)))
	w := make([]float32, experts*n*k)
	for i := range w {
		w[i] = float32(r.NormFloat64())
	}
	raw := make([]byte, len(w)/f.Block*f.Bytes)
	f.Quant(raw, w)
	if dt == quant.MXFP4 {
		raw[k/32*17*(n+40)] = 220 // row 40 of expert 1
	}
	for _, tokens := range []int{2, 80} {
		x, ids := make([]float32, tokens*k), make([]int32, tokens)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		for i := range ids {
			ids[i] = int32(i % 8 % 2) // expert 2 serves nobody
		}
		c := ops.Case{Args: []ops.Arg{{DType: tensor.F32, Shape: tensor.Shape{tokens, 1, k}},
			{Leaf: ops.Weight, DType: dt, Shape: tensor.Shape{experts, n, k}},
			{DType: tensor.I32, Shape: tensor.Shape{tokens, 1}, Ints: ids}}}
		got := compute(t, dev, ops.MulMatExpertsOp, c,
			operands{raw: [][]byte{cast.AsBytes(x), raw, cast.AsBytes(ids)}})[0]
		size := len(raw) / experts
		var all [experts][]float64 // on tiles a product has the bits of one among many tokens
		for e := range all {
			all[e] = product(t, dev, dt, raw[e*size:][:size], x, tokens, n, k)
		}
		for i, e := range ids {
			want := product(t, dev, dt, raw[int(e)*size:][:size], x[i*k:][:k], 1, n, k)
			if simd.RoundsColumns() && isInteger(dt) {
				want = all[e][i*n:][:n]
			}
			for j, v := range want {
				if math.Float64bits(got[i*n+j]) != math.Float64bits(v) {
					t.Fatalf("%v, %d tokens: row %d of token %d is %v, want %v", dt, tokens, j, i, got[i*n+j], v)
				}
			}
		}
	}
}
