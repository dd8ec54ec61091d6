package cpu

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// BenchmarkFused measures the parts of a layer between products, fused and not, in turns.
func BenchmarkFused(b *testing.B) {
	for _, tokens := range []int{1, 512} {
		for _, d := range []*ops.Def{ops.AddRMSNormOp, ops.RMSNormRoPEOp, ops.GatedRMSNormOp} {
			benchFused(b, d, tokens)
		}
	}
}

// benchFused runs nodes of d, one behind the other, fused and not in turns, with the sizes of a model of 0.6 billion
// weights, and reports the median time of a node in each form.
func benchFused(b *testing.B, d *ops.Def, tokens int) {
	b.Run(fmt.Sprintf("%s/tokens%d", d.Name, tokens), func(b *testing.B) {
		const width, heads, dim = 1024, 16, 128
		layers := max(2, 28/tokens) // runs are shorter than what a loaded machine gives a thread at a time
		record := func(g *ops.Graph) ops.Value {
			x := g.Input("x", tensor.F32, tokens, width)
			if d == ops.AddRMSNormOp {
				y, w := g.Input("y", tensor.F32, tokens, width), g.Input("w", tensor.F32, width)
				for range layers {
					x = ops.Add(g, x, y)
					y = ops.RMSNorm(g, x, w, 1e-6)
				}
				return y
			}
			x = g.Input("h", tensor.F32, tokens, heads, dim)
			w, pos, freqs := g.Input("w", tensor.F32, dim), g.Input("pos", tensor.I32, tokens),
				g.Input("freqs", tensor.F32, dim/2)
			for range layers {
				n := ops.RMSNorm(g, x, w, 1e-6)
				if d == ops.RMSNormRoPEOp {
					x = ops.RoPE(g, n, pos, freqs, ops.RoPEAttrs{NRot: dim, MScale: 1})
				} else {
					x = ops.Mul(g, n, ops.SiLU(g, x))
				}
			}
			return x
		}
		var plans [2]ops.Plan
		var times [2][]float64
		for i, fuse := range [][]*ops.Def{nil, {d}} {
			dev := New(Options{})
			defer dev.Close()
			dev.fuse = fuse
			g := &ops.Graph{}
			y := record(g)
			var err error
			if plans[i], err = dev.Compile(g, nil, y); err != nil {
				b.Fatal(err)
			}
			if n := len(dev.Caps().Kernels(plans[i])); fuse != nil && n != layers {
				b.Fatalf("%d kernels", n)
			}
		}
		for b.Loop() {
			for i, p := range plans {
				for j := range 4 { // meanwhile the workers of the other device go to sleep, and those of this wake up
					start := time.Now()
					if err := (stream{}).Run(p); err != nil {
						b.Fatal(err)
					}
					if j < 2 {
						continue
					}
					times[i] = append(times[i], float64(time.Since(start).Nanoseconds())/float64(layers))
				}
			}
		}
		for i, name := range []string{"plain-ns/node", "fused-ns/node"} {
			slices.Sort(times[i])
			b.ReportMetric(times[i][len(times[i])/2], name)
		}
	})
}
