package opship

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// results runs op on the operands of p on dev.
func (p *problem) results(t *testing.T, dev *Device, op *ops.Def) [][]byte {
	t.Helper()
	g := &ops.Graph{}
	var in []ops.Value
	for _, v := range p.node.In {
		in = append(in, g.Input(v.Node().Name, v.DType(), v.Shape()...))
	}
	plan, err := dev.Compile(g, nil, g.Add(op, p.node.Attrs, in...)...)
	must(t, err)
	defer closing(t, plan.Close)
	s, err := dev.Stream()
	must(t, err)
	defer closing(t, s.Close)
	for i, v := range p.node.In {
		ten, ok := plan.Input(v.Node().Name)
		if !ok {
			t.Fatalf("no input %s", v.Node().Name)
		}
		must(t, s.Upload(ten, p.data[i]))
	}
	must(t, s.Run(plan))
	var all [][]byte
	for i := range p.node.Out {
		out := plan.Output(i)
		n, err := tensor.Bytes(out.DType, out.Shape)
		must(t, err)
		b := make([]byte, n)
		must(t, s.Download(b, out))
		must(t, s.Sync(t.Context()))
		all = append(all, b)
	}
	return all
}

// TestFusedBits checks that fused kernels give the bits of what they replace.
func TestFusedBits(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	for _, target := range emulated {
		t.Run(target, func(t *testing.T) {
			dev, err := OpenWith("emu:"+target, FromEnv())
			must(t, err)
			defer closing(t, dev.Close)
			for _, d := range dev.Caps().Fuse {
				expanded := *d // which no device knows
				expanded.Name += "_expanded"
				cases := d.Cases()
				if d == ops.AddRMSNormOp { // a block keeps the row in registers; a row is as long as it can be
					for _, n := range []int{2048, 5120, 8192} {
						row := ops.Arg{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{2, n}}
						w := ops.Arg{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{n}}
						cases = append(cases, ops.Case{Name: "long", Attrs: ops.NormAttrs{Eps: 1e-6}, Args: []ops.Arg{row, row, w}})
					}
				}
				native := 0
				for _, c := range cases {
					p := newProblem(t, d, c)
					if dev.Supports(p.node) {
						native++
					}
					got, want := p.results(t, dev, d), p.results(t, dev, &expanded)
					for r := range want {
						if !bytes.Equal(got[r], want[r]) {
							t.Errorf("%s/%s: result %d differs from that of the expansion", d.Name, c.Name, r)
						}
					}
				}
				if native == 0 {
					t.Errorf("%s: no case has a kernel", d.Name)
				}
			}
		})
	}
}

// TestCompileFuses checks what becomes of the ops between the products of a layer, also of rows that fused kernels do not
// take.
func TestCompileFuses(t *testing.T) {
	for n, want := range map[int]string{
		64: "add_rms_norm_f32_wave rms_norm_rope_f32_neox gated_rms_norm_f32_wave",
		66: "add_f32 rms_norm_f32_block rms_norm_f32_block rope_f32_neox rms_norm_f32_block silu_f32 mul_f32",
	} {
		g := &ops.Graph{}
		x, w := g.Input("x", tensor.F32, 2, n), g.Input("w", tensor.F32, n)
		sum := ops.Add(g, x, x)
		h := ops.Reshape(g, ops.RMSNorm(g, sum, w, 1e-6), 2, 1, n)
		h = ops.RoPE(g, ops.RMSNorm(g, h, w, 1e-6), g.Input("pos", tensor.I32, 2), g.Input("freqs", tensor.F32, n/2), ops.RoPEAttrs{NRot: n, Pairing: ops.NeoX, MScale: 1})
		h = ops.Mul(g, ops.RMSNorm(g, h, w, 1e-6), ops.SiLU(g, h))
		names, err := planner("gfx1100").launches(g, h, sum)
		must(t, err)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("rows of %d: launches are %q, want %q", n, got, want)
		}
	}
}

// TestLoweredIsNotFused leaves a graph that runs as it is alone.
func TestLoweredIsNotFused(t *testing.T) {
	d := planner("gfx1100")
	g := &ops.Graph{}
	x, w := g.Input("x", tensor.F32, 2, 64), g.Input("w", tensor.F32, 64)
	g, outs, err := ops.Lower(g, d, ops.RMSNorm(g, ops.Add(g, x, x), w, 1e-6))
	must(t, err)
	names, err := d.launches(g, outs...)
	must(t, err)
	if got := strings.Join(names, " "); got != "add_f32 rms_norm_f32_wave" {
		t.Errorf("launches are %q", got)
	}
}
