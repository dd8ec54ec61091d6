package opship

import (
	"embed"
	"encoding/binary"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/fakert"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
	_ "github.com/hipengine/hipengine/tensor/quant"
)

// testObjects are testdata/kernels, compiled; embedded so that the test binary runs anywhere.
//
//go:embed testdata/codeobj
var testObjects embed.FS

// objectDir returns a folder with the test kernels.
func objectDir(t testing.TB) string {
	t.Helper()
	sub, err := fs.Sub(testObjects, "testdata/codeobj")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "objects")
	if err := os.CopyFS(dir, sub); err != nil {
		t.Fatal(err)
	}
	return dir
}

// testRegistry launches the kernels of testdata/kernels: add, scale and rms_norm.
func testRegistry() registry {
	always := func(*ops.Node, *Target) int { return 0 }
	r := registry{}
	r.add(Kernel{Name: "test_add", Op: ops.AddOp, Match: always,
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			x, y, out := n.In[0], n.In[1], n.Result(0)
			e := x.Shape().Elems()
			return []Launch{{Object: "elementwise", Symbol: "test_add", Grid: [3]uint32{Blocks(e, 256)},
				Block: [3]uint32{256},
				Args:  Args{}.Ptr(x).Ptr(y).Ptr(out).U32(uint32(e)).U32(uint32(y.Shape().Elems()))}}, nil
		}})
	r.add(Kernel{Name: "test_scale", Op: ops.ScaleOp, Match: always,
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			e := n.In[0].Shape().Elems()
			return []Launch{{Object: "elementwise", Symbol: "test_scale", Grid: [3]uint32{Blocks(e, 256)},
				Block: [3]uint32{256},
				Args:  Args{}.F32(n.Attrs.(ops.ScaleAttrs).By).Ptr(n.In[0]).U32(uint32(e)).Ptr(n.Result(0))}}, nil
		}})
	r.add(Kernel{Name: "test_rms_norm", Op: ops.RMSNormOp, Match: always,
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			x := n.In[0]
			rows, cols := x.Shape().Rows(), x.Shape().Last()
			grid, block, scratch := [3]uint32{uint32(rows)}, [3]uint32{128}, int64(256+4*rows)
			return []Launch{
				{Object: "rms_norm", Symbol: "test_rms_sums", Grid: grid, Block: block, Scratch: scratch,
					Args: Args{}.Ptr(x).ScratchPtr(256).U32(uint32(cols))},
				{Object: "rms_norm", Symbol: "test_rms_apply", Grid: grid, Block: block, Scratch: scratch,
					Args: Args{}.Ptr(x).Ptr(n.In[1]).ScratchPtr(256).Ptr(n.Result(0)).U32(uint32(cols)).
						F32(n.Attrs.(ops.NormAttrs).Eps)},
			}, nil
		}})
	return r
}

// block reads an argument block.
type block []byte

func (b block) ptr(at int) hiprt.Ptr { return hiprt.Ptr(binary.LittleEndian.Uint64(b[at:])) }
func (b block) u32(at int) int       { return int(binary.LittleEndian.Uint32(b[at:])) }
func (b block) f32(at int) float32   { return math.Float32frombits(binary.LittleEndian.Uint32(b[at:])) }

// goKernels are the test kernels in Go, for the fake runtime, at the offsets that the compiler gave the arguments.
var goKernels = map[string]fakert.Kernel{
	"test_add": func(rt *fakert.Runtime, _, _ [3]uint32, args []byte) {
		b := block(args)
		n, m := b.u32(24), b.u32(28)
		x, y, out := rt.Floats(b.ptr(0), n), rt.Floats(b.ptr(8), m), rt.Floats(b.ptr(16), n)
		for i := range n {
			out[i] = x[i] + y[i%m]
		}
	},
	"test_scale": func(rt *fakert.Runtime, _, _ [3]uint32, args []byte) {
		b := block(args)
		n := b.u32(16)
		x, out := rt.Floats(b.ptr(8), n), rt.Floats(b.ptr(24), n)
		for i := range n {
			out[i] = b.f32(0) * x[i]
		}
	},
	"test_rms_sums": func(rt *fakert.Runtime, grid, _ [3]uint32, args []byte) {
		b := block(args)
		rows, n := int(grid[0]), b.u32(16)
		x, sums := rt.Floats(b.ptr(0), rows*n), rt.Floats(b.ptr(8), rows)
		for r := range rows {
			sums[r] = 0
			for _, v := range x[r*n : (r+1)*n] {
				sums[r] += v * v
			}
		}
	},
	"test_rms_apply": func(rt *fakert.Runtime, grid, _ [3]uint32, args []byte) {
		b := block(args)
		rows, n, eps := int(grid[0]), b.u32(32), b.f32(36)
		x, w, sums, out := rt.Floats(b.ptr(0), rows*n), rt.Floats(b.ptr(8), n), rt.Floats(b.ptr(16), rows),
			rt.Floats(b.ptr(24), rows*n)
		for i := range x {
			out[i] = x[i] / float32(math.Sqrt(float64(sums[i/n]/float32(n)+eps))) * w[i%n]
		}
	},
}

