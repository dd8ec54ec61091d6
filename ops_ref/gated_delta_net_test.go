package opsref

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/host"
	"github.com/hipengine/hipengine/tensor"
)

// lcg draws the numbers that the reference values below were made with.
type lcg uint64

func (s *lcg) u() float32 {
	*s = *s*6364136223846793005 + 1442695040888963407
	return float32(uint32(*s>>33)&0xFFFFFF)/(1<<24)*2 - 1
}

func (s *lcg) fill(n int, f func(u float32) float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = f(s.u())
	}
	return x
}

// TestDeltaNetLayer runs a whole gated DeltaNet mixer, convolution to gated norm, on fixed numbers. The expected
// values come from an independent float64 program; key heads are chosen in both orders.
func TestDeltaNetLayer(t *testing.T) {
	const (
		nk, nv, dim, tokens = 2, 4, 4, 5
		channels            = 2*nk*dim + nv*dim
	)
	id := func(u float32) float32 { return u }
	s := lcg(7)
	inputs := map[string][]float32{}
	inputs["m"] = s.fill(tokens*channels, id)
	inputs["z"] = s.fill(tokens*nv*dim, id)
	inputs["a"] = s.fill(tokens*nv, id)
	inputs["b"] = s.fill(tokens*nv, id)
	inputs["conv"] = s.fill(channels*4, id)
	inputs["A"] = s.fill(nv, func(u float32) float32 { return -4*float32(math.Abs(float64(u))) - 0.1 })
	inputs["dt"] = s.fill(nv, id)
	inputs["norm"] = s.fill(dim, func(u float32) float32 { return 1 + u/2 })

	for _, c := range []struct {
		name  string
		tiled bool
		want  map[int][]float64 // by token
	}{
		{"tiled", true, map[int][]float64{
			0: {0.198965, 0.399778, -0.029280, 0.234182, -0.894666, -0.213081, 0.393725, -0.095618, -0.227953,
				-0.110087, -0.218392, -0.000472, -0.049489, 0.051019, -0.302600, -0.254479},
			4: {-0.088164, 0.139618, -0.143894, 0.059781, 0.121098, -0.882143, 0.130033, 0.237187, -0.054958, 0.051070,
				-0.185287, -0.203483, -0.365837, -0.223953, 0.275490, 0.007310}}},
		{"grouped", false, map[int][]float64{
			4: {-0.088164, 0.139618, -0.143894, 0.059781, -0.299460, 0.490752, -0.324087, -0.200772, 0.150171,
				-0.023674, -0.175394, 0.201505, -0.365837, -0.223953, 0.275490, 0.007310}}},
	} {
		for _, chunk := range []int{tokens, 1, 2} { // the chunked form, the recurrence, and both
			dev := New(Options{Threads: 1})
			defer dev.Close()
			conv, delta := stateOf(t, dev, "conv", 1, 3, channels), stateOf(t, dev, "delta", 1, nv, dim, dim)
			var out []float32
			for at := 0; at < tokens; at += chunk {
				n := min(chunk, tokens-at)
				g := &ops.Graph{}
				in := func(name string, shape ...int) ops.Value { return g.Input(name, tensor.F32, shape...) }
				starts, slots := g.Input("starts", tensor.I32, 2), g.Input("slots", tensor.I32, 1)
				mixed, _ := ops.CausalConv(g, in("m", n, channels), g.State(conv), in("conv", channels, 4), starts,
					slots)
				mixed = ops.SiLU(g, mixed)
				part := func(lo, heads int) ops.Value {
					return ops.Reshape(g, ops.Slice(g, mixed, lo, lo+heads*dim), n, heads, dim)
				}
				decay := ops.Mul(g, ops.Softplus(g, ops.Add(g, in("a", n, nv), in("dt", nv))), in("A", nv))
				o, _ := ops.GatedDeltaNet(g, ops.L2Norm(g, part(0, nk), 1e-6), ops.L2Norm(g, part(nk*dim, nk), 1e-6),
					part(2*nk*dim, nv),
					decay, ops.Sigmoid(g, in("b", n, nv)), g.State(delta), starts, slots,
					ops.GatedDeltaNetAttrs{Scale: 0.5, Tiled: c.tiled})
				o = ops.Mul(g, ops.RMSNorm(g, o, in("norm", dim), 1e-6), ops.SiLU(g, in("z", n, nv, dim)))
				p, err := dev.Compile(g, nil, o)
				if err != nil {
					t.Fatal(err)
				}
				st, _ := dev.Stream()
				for name, x := range inputs {
					switch name {
					case "m", "z", "a", "b":
						w := len(x) / tokens
						x = x[at*w : (at+n)*w]
					}
					to, _ := p.Input(name)
					if err := st.Upload(to, cast.AsBytes(x)); err != nil {
						t.Fatal(err)
					}
				}
				to, _ := p.Input("starts")
				if err := st.Upload(to, binary.LittleEndian.AppendUint32(make([]byte, 4), uint32(n))); err != nil {
					t.Fatal(err)
				}
				if err := st.Run(p); err != nil {
					t.Fatal(err)
				}
				y := make([]float32, n*nv*dim)
				if err := st.Download(cast.AsBytes(y), p.Output(0)); err != nil {
					t.Fatal(err)
				}
				out = append(out, y...)
			}
			for token, want := range c.want {
				for i, w := range want {
					if got := float64(out[token*nv*dim+i]); !(math.Abs(got-w) < 1.5e-6) { // the values have six digits
						t.Errorf("%s, chunks of %d, token %d, element %d: %v, want %v", c.name, chunk, token, i, got,
							w)
					}
				}
			}
			// S_0 row i=0 and S_3 row i=2: the state is stored transposed, [value][key].
			if c.tiled {
				x := cast.Of[float32](host.Map(delta.Buf))
				for j, w := range []float64{-0.138124, -0.160388, 0.171771, 0.112334} {
					if got := float64(x[j*dim]); !(math.Abs(got-w) < 1.5e-6) {
						t.Errorf("chunks of %d: state of head 0, element 0,%d is %v, want %v", chunk, j, got, w)
					}
				}
				for j, w := range []float64{0.015882, 0.016331, -0.028702, 0.016807} {
					if got := float64(x[3*dim*dim+j*dim+2]); !(math.Abs(got-w) < 1.5e-6) {
						t.Errorf("chunks of %d: state of head 3, element 2,%d is %v, want %v", chunk, j, got, w)
					}
				}
			}
		}
	}
}

// stateOf allocates a state tensor of zeros.
func stateOf(t *testing.T, dev *Device, name string, shape ...int) tensor.Tensor {
	t.Helper()
	n, err := tensor.Bytes(tensor.F32, shape)
	if err != nil {
		t.Fatal(err)
	}
	b, err := dev.Alloc(n, ops.MemState)
	if err != nil {
		t.Fatal(err)
	}
	return tensor.Tensor{Name: name, DType: tensor.F32, Shape: shape, Buf: b}
}
