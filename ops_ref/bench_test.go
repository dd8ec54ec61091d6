package opsref

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

// benchPlan compiles a graph of one op on a fast device and runs it.
func benchPlan(b *testing.B, flop float64, build func(g *ops.Graph, alloc func(dt tensor.DType, shape ...int) tensor.Tensor) ops.Value, inputs map[string][]int32) {
	b.Helper()
	dev := New(Options{Fast: true})
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
	p, err := dev.Compile(g, out)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for name, v := range inputs {
			x, _ := p.Input(name)
			if err := s.Upload(x, simd.AsBytes(v)); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Run(p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// BenchmarkAttention measures one layer of 32 heads and 8 KV heads of 128 elements over a context of 2048.
func BenchmarkAttention(b *testing.B) {
	const heads, kv, d, context = 32, 8, 128, 2048
	for _, dt := range []tensor.DType{tensor.F32, tensor.F16} {
		for _, tokens := range []int{1, 128} {
			b.Run(fmt.Sprintf("%v/tokens%d", dt, tokens), func(b *testing.B) {
				pos, seq, pages := make([]int32, tokens), make([]int32, tokens), make([]int32, context/32)
				for i := range pos {
					pos[i] = int32(context - tokens + i)
				}
				for i := range pages {
					pages[i] = int32(i)
				}
				benchPlan(b, 4*float64(tokens)*heads*d*context, func(g *ops.Graph, alloc func(tensor.DType, ...int) tensor.Tensor) ops.Value {
					return ops.Attention(g, g.State(alloc(tensor.F32, tokens, heads, d)), g.State(alloc(dt, context/32, 32, kv, d)), g.State(alloc(dt, context/32, 32, kv, d)),
						g.Input("pos", tensor.I32, tokens), g.Input("seq", tensor.I32, tokens), g.Input("pages", tensor.I32, 1, context/32), ops.Value{},
						ops.AttentionAttrs{Scale: 0.088})
				}, map[string][]int32{"pos": pos, "seq": seq, "pages": pages})
			})
		}
	}
}

// BenchmarkGatedDeltaNet measures one layer of 32 value heads with states of 128 by 128.
func BenchmarkGatedDeltaNet(b *testing.B) {
	const nk, nv, d = 16, 32, 128
	for _, tokens := range []int{1, 128} {
		b.Run(fmt.Sprintf("tokens%d", tokens), func(b *testing.B) {
			benchPlan(b, 7*float64(tokens)*nv*d*d, func(g *ops.Graph, alloc func(tensor.DType, ...int) tensor.Tensor) ops.Value {
				in := func(shape ...int) ops.Value { return g.State(alloc(tensor.F32, shape...)) }
				o, _ := ops.GatedDeltaNet(g, in(tokens, nk, d), in(tokens, nk, d), in(tokens, nv, d), in(tokens, nv), in(tokens, nv), in(1, nv, d, d),
					g.Input("starts", tensor.I32, 2), g.Input("slots", tensor.I32, 1), ops.GatedDeltaNetAttrs{Scale: 0.088})
				return o
			}, map[string][]int32{"starts": {0, int32(tokens)}, "slots": {0}})
		})
	}
}
