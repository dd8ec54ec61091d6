package opship

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// results runs op on the operands of p on dev, with nothing else fused.
func (p *problem) results(t *testing.T, dev *Device, op *ops.Def) [][]byte {
	t.Helper()
	s, err := dev.Stream()
	must(t, err)
	defer closing(t, s.Close)
	g := &ops.Graph{}
	var in []ops.Value
	for i, v := range p.node.In {
		switch leaf := v.Node(); leaf.Leaf {
		case ops.Weight:
			in = append(in, g.Weight(uploaded(t, dev, s, leaf.Tensor, p.data[i])))
		case ops.State:
			in = append(in, g.State(uploaded(t, dev, s, leaf.Tensor, p.data[i])))
		default:
			in = append(in, g.Input(leaf.Name, v.DType(), v.Shape()...))
		}
	}
	g, outs, err := ops.Lower(g, dev, g.Add(op, p.node.Attrs, in...)...)
	must(t, err)
	plan, err := dev.Compile(g, nil, outs...)
	must(t, err)
	defer closing(t, plan.Close)
	for i, v := range p.node.In {
		if ten, ok := plan.Input(v.Node().Name); ok {
			must(t, s.Upload(ten, p.data[i]))
		}
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

// uploaded returns w in memory of dev with the given contents, until the test ends.
func uploaded(t *testing.T, dev *Device, s ops.Stream, w tensor.Tensor, data []byte) tensor.Tensor {
	t.Helper()
	size, err := ops.WeightBytes(w)
	must(t, err)
	w.Buf, err = dev.Alloc(size, ops.MemWeights)
	must(t, err)
	must(t, s.Upload(w, data))
	return w
}

// fusedBound returns how far the kernel of a fused op may be from what it replaces, as a square error over that of the
// results; 0 if it gives the same bits. Mixtures multiply codes of 24 bits where their parts multiply floats, or
// halves with the shared expert of few tokens; those with a shared expert have other pairs for each expert, whose number
// decides between kernels that round weights to halves and others. The chunked form of a DeltaNet layer has other chunks.
func fusedBound(k Kernel, n *ops.Node) float64 {
	switch {
	case strings.HasPrefix(k.Name, "shared_mixture") && n.Out[0].Shape[0] > 1 && !strings.HasSuffix(k.Name, "_mma3"):
		return 3 * boundHalf * byChance(n)
	case strings.HasSuffix(k.Name, "_dot") && strings.Contains(k.Name, "mixture"),
		strings.HasSuffix(k.Name, "_stream"), // rows are cut where others take them up
		k.Name == "delta_net_core_f32_chunk":
		return 1e-12
	case strings.Contains(k.Name, "shared_mixture"): // the shared expert is added in another order
		return 1e-12
	}
	return 0
}

// TestFusedBits checks that fused kernels give the bits of what they replace, but for those with a fusedBound.
func TestFusedBits(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	for _, target := range emulated {
		t.Run(target, func(t *testing.T) {
			dev, err := OpenWith("emu:"+target, FromEnv())
			must(t, err)
			defer closing(t, dev.Close)
			for _, d := range append(dev.Caps().Fuse, ops.MulMatGroup2Op, ops.MulMatGroup3Op, ops.MulMatGroup4Op) {
				expanded := *d // which no device knows
				expanded.Name += "_expanded"
				cases := kernelCases(d)
				if d == ops.AddRMSNormOp { // a block keeps the row in registers; a row is as long as it can be
					for _, n := range []int{2048, 5120, 8192} {
						row := ops.Arg{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{2, n}}
						w := ops.Arg{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{n}}
						cases = append(cases, ops.Case{Name: "long", Attrs: ops.NormAttrs{Eps: 1e-6},
							Args: []ops.Arg{row, row, w}})
					}
				}
				if d == ops.MulMatAddRMSNormOp {
					for _, n := range []int{4096, 8192} {
						h := ops.Arg{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{n / 1024 / 2, n}}
						cases = append(cases, ops.Case{Name: fmt.Sprint("long", n),
							Attrs: ops.MulMatNormAttrs{Norm: ops.NormAttrs{Eps: 1e-6}},
							Args:  []ops.Arg{input(n/1024/2, 256), weight(quant.Q4_K, n, 256), h, input(n)}})
					}
				}
				native := 0
				for _, c := range cases {
					p := newProblem(t, d, c)
					limit := 0.0
					if k, ok := kernels.find(p.node, dev.target); ok {
						native++
						limit = fusedBound(k, p.node)
					}
					got, want := p.results(t, dev, d), p.results(t, dev, &expanded)
					for r := range want {
						if limit > 0 {
							if e := relative(floats(got[r]), floats(want[r])); !(e <= limit) {
								t.Errorf("%s/%s: result %d has an error of %g against the expansion, at most %g",
									d.Name, c.Name, r, e, limit)
							}
						} else if !bytes.Equal(got[r], want[r]) {
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

// TestCompileFuses checks what becomes of the ops between the products of a layer, also of rows that fused kernels do
// not take.
func TestCompileFuses(t *testing.T) {
	for n, want := range map[int]string{
		64: "add_rms_norm_f32_wave rms_norm_rope_f32_neox gated_rms_norm_f32_wave",
		66: "add_f32 rms_norm_f32_block rms_norm_f32_block rope_f32_neox rms_norm_f32_block silu_f32 mul_f32",
	} {
		g := &ops.Graph{}
		x, w := g.Input("x", tensor.F32, 2, n), g.Input("w", tensor.F32, n)
		sum := ops.Add(g, x, x)
		h := ops.Reshape(g, ops.RMSNorm(g, sum, w, 1e-6), 2, 1, n)
		h = ops.RoPE(g, ops.RMSNorm(g, h, w, 1e-6), g.Input("pos", tensor.I32, 2), g.Input("freqs", tensor.F32, n/2),
			ops.RoPEAttrs{NRot: n, Pairing: ops.NeoX, MScale: 1})
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

// TestEmittedCodes compares products of codes that norms and gates write with those of codes that are made from their
// results: sums of a block's codes may be rounded in another order, all else is equal.
func TestEmittedCodes(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	weights := func(g *ops.Graph, k int) ops.Value {
		return g.Input("w", tensor.F32, k)
	}
	for _, c := range []struct {
		name   string
		shapes []int // lengths of rows
		record func(g *ops.Graph, x, y ops.Value, k int) ops.Value
	}{
		{"rms_norm", []int{128, 384, 640, 4096},
			func(g *ops.Graph, x, _ ops.Value, k int) ops.Value { return ops.RMSNorm(g, x, weights(g, k), 1e-6) }},
		{"add_rms_norm", []int{256, 2048, 5120}, func(g *ops.Graph, x, y ops.Value, k int) ops.Value {
			return ops.RMSNorm(g, ops.Add(g, x, y), weights(g, k), 1e-6)
		}},
		{"gated_rms_norm", []int{128, 1024}, func(g *ops.Graph, x, y ops.Value, k int) ops.Value {
			return ops.Mul(g, ops.RMSNorm(g, x, weights(g, k), 1e-6), ops.SiLU(g, y))
		}},
		{"swiglu", []int{32, 96, 512},
			func(g *ops.Graph, x, y ops.Value, _ int) ops.Value { return ops.SwiGLU(g, x, y) }},
	} {
		for _, target := range emulated {
			emits, plain := emitters(t, target)
			for _, k := range c.shapes {
				for _, tokens := range []int{1, 3} {
					run := func(d *Device, packs int) []float32 {
						return productOf(t, d, tokens, k, packs, nil,
							func(g *ops.Graph, x, y ops.Value) ops.Value { return c.record(g, x, y, k) })
					}
					if e := relative(run(emits, 0), run(plain, 1)); !(e <= 1e-13) {
						t.Errorf("%s: %s of %d rows of %d: error %g", target, c.name, tokens, k, e)
					}
				}
			}
		}
	}
}

// emitters returns a device whose kernels write packs with their results, and one whose kernels do not.
func emitters(t *testing.T, target string) (emits, plain *Device) {
	t.Helper()
	for _, d := range []**Device{&emits, &plain} {
		var err error
		*d, err = OpenWith("emu:"+target, FromEnv())
		must(t, err)
		t.Cleanup(func() { must(t, (*d).Close()) })
	}
	plain.opt.kernels = registry{}
	for op, ks := range kernels {
		for _, k := range ks {
			k.emits = nil
			plain.opt.kernels[op] = append(plain.opt.kernels[op], k)
		}
	}
	return emits, plain
}

// relative returns the mean square of got - want, over that of want; NaN if all of want are 0.
func relative(got, want []float32) float64 {
	var diff, sum float64
	for i := range want {
		e := float64(got[i]) - float64(want[i])
		diff, sum = diff+e*e, sum+float64(want[i])*float64(want[i])
	}
	if diff == 0 { // of zeros too
		return 0
	}
	return diff / sum
}

// productOf multiplies what record makes of two random inputs of [tokens, k], and of others with given contents, with
// weights of 8 bits on d, whose plan must have the given number of packs.
func productOf(t *testing.T, d *Device, tokens, k, packs int, others map[string][]byte,
	record func(g *ops.Graph, x, y ops.Value) ops.Value) []float32 {
	t.Helper()
	const rows = 16
	r := rand.New(rand.NewPCG(5, uint64(k)))
	s, err := d.Stream()
	must(t, err)
	defer closing(t, s.Close)
	w := tensor.Tensor{Name: "matrix", DType: quant.Q8_0, Shape: tensor.Shape{rows, k}}
	w.Layout = LayoutOf(ops.WeightUse{DType: w.DType, Shape: w.Shape})
	size, err := ops.WeightBytes(w)
	must(t, err)
	w.Buf, err = d.Alloc(size, ops.MemWeights)
	must(t, err)
	defer closing(t, w.Buf.Free)
	codes := make([]byte, rows*k/32*34)
	must(t, quant.Quantize(quant.Q8_0, codes, normal(r, rows*k), k, nil))
	must(t, s.Upload(w, codes))
	g := &ops.Graph{Exact: true}
	x, y := g.Input("x", tensor.F32, tokens, k), g.Input("y", tensor.F32, tokens, k)
	p, err := d.compile(g, nil, []ops.Value{ops.MulMat(g, record(g, x, y), g.Weight(w))})
	must(t, err)
	defer closing(t, p.Close)
	made := 0
	for _, st := range p.steps {
		if st.node.Op == packOp {
			made++
		}
	}
	if made != packs {
		t.Errorf("rows of %d: %d packs, want %d: %q", k, made, packs, p.Kernels())
	}
	for _, name := range []string{"x", "y", "w"} {
		if in, ok := p.Input(name); ok {
			must(t, s.Upload(in, raw(normal(r, in.Shape.Elems()))))
		}
	}
	for name, b := range others {
		in, ok := p.Input(name)
		if !ok {
			t.Fatalf("no input %s", name)
		}
		must(t, s.Upload(in, b))
	}
	must(t, s.Run(p))
	b := make([]byte, 4*tokens*rows)
	must(t, s.Download(b, p.Output(0)))
	must(t, s.Sync(t.Context()))
	return floats(b)
}

// times is op followed by a product of its first result with 8-bit weights, which are the last operand.
func times(op *ops.Def) *ops.Def {
	return &ops.Def{Name: op.Name + "_product", Results: 1,
		Infer: func(n *ops.Node) error {
			first := &ops.Node{Op: op, In: n.In[:len(n.In)-1], Attrs: n.Attrs}
			if err := op.Infer(first); err != nil {
				return err
			}
			n.Out = []ops.Type{{DType: tensor.F32,
				Shape: tensor.Shape{first.Out[0].Shape[0], n.In[len(n.In)-1].Shape()[0]}}}
			return nil
		},
		Expand: func(g *ops.Graph, in []ops.Value, attrs any) []ops.Value {
			w := in[len(in)-1]
			y := g.Add(op, attrs, in[:len(in)-1]...)[0]
			return []ops.Value{ops.MulMat(g, ops.Reshape(g, y, y.Shape()[0], w.Shape()[1]), w)}
		}}
}

// TestEmittedCodesOfLayers does the same for ops that have states.
func TestEmittedCodesOfLayers(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	for _, target := range emulated {
		emits, plain := emitters(t, target)
		for _, c := range ops.DeltaNetCoreOp.Cases() {
			heads := c.Args[11].Shape
			if heads[2] != maxCoreValues {
				continue
			}
			c.Args = append(c.Args, weight(quant.Q8_0, 16, heads[1]*heads[2]))
			p := newProblem(t, times(ops.DeltaNetCoreOp), c)
			got, want := floats(p.results(t, emits, p.node.Op)[0]), floats(p.results(t, plain, p.node.Op)[0])
			if e := relative(got, want); !(e <= 1e-13) {
				t.Errorf("%s: %s: error %g", target, c.Name, e)
			}
			if n := emits.Executed()["mul_mat_x_q24"].Launches; n != 0 {
				t.Errorf("%s: %s: %d packs", target, c.Name, n)
			}
		}
	}
}
