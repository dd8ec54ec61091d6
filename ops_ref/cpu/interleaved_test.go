package cpu

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// interleavedWeight returns a device that interleaves weights whatever the processor, and a weight on it that was
// uploaded in two pieces, of random numbers that raw holds as files do.
func interleavedWeight(t *testing.T, override map[*ops.Def]opsref.Kernel[float32], dt tensor.DType, rows,
	k int) (dev *Device, w tensor.Tensor, raw []byte) {
	t.Helper()
	dev = New(Options{Threads: 2})
	dev.override = override
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
	if w.Layout = dev.Layout(ops.WeightUse{DType: dt, Shape: w.Shape}); w.Layout.Rows != simd.InterleavedRows ||
		w.Layout.Bytes != buf.Size() {
		t.Fatalf("layout %+v", w.Layout)
	}
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

// TestInterleavedWeights checks that all who read interleaved weights read the numbers of the file: products, rows
// that are fetched, and the reference's kernels.
func TestInterleavedWeights(t *testing.T) {
	const rows, k, tokens = 48, 512, 3
	reference := map[*ops.Def]opsref.Kernel[float32]{ops.MulMatOp: opsref.KernelOf(ops.MulMatOp),
		ops.EmbedOp: opsref.KernelOf(ops.EmbedOp)}
	for _, dt := range []tensor.DType{quant.Q8_0, quant.Q4_K, quant.Q5_K, quant.Q6_K} {
		for name, o := range map[string]map[*ops.Def]opsref.Kernel[float32]{"fast": nil, "reference": reference} {
			t.Run(fmt.Sprintf("%v/%s", dt, name), func(t *testing.T) {
				dev, w, raw := interleavedWeight(t, o, dt, rows, k)
				g := &ops.Graph{}
				weight := g.Weight(w)
				y := ops.MulMat(g, g.Input("x", tensor.F32, tokens, k), weight)
				e := ops.Embed(g, weight, g.Input("ids", tensor.I32, rows))
				p, err := dev.Compile(g, nil, y, e)
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
				for _, err := range []error{s.Upload(in, cast.AsBytes(x)), s.Upload(at, cast.AsBytes(ids)), s.Run(p),
					s.Download(cast.AsBytes(products), p.Output(0)), s.Download(cast.AsBytes(fetched), p.Output(1))} {
					if err != nil {
						t.Fatal(err)
					}
				}
				plain := New(Options{})
				plain.override = o
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
	dev, w, raw := interleavedWeight(t, nil, quant.Q4_K, 48, 512)
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
	wants(s.Download(make([]byte, 17*288), w), `"w"`, "4896 bytes are not whole rows of 288, 16 together")
	for _, bad := range []tensor.Shape{{47, 512}, {3, 8, 512}, {48, 100}, {1 << 40, 1 << 40}, {512}} {
		if l := dev.Layout(ops.WeightUse{DType: quant.Q4_K, Shape: bad}); !l.IsZero() {
			t.Errorf("shape %v lies as %+v", bad, l)
		}
	}
	if l := dev.Layout(ops.WeightUse{DType: tensor.F16, Shape: w.Shape}); !l.IsZero() {
		t.Error("F16 is interleaved")
	}
}

// TestDownloadInterleaved checks that what was interleaved comes back as it was uploaded.
func TestDownloadInterleaved(t *testing.T) {
	const rows, k = 352, 512 // for several goroutines
	for _, dt := range []tensor.DType{quant.Q8_0, quant.Q4_K, quant.Q5_K, quant.Q6_K} {
		dev, w, raw := interleavedWeight(t, nil, dt, rows, k)
		s, _ := dev.Stream()
		got := make([]byte, len(raw))
		if err := s.Download(got, w); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%v: %v, or the bytes differ", dt, err)
		}
	}
}
