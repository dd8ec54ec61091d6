package opship

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// runHybrid runs a DeltaNet layer with a mixture of experts behind it, and the products that the next norm feeds,
// three times on an emulated device of the given kernels, states cleared in between. It returns what it launches and
// its results, the states among them.
func runHybrid(t *testing.T, target string, use registry, tokens int) ([]string, [][]byte) {
	t.Helper()
	d, err := OpenWith("emu:"+target, FromEnv())
	must(t, err)
	defer closing(t, d.Close)
	d.opt.kernels = use
	s, err := d.Stream()
	must(t, err)
	defer closing(t, s.Close)
	const n, heads, dim, experts, ff = 256, 2, 128, 6, 64
	const channels = 2*dim + heads*dim
	r := rand.New(rand.NewPCG(9, uint64(tokens)))
	g := &ops.Graph{Exact: true}
	weight := func(dt tensor.DType, shape ...int) ops.Value {
		w := tensor.Tensor{Name: "w", DType: dt, Shape: shape}
		w.Layout = LayoutOf(ops.WeightUse{DType: w.DType, Shape: w.Shape})
		size, err := tensor.Bytes(dt, w.Shape)
		must(t, err)
		b, k := make([]byte, size), w.Shape.Last()
		x := normal(r, w.Shape.Elems())
		for i := range x {
			x[i] /= float32(math.Sqrt(float64(k)))
		}
		must(t, quant.Quantize(dt, b, x, k, nil))
		return g.Weight(uploaded(t, d, s, w, b))
	}
	inputs := map[string][]byte{}
	input := func(name string, shape ...int) ops.Value {
		inputs[name] = raw(normal(r, tensor.Shape(shape).Elems()))
		return g.Input(name, tensor.F32, shape...)
	}
	var states []tensor.Tensor
	state := func(shape ...int) ops.Value {
		st := tensor.Tensor{Name: "state", DType: tensor.F32, Shape: shape}
		st.Buf, err = d.Alloc(4*int64(st.Shape.Elems()), ops.MemState)
		must(t, err)
		states = append(states, st)
		return g.State(st)
	}
	index := func(name string, v ...int32) ops.Value {
		inputs[name] = fill(t, ints(v...), nil)
		return g.Input(name, tensor.I32, len(v))
	}
	h := input("h", tokens, n)
	x := ops.RMSNorm(g, h, input("attn_norm", n), 1e-6)
	project := func(rows int) ops.Value { return ops.MulMat(g, x, weight(quant.Q8_0, rows, n)) }
	mixed, beta, alpha := project(channels), project(heads), project(heads)
	z := ops.Reshape(g, project(heads*dim), tokens, heads, dim)
	y, conv, rule := ops.DeltaNetCore(g, mixed, state(1, 3, channels), input("conv", channels, 4),
		index("starts", 0, int32(tokens)), index("slots", 0), beta, alpha,
		input("dt", heads), input("a", heads), state(1, heads, dim, dim), input("ssm_norm", dim), z,
		ops.DeltaNetCoreAttrs{
			Q: ops.SliceAttrs{Hi: dim}, K: ops.SliceAttrs{Lo: dim, Hi: 2 * dim},
			V:     ops.SliceAttrs{Lo: 2 * dim, Hi: channels},
			QNorm: ops.NormAttrs{Eps: 1e-6}, KNorm: ops.NormAttrs{Eps: 1e-6},
			Delta: ops.GatedDeltaNetAttrs{Scale: 0.1}, Norm: ops.NormAttrs{Eps: 1e-6}})
	h = ops.Add(g, h, ops.MulMat(g, ops.Reshape(g, y, tokens, heads*dim), weight(quant.Q8_0, n, heads*dim)))
	x = ops.RMSNorm(g, h, input("ffn_norm", n), 1e-6)
	mixture := ops.SharedMixture(g, x, weight(tensor.F32, experts, n),
		weight(quant.Q8_0, experts, ff, n), weight(quant.Q8_0, experts, ff, n), weight(quant.Q8_0, experts, n, ff),
		weight(quant.Q8_0, ff, n), weight(quant.Q8_0, ff, n), weight(quant.Q8_0, n, ff), weight(tensor.F32, 1, n),
		ops.Value{}, ops.RouteAttrs{K: 2, Norm: true, Scale: 1})
	h = ops.Add(g, h, mixture)
	x = ops.RMSNorm(g, h, input("next_norm", n), 1e-6)
	outs := []ops.Value{h, ops.MulMat(g, x, weight(quant.Q8_0, 40, n)), conv, rule}
	names, err := d.launches(g, outs...)
	must(t, err)
	p, err := d.Compile(g, nil, outs...)
	must(t, err)
	defer closing(t, p.Close)
	var first [][]byte
	for i := range 3 { // directly, captured, replayed
		for name, data := range inputs {
			in, ok := p.Input(name)
			if !ok {
				t.Fatalf("no input %s", name)
			}
			must(t, s.Upload(in, data))
		}
		for _, st := range states {
			must(t, s.Zero(st))
		}
		must(t, s.Run(p))
		for o, v := range outs {
			b := make([]byte, 4*v.Shape().Elems())
			must(t, s.Download(b, p.Output(o)))
			must(t, s.Sync(t.Context()))
			if i == 0 {
				first = append(first, b)
			} else if !bytes.Equal(b, first[o]) {
				t.Errorf("%s: result %d of run %d differs from that of the first", target, o, i)
			}
		}
	}
	return names, first
}

// TestHybridLayer compares a layer with all that is fused with one whose DeltaNet and mixture run op by op.
func TestHybridLayer(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	apart := kernels.without(func(k *Kernel) bool {
		return k.Op != ops.DeltaNetCoreOp && !strings.Contains(k.Op.Name, "mixture")
	})
	for tokens, want := range map[int]string{
		40: "rms_norm_f32_wave q8_0_mma causal_conv_silu_f32_tokens delta_net_core_f32_chunk_keys128 " +
			"delta_net_f32_chunk128 delta_net_core_f32_chunk_end x_f16 q8_0_mma rms_norm_f32_wave " +
			"f32_tile16 mixture_route experts_sort experts_q8_0_mma x_f16 experts_q8_0_mma mixture_norm_f32_wave q8_0_mma",
		1: "rms_norm_f32_wave q8_0_dot1 delta_net_core_f32_step128 q8_0_dot1_norm mixture_router_f32 mixture_q8_0_glu mixture_q8_0_sum_norm q8_0_dot1",
		3: "rms_norm_f32_wave q8_0_dot8 delta_net_core_f32_step128 q8_0_dot8_norm mixture_router_f32 mixture_q8_0_glu mixture_q8_0_sum_norm q8_0_dot8",
	} {
		for _, target := range emulated {
			names, got := runHybrid(t, target, kernels, tokens)
			if s := strings.ReplaceAll(strings.Join(names, " "), "mul_mat_", ""); s != want {
				t.Errorf("%s: %d tokens take %q, want %q", target, tokens, s, want)
			}
			_, plain := runHybrid(t, target, apart, tokens)
			for o := range got {
				if e := relative(floats(got[o]), floats(plain[o])); !(e <= 1e-11) {
					t.Errorf("%s: %d tokens: result %d is %g from that of single ops", target, tokens, o, e)
				}
			}
		}
	}
}
