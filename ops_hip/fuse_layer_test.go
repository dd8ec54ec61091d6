package opship

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// without returns the kernels of r but those that keep says no to, as it changes them.
func (r registry) without(keep func(k *Kernel) bool) registry {
	some := registry{}
	for op, ks := range r {
		for _, k := range ks {
			if keep(&k) {
				some[op] = append(some[op], k)
			}
		}
	}
	return some
}

// around reports whether a kernel makes products with what surrounds them.
func around(k *Kernel) bool {
	return strings.HasPrefix(k.Op.Name, "mul_mat_") && k.Op != ops.MulMatExpertsOp
}

// runLayer runs a block of a decoder from its last product in the mixer on, and the products that the next norm
// feeds, three times on d, which has the given kernels. It returns what it launches and its results.
func runLayer(t *testing.T, target string, use registry, tokens int, exact bool,
	act func(g *ops.Graph, gate, up ops.Value) ops.Value) ([]string, [][]byte) {
	t.Helper()
	d, err := OpenWith("emu:"+target, FromEnv())
	must(t, err)
	defer closing(t, d.Close)
	d.opt.kernels = use
	s, err := d.Stream()
	must(t, err)
	defer closing(t, s.Close)
	const n, ff = 256, 512
	r := rand.New(rand.NewPCG(8, uint64(tokens)))
	g := &ops.Graph{Exact: exact}
	weight := func(dt tensor.DType, rows, k int) ops.Value {
		w := tensor.Tensor{Name: "w", DType: dt, Shape: tensor.Shape{rows, k}}
		w.Layout = LayoutOf(ops.WeightUse{DType: w.DType, Shape: w.Shape})
		size, err := tensor.Bytes(dt, w.Shape)
		must(t, err)
		b := make([]byte, size)
		must(t, quant.Quantize(dt, b, normal(r, rows*k), k, nil))
		return g.Weight(uploaded(t, d, s, w, b))
	}
	inputs := map[string][]byte{}
	input := func(name string, shape ...int) ops.Value {
		inputs[name] = raw(normal(r, tensor.Shape(shape).Elems()))
		return g.Input(name, tensor.F32, shape...)
	}
	h := ops.Add(g, input("h", tokens, n), ops.MulMat(g, input("x", tokens, n), weight(quant.Q8_0, n, n)))
	x := ops.RMSNorm(g, h, input("ffn_norm", n), 1e-6)
	y := act(g, ops.MulMat(g, x, weight(quant.Q4_K, ff, n)), ops.MulMat(g, x, weight(quant.Q4_K, ff, n)))
	h = ops.Add(g, h, ops.MulMat(g, y, weight(quant.Q6_K, n, ff)))
	x = ops.RMSNorm(g, h, input("attn_norm", n), 1e-6)
	q, k := ops.MulMat(g, x, weight(quant.Q4_K, 40, n)), ops.MulMat(g, x, weight(quant.Q4_K, 9, n))
	v := ops.MulMat(g, x, weight(quant.Q6_K, 9, n))
	names, err := d.launches(g, h, q, k, v)
	must(t, err)
	p, err := d.Compile(g, nil, h, q, k, v)
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
		must(t, s.Run(p))
		for o, v := range []ops.Value{h, q, k, v} {
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

// TestLayerFuses runs the products of a layer with all that is fused, without packs that kernels emit, and with
// nothing fused around products.
func TestLayerFuses(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	const packs = 4 // that are made where no kernel emits them
	for _, c := range []struct {
		tokens int
		act    func(g *ops.Graph, gate, up ops.Value) ops.Value
		exact  bool
		fused  string
	}{
		{1, ops.SwiGLU, false, "x_q24 q8_0_dot1_norm q4_k_dot1_gated q6_k_dot1_norm mixed_dot1"},
		{3, ops.GeGLU, true, "x_q24 q8_0_dot8_norm q4_k_dot8_gated q6_k_dot8_norm mixed_dot8"},
		{3, ops.GeGLU, false, "x_f16 skinny16 rms_norm_f32_wave skinny16 x_f16 skinny16 rms_norm_f32_wave skinny16"},
		{20, ops.SwiGLU, false, "x_f16 skinny32 rms_norm_f32_wave skinny32 x_f16 skinny32 rms_norm_f32_wave skinny32"},
		{40, ops.SwiGLU, false, "x_f16 q8_0_mma rms_norm_f32_wave q4_k_mma x_f16 q6_k_mma rms_norm_f32_wave q4_k_mma " +
			"q6_k_mma64k"},
		{40, ops.GeGLU, true, "x_f16 q8_0_mma rms_norm_f32_wave q4_k_mma x_f16 q6_k_mma rms_norm_f32_wave q4_k_mma q6_k_mma"},
	} {
		// Products alone may have smaller tiles, which sum in another order.
		alone := strings.Contains(c.fused, "mma64k")
		for _, target := range emulated {
			names, got := runLayer(t, target, kernels, c.tokens, c.exact, c.act)
			if s := strings.ReplaceAll(strings.Join(names, " "), "mul_mat_", ""); s != c.fused {
				t.Errorf("%s: %d tokens take %q, want %q", target, c.tokens, s, c.fused)
			}
			names, plain := runLayer(t, target, kernels.without(func(k *Kernel) bool { k.emits = nil; return true }),
				c.tokens, c.exact, c.act)
			if n := prefixed(names, "mul_mat_x_"); n != packs {
				t.Errorf("%s: %d tokens: %d packs without kernels that emit them, want %d", target, c.tokens, n, packs)
			}
			names, apart := runLayer(t, target,
				kernels.without(func(k *Kernel) bool { k.emits = nil; return !around(k) }), c.tokens, c.exact, c.act)
			if len(names) != 10+packs {
				t.Errorf("%s: %d tokens take %d launches with nothing fused around products: %q", target, c.tokens,
					len(names), names)
			}
			for o := range got {
				if !alone && !bytes.Equal(plain[o], apart[o]) {
					t.Errorf("%s: %d tokens: result %d has not the bits of products that are made one by one", target,
						c.tokens, o)
				}
				if c.tokens > vecTokens && !alone && !bytes.Equal(got[o], apart[o]) {
					t.Errorf("%s: %d tokens: result %d has not the bits of halves that are made apart", target,
						c.tokens, o)
				}
				a, b := floats(got[o]), make([]float64, len(got[o])/4)
				for i, x := range floats(apart[o]) {
					b[i] = float64(x)
				}
				if nmse, _ := errorsOf(a, b); !(nmse <= 1e-12) { // sums are rounded in another order
					t.Errorf("%s: %d tokens: result %d is %g from that of products that are made one by one", target,
						c.tokens, o, nmse)
				}
			}
		}
	}
}
