package conformance

import (
	"fmt"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// benchSize is the rows and columns of the weight matrices that BenchmarkDevice multiplies with.
const benchSize = 2048

// BenchmarkDevice measures the device that open returns: mul_mat in decode and prefill shapes for common weight
// types, in GB/s and TFLOP/s by the op's own count of work, and the tiny models in tok/s. Times are wall time from
// the first launch to the end of the last.
func BenchmarkDevice(b *testing.B, open func(testing.TB) ops.Device) {
	dev := open(b)
	for _, name := range []string{"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K", "MXFP4"} {
		dt, ok := tensor.ParseDType(name)
		if !ok {
			continue
		}
		for _, tokens := range []int{1, 64} {
			b.Run(fmt.Sprintf("mul_mat/%s/m%dn%dk%d", name, tokens, benchSize, benchSize),
				func(b *testing.B) { benchMulMat(b, dev, dt, tokens) })
		}
	}
	for _, arch := range models.Architectures() {
		b.Run("decode/tiny-"+arch, func(b *testing.B) { benchDecode(b, dev, arch) })
	}
}

func benchMulMat(b *testing.B, dev ops.Device, dt tensor.DType, tokens int) {
	f, _ := dt.Format()
	r := newRand(0, "bench/%v", dt)
	row := hostileRows(f, benchSize/f.Block, r)[0].data // the first is tame
	var w []byte
	for range benchSize {
		w = append(w, row...)
	}
	x := make([]byte, 4*tokens*benchSize)
	f32, _ := tensor.F32.Format()
	v := make([]float32, tokens*benchSize)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	f32.Quant(x, v)
	in := &input{def: ops.MulMatOp, name: "mul_mat", uses: make([]use, 2), data: [][]byte{x, w},
		c: ops.Case{Args: []ops.Arg{
			{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{tokens, benchSize}},
			{Leaf: ops.Weight, DType: dt, Shape: tensor.Shape{benchSize, benchSize}}}}}
	s, err := open(dev, in, false)
	if err != nil {
		b.Skipf("%v", err)
	}
	defer s.close()
	if _, err := s.run(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		if err := s.stream.Run(s.plan); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.stream.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	flop, bytes := ops.MulMatOp.Work(s.node)
	sec := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(float64(bytes)/sec/1e9, "GB/s")
	b.ReportMetric(float64(flop)/sec/1e12, "TFLOP/s")
}

func benchDecode(b *testing.B, dev ops.Device, arch string) {
	m, src, err := tinyModel(arch, 0, nil)
	if err != nil {
		b.Skipf("%v", err)
	}
	l, err := load(b.Context(), dev, m, src)
	if err != nil {
		b.Fatal(err)
	}
	defer l.close()
	r, err := l.runner(1, tensor.Invalid, false)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	id := runner.SeqID(-1)
	for range b.N {
		if id < 0 || r.Len(id) == tinyContext {
			if id >= 0 {
				r.Release(id)
			}
			if id, err = r.Open(); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := r.Step(b.Context(), []runner.Work{{Seq: id, Tokens: []int32{1}, Rows: 1}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tok/s")
}