// fakeDevice opens a device on a fake runtime, whose graphs it has proven.
func fakeDevice(t testing.TB, o Options) (*Device, *fakert.Runtime) {
	t.Helper()
	rt := fakert.New("gfx1100", goKernels)
	o.kernels, o.CodeObjects = testRegistry(), objectDir(t)
	d, err := openOn(rt, "hip:0", 0, o)
	if err != nil {
		t.Fatal(err)
	}
	d.graphs.Do(d.checkGraphs)
	rt.Calls()
	return d, rt
}

// floats and raw convert between elements and bytes.
func floats(b []byte) []float32 {
	f := make([]float32, len(b)/4)
	for i := range f {
		f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return f
}

func raw(f []float32) []byte {
	var b []byte
	for _, x := range f {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func normal(r *rand.Rand, n int) []float32 {
	f := make([]float32, n)
	for i := range f {
		f[i] = float32(r.NormFloat64())
	}
	return f
}

// upload allocates a tensor on d and fills it.
func upload(t testing.TB, d ops.Device, s ops.Stream, name string, x []float32, kind ops.MemKind,
	shape ...int) tensor.Tensor {
	t.Helper()
	buf, err := d.Alloc(int64(4*len(x)), kind)
	if err != nil {
		t.Fatal(err)
	}
	v := tensor.Tensor{Name: name, DType: tensor.F32, Shape: shape, Buf: buf}
	if err := s.Upload(v, raw(x)); err != nil {
		t.Fatal(err)
	}
	return v
}

// model is a small graph over all test kernels, with a weight and a chain long enough to reuse memory:
// out = rms_norm(x + 0.5·rms_norm(x, w), w) + bias.
func model(g *ops.Graph, rows, cols int, w tensor.Tensor) ops.Value {
	x := g.Input("x", tensor.F32, rows, cols)
	bias := g.Input("bias", tensor.F32, cols)
	wv := g.Weight(w)
	h := ops.RMSNorm(g, x, wv, 1e-5)
	h = ops.Add(g, x, ops.Scale(g, h, 0.5))
	return ops.Add(g, ops.RMSNorm(g, h, wv, 1e-5), bias)
}

// modelWant computes model in float64.
func modelWant(x, bias, w []float32) []float64 {
	n := len(w)
	norm := func(x []float64) []float64 {
		out := make([]float64, len(x))
		for r := 0; r < len(x); r += n {
			sum := 0.0
			for _, v := range x[r : r+n] {
				sum += v * v
			}
			for i, v := range x[r : r+n] {
				out[r+i] = v / math.Sqrt(sum/float64(n)+1e-5) * float64(w[i])
			}
		}
		return out
	}
	h := make([]float64, len(x))
	for i := range x {
		h[i] = float64(x[i])
	}
	for i, v := range norm(h) {
		h[i] += 0.5 * v
	}
	out := norm(h)
	for i := range out {
		out[i] += float64(bias[i%n])
	}
	return out
}

// runModel compiles and runs model several times with different inputs and returns the last result as bytes, and how
// the plan ran.
func runModel(t testing.TB, d *Device, rows, cols, runs int) (result []byte, mode string) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, s.Close)
	wx := normal(r, cols)
	w := upload(t, d, s, "w", wx, ops.MemWeights, cols)
	defer closing(t, w.Buf.Free)
	g := &ops.Graph{}
	p, err := d.compile(g, nil, []ops.Value{model(g, rows, cols, w)})
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, p.Close)
	got := make([]byte, 4*rows*cols)
	for range runs {
		x, bias := normal(r, rows*cols), normal(r, cols)
		for name, v := range map[string][]float32{"x": x, "bias": bias} {
			in, ok := p.Input(name)
			if !ok {
				t.Fatalf("no input %q", name)
			}
			if err := s.Upload(in, raw(v)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Run(p); err != nil {
			t.Fatal(err)
		}
		if err := s.Download(got, p.Output(0)); err != nil {
			t.Fatal(err)
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := modelWant(x, bias, wx)
		for i, v := range floats(got) {
			// Eight roundings and a sum of cols squares: far below 1e-4 of values around 1.
			if !(math.Abs(float64(v)-want[i]) <= 1e-4*(1+math.Abs(want[i]))) {
				t.Fatalf("element %d is %v, want %v", i, v, want[i])
			}
		}
	}
	return got, p.Mode()
}

func closing(t testing.TB, f func() error) {
	t.Helper()
	if err := f(); err != nil {
		t.Error(err)
	}
}

func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not mention %q", err, p)
		}
	}
}
