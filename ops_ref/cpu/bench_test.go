package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/tensor"
)

// benchPlan compiles a graph of one op on a fast device and runs it.
func benchPlan(b *testing.B, flop float64,
	build func(g *ops.Graph, alloc func(dt tensor.DType, shape ...int) tensor.Tensor) ops.Value,
	inputs map[string][]int32) {
	b.Helper()
	dev := New(Options{})
	defer dev.Close()
	r := rand.New(rand.NewPCG(30, 30))
	s, _ := dev.Stream()
	g := &ops.Graph{}
	out := build(g, func(dt tensor.DType, shape ...int) tensor.Tensor {
		n, err := tensor.Bytes(dt, shape)
		if err != nil {
			b.Fatal(err)
		}
		buf, err := dev.Alloc(n, ops.MemState)
		if err != nil {
			b.Fatal(err)
		}
		x := tensor.Tensor{DType: dt, Shape: shape, Buf: buf}
		values := make([]float32, x.Shape.Elems())
		for i := range values {
			values[i] = float32(r.NormFloat64())
		}
		raw := make([]byte, n)
		f, _ := dt.Format()
		f.Quant(raw, values)
		if err := s.Upload(x, raw); err != nil {
			b.Fatal(err)
		}
		return x
	})
	p, err := dev.Compile(g, nil, out)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for name, v := range inputs {
			x, _ := p.Input(name)
			if err := s.Upload(x, cast.AsBytes(v)); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Run(p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// BenchmarkGatedDeltaNet measures one layer of 32 value heads with states of 128 by 128.
func BenchmarkGatedDeltaNet(b *testing.B) {
	const nk, nv, d = 16, 32, 128
	for _, tokens := range []int{1, 128} {
		b.Run(fmt.Sprintf("tokens%d", tokens), func(b *testing.B) {
			benchPlan(b, 7*float64(tokens)*nv*d*d,
				func(g *ops.Graph, alloc func(tensor.DType, ...int) tensor.Tensor) ops.Value {
					in := func(shape ...int) ops.Value { return g.State(alloc(tensor.F32, shape...)) }
					o, _ := ops.GatedDeltaNet(g, in(tokens, nk, d), in(tokens, nk, d), in(tokens, nv, d),
						in(tokens, nv),
						in(tokens, nv), in(1, nv, d, d),
						g.Input("starts", tensor.I32, 2), g.Input("slots", tensor.I32, 1),
						ops.GatedDeltaNetAttrs{Scale: 0.088})
					return o
				}, map[string][]int32{"starts": {0, int32(tokens)}, "slots": {0}})
		})
	}
}
