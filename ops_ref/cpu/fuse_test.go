package cpu

import (
	"math"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// expanded declares an op that the device does not know and that expands as d does.
func expanded(d *ops.Def) *ops.Def {
	e := *d
	e.Name += "_expanded"
	return &e
}

// TestFusedBits checks that graphs are rewritten to the fused ops that the device asks for, and that those give the
// bits of what they replace, on memory full of NaNs.
func TestFusedBits(t *testing.T) {
	plain, dev := New(Options{Threads: 2}), New(Options{Threads: 3})
	defer plain.Close()
	defer dev.Close()
	plain.fuse = nil
	if len(dev.Caps().Fuse) < 2 {
		t.Fatalf("%d fused ops", len(dev.Caps().Fuse))
	}
	levels(t, func(t *testing.T) {
		for _, d := range dev.Caps().Fuse {
			for _, c := range d.Cases() {
				in := newOperands(t, d, c)
				want, got := compute(t, plain, expanded(d), c, in), compute(t, dev, d, c, in)
				for r := range want {
					for j, w := range want[r] {
						if math.Float64bits(got[r][j]) != math.Float64bits(w) {
							t.Fatalf("%s/%s: element %d of result %d is %v, want %v", d.Name, c.Name, j, r, got[r][j],
								w)
						}
					}
				}
			}
		}
	})
}

// TestCompileFuses checks what becomes of the ops of a layer.
func TestCompileFuses(t *testing.T) {
	dev := New(Options{Threads: 1})
	defer dev.Close()
	g := &ops.Graph{}
	x, w := g.Input("x", tensor.F32, 2, 64), g.Input("w", tensor.F32, 64)
	sum := ops.Add(g, x, x)
	h := ops.Reshape(g, ops.RMSNorm(g, sum, w, 1e-6), 2, 1, 64)
	h = ops.RoPE(g, ops.RMSNorm(g, h, w, 1e-6), g.Input("pos", tensor.I32, 2), g.Input("freqs", tensor.F32, 32),
		ops.RoPEAttrs{NRot: 64, MScale: 1})
	h = ops.Mul(g, ops.RMSNorm(g, h, w, 1e-6), ops.SiLU(g, h))
	fusedBytes, err := dev.Caps().PlanBytes(g, h, sum)
	if err != nil {
		t.Fatal(err)
	}
	p, err := dev.Compile(g, nil, h, sum)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var names []string
	for _, k := range dev.Caps().Kernels(p) {
		names = append(names, k[strings.LastIndex(k, " ")+1:])
	}
	if got := strings.Join(names, " "); got != "add_rms_norm rms_norm_rope gated_rms_norm" {
		t.Errorf("kernels are %q", got)
	}
	if got := p.Output(0).Buf.Size(); got != fusedBytes {
		t.Errorf("the plan takes %d bytes, planned were %d", got, fusedBytes)
	}
}
