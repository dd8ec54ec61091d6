package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// BenchmarkMulMat measures products of many tokens with several matrices, which no cache holds together, by the fastest
// run: other work on the machine disturbs that least.
func BenchmarkMulMat(b *testing.B) { benchMulMat(b, 512, 8) }

// BenchmarkMulMatOne is BenchmarkMulMat for one token, which waits for memory: matrices take turns at it.
func BenchmarkMulMatOne(b *testing.B) { benchMulMat(b, 1, 32) }

func benchMulMat(b *testing.B, tokens, matrices int) {
	for _, dt := range []tensor.DType{quant.Q4_K, quant.Q6_K, quant.Q8_0, tensor.F16, tensor.BF16, quant.Q3_K,
		quant.IQ4_XS, quant.IQ4_NL, quant.IQ3_S, quant.IQ3_XXS, quant.IQ2_S, quant.IQ2_XS, quant.IQ2_XXS,
		quant.IQ1_M, quant.IQ1_S, quant.Q2_K, quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.MXFP4, quant.TQ1_0, quant.TQ2_0} {
		for _, s := range [][2]int{{3072, 1024}, {1024, 3072}, {2048, 1024}, {1024, 2048}, {1000, 1280}} {
			n, k := s[0], s[1]
			b.Run(fmt.Sprintf("%v/%dx%d", dt, n, k), func(b *testing.B) {
				dev := New(Options{})
				defer dev.Close()
				stream, _ := dev.Stream()
				r := rand.New(rand.NewPCG(40, 40))
				upload := func(dt tensor.DType, shape tensor.Shape, layout tensor.Layout, kind ops.MemKind) tensor.Tensor {
					size, err := tensor.Bytes(dt, shape)
					if err != nil {
						b.Fatal(err)
					}
					buf, err := dev.Alloc(size, kind)
					if err != nil {
						b.Fatal(err)
					}
					x := tensor.Tensor{DType: dt, Shape: shape, Buf: buf, Layout: layout}
					raw := make([]byte, size)
					for i := range raw {
						if raw[i] = byte(r.Uint32()) & 0x3f; dt == quant.MXFP4 && i%17 == 0 {
							raw[i] = 112 | raw[i]&15 // scales that float16 has
						}
					}
					if err := stream.Upload(x, raw); err != nil {
						b.Fatal(err)
					}
					return x
				}
				g := &ops.Graph{}
				x := g.State(upload(tensor.F32, tensor.Shape{tokens, k}, tensor.Layout{}, ops.MemState))
				var outs []ops.Value
				var bytes int64
				for range matrices {
					shape := tensor.Shape{n, k}
					layout := dev.Layout(ops.WeightUse{DType: dt, Shape: shape, Ops: []*ops.Def{ops.MulMatOp}})
					outs = append(outs, ops.MulMat(g, x, g.Weight(upload(dt, shape, layout, ops.MemWeights))))
					size, _ := tensor.Bytes(dt, shape)
					bytes += size
				}
				p, err := dev.Compile(g, nil, outs...)
				if err != nil {
					b.Fatal(err)
				}
				best := time.Hour
				for b.Loop() {
					start := time.Now()
					if err := stream.Run(p); err != nil {
						b.Fatal(err)
					}
					best = min(best, time.Since(start))
				}
				b.ReportMetric(2e-9*float64(matrices*tokens)*float64(n)*float64(k)/best.Seconds(), "best-GOP/s")
				b.ReportMetric(1e-9*float64(bytes)/best.Seconds(), "best-GB/s")
			})
		}
	}
}
