package opsref

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// interleavedWeight returns a device that interleaves weights whatever the processor, and a weight on it that was
// uploaded in two pieces, of random numbers that raw holds as files do.
func interleavedWeight(t *testing.T, o Options, dt tensor.DType, rows, k int) (dev *Device, w tensor.Tensor, raw []byte) {
	t.Helper()
	o.Fast = true
	dev = New(o)
	t.Cleanup(func() { dev.Close() })
	dev.interleaves = true
	f, _ := dt.Format()
	r := rand.New(rand.NewPCG(50, uint64(dt)))
	x := make([]float32, rows*k)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	raw = make([]byte, rows*k/f.Block*f.Bytes)
	f.Quant(raw, x)
	buf, err := dev.Alloc(int64(len(raw)), ops.MemWeights)
	if err != nil {
		t.Fatal(err)
	}
	w = tensor.Tensor{Name: "w", DType: dt, Shape: tensor.Shape{rows, k}, Buf: buf}
	s, _ := dev.Stream()
	row := len(raw) / rows
	for _, part := range [][2]int{{0, simd.InterleavedRows}, {simd.InterleavedRows, rows}} {
		piece := w
		piece.Shape, piece.Off = tensor.Shape{part[1] - part[0], k}, int64(part[0]*row)
		if err := s.Upload(piece, raw[part[0]*row:part[1]*row]); err != nil {
			t.Fatal(err)
		}
	}
	return dev, w, raw
}

// TestInterleavedWeights checks that all who read interleaved weights read the numbers of the file: products, rows that
// are fetched, and the reference's kernels.
func TestInterleavedWeights(t *testing.T) {
	const rows, k, tokens = 48, 512, 3
	reference := Options{Override: map[*ops.Def]Kernel[float32]{ops.MulMatOp: KernelOf(ops.MulMatOp), ops.EmbedOp: KernelOf(ops.EmbedOp)}}
	for _, dt := range []tensor.DType{quant.Q8_0, quant.Q4_K, quant.Q5_K, quant.Q6_K} {
		for name, o := range map[string]Options{"fast": {Threads: 2}, "reference": reference} {
			t.Run(fmt.Sprintf("%v/%s", dt, name), func(t *testing.T) {
				dev, w, raw := interleavedWeight(t, o, dt, rows, k)
				g := &ops.Graph{}
				weight := g.Weight(w)
				y := ops.MulMat(g, g.Input("x", tensor.F32, tokens, k), weight)
				e := ops.Embed(g, weight, g.Input("ids", tensor.I32, rows))
				p, err := dev.Compile(g, y, e)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				s, _ := dev.Stream()
				x, ids := make([]float32, tokens*k), make([]int32, rows)
				for i := range x {
					x[i] = float32(math.Sin(float64(i)))
				}
				for i := range ids {
					ids[i] = int32(i * 7 % rows)
				}
				in, _ := p.Input("x")
				at, _ := p.Input("ids")
				products, fetched := make([]float32, tokens*rows), make([]float32, rows*k)
				for _, err := range []error{s.Upload(in, simd.AsBytes(x)), s.Upload(at, simd.AsBytes(ids)), s.Run(p),
					s.Download(simd.AsBytes(products), p.Output(0)), s.Download(simd.AsBytes(fetched), p.Output(1))} {
					if err != nil {
						t.Fatal(err)
					}
				}
				plain := New(Options{Fast: o.Override == nil})
				defer plain.Close()
				plain.interleaves = false
				for i, want := range product(t, plain, dt, raw, x, tokens, rows, k) {
					if float64(products[i]) != want {
						t.Fatalf("product %d is %v, want %v", i, products[i], want)
					}
				}
				f, _ := dt.Format()
				all := make([]float32, rows*k)
				f.Dequant(all, raw)
				for i, v := range fetched {
					if want := all[int(ids[i/k])*k+i%k]; v != want {
						t.Fatalf("element %d of row %d is %v, want %v", i%k, ids[i/k], v, want)
					}
				}
			})
		}
	}
}

// TestInterleavedWeightsRefuse covers what has no meaning for interleaved rows.
func TestInterleavedWeightsRefuse(t *testing.T) {
	dev, w, raw := interleavedWeight(t, Options{}, quant.Q4_K, 48, 512)
	s, _ := dev.Stream()
	wants := func(err error, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("error is %v, want one with %q", err, text)
			}
		}
	}
	wants(s.Upload(w, raw[:17*288]), `"w"`, "4896 bytes are not whole rows of 288, 16 together")
	wants(s.Download(make([]byte, len(raw)), w), `"w"`, "interleaved")
	for _, bad := range []tensor.Shape{{47, 512}, {3, 8, 512}, {48, 100}, {1 << 40, 1 << 40}, {512}} {
		if n, rows := dev.RepackedBytes(quant.Q4_K, bad); rows > 0 {
			t.Errorf("shape %v takes %d bytes", bad, n)
		}
	}
	if _, rows := dev.RepackedBytes(tensor.F16, w.Shape); rows > 0 {
		t.Error("F16 is interleaved")
	}
}
