package cpu

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// hostDevices are all devices whose memory is that of the process.
func hostDevices(t *testing.T) map[string]ops.Device {
	t.Helper()
	devs := map[string]ops.Device{"cpu": New(Options{Threads: 2}), "ref": opsref.New(opsref.Options{Threads: 2}),
		"oracle": opsref.New(opsref.Options{Threads: 2, Oracle: true})}
	t.Cleanup(func() {
		for _, d := range devs {
			d.Close()
		}
	})
	return devs
}

// sizedPlans makes plans of a graph for different numbers of tokens on one device.
type sizedPlans struct {
	t      *testing.T
	dev    ops.Device
	stream ops.Stream
	w      tensor.Tensor
}

const sizedWidth = 256

func newSizedPlans(t *testing.T, dev ops.Device) *sizedPlans {
	t.Helper()
	s := &sizedPlans{t: t, dev: dev}
	s.stream, _ = dev.Stream()
	shape := tensor.Shape{sizedWidth, sizedWidth}
	s.w = tensor.Tensor{Name: "w", DType: quant.Q4_K, Shape: shape,
		Layout: dev.Layout(ops.WeightUse{DType: quant.Q4_K, Shape: shape})}
	f, _ := quant.Q4_K.Format()
	r := rand.New(rand.NewPCG(60, 60))
	x := make([]float32, shape.Elems())
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	raw := make([]byte, len(x)/f.Block*f.Bytes)
	f.Quant(raw, x)
	var err error
	if s.w.Buf, err = dev.Alloc(int64(len(raw)), ops.MemWeights); err != nil {
		t.Fatal(err)
	}
	if err := s.stream.Upload(s.w, raw); err != nil {
		t.Fatal(err)
	}
	return s
}

// graph records a product, and rows of it, rotated: what plans keep beside the arena depends on the size too.
func (s *sizedPlans) graph(tokens int) (*ops.Graph, []ops.Value) {
	g := &ops.Graph{}
	x := g.Input("x", tensor.F32, tokens, sizedWidth)
	y := ops.MulMat(g, x, g.Weight(s.w))
	h := ops.RoPE(g, ops.Reshape(g, y, tokens, 4, sizedWidth/4), g.Input("pos", tensor.I32, tokens),
		g.Input("freqs", tensor.F32, sizedWidth/8),
		ops.RoPEAttrs{NRot: sizedWidth / 4, MScale: 1})
	return g, []ops.Value{ops.Add(g, y, x), h}
}

func (s *sizedPlans) compile(tokens int, a *ops.Arena) ops.Plan {
	s.t.Helper()
	g, outs := s.graph(tokens)
	p, err := s.dev.Compile(g, a, outs...)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// run uploads inputs that depend on tokens and seed, and returns all results.
func (s *sizedPlans) run(p ops.Plan, tokens int, seed uint64) []byte {
	s.t.Helper()
	r := rand.New(rand.NewPCG(uint64(tokens), seed))
	x, pos, freqs := make([]float32, tokens*sizedWidth), make([]int32, tokens), make([]float32, sizedWidth/8)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for i := range pos {
		pos[i] = r.Int32N(1000)
	}
	for i := range freqs {
		freqs[i] = r.Float32()
	}
	for name, raw := range map[string][]byte{"x": cast.AsBytes(x), "pos": cast.AsBytes(pos),
		"freqs": cast.AsBytes(freqs)} {
		in, ok := p.Input(name)
		if !ok {
			s.t.Fatalf("no input %q", name)
		}
		if err := s.stream.Upload(in, raw); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := s.stream.Run(p); err != nil {
		s.t.Fatal(err)
	}
	var all []byte
	for i := range 2 {
		y := make([]byte, 4*tokens*sizedWidth)
		if err := s.stream.Download(y, p.Output(i)); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, y...)
	}
	return all
}

// TestArenaOfManyPlans checks that eight plans in one arena take what the largest takes, and compute the bits that
// they compute in memory of their own, in any order, also while the arena grows.
func TestArenaOfManyPlans(t *testing.T) {
	for name, dev := range hostDevices(t) {
		t.Run(name, func(t *testing.T) {
			s := newSizedPlans(t, dev)
			sizes := []int{2, 1, 5, 17, 3, 64, 40, 100}
			var a ops.Arena
			var plans []ops.Plan
			var largest int64
			for i, n := range sizes {
				g, outs := s.graph(n)
				bytes, err := dev.Caps().PlanBytes(g, outs...)
				if err != nil {
					t.Fatal(err)
				}
				largest = max(largest, bytes)
				plans = append(plans, s.compile(n, &a))
				if a.Bytes() != largest {
					t.Fatalf("after %d plans the arena has %d bytes, the largest needs %d", i+1, a.Bytes(), largest)
				}
				for j := range plans { // those whose arena has moved among them
					s.same(plans[j], sizes[j], 1)
				}
			}
			r := rand.New(rand.NewPCG(61, 61))
			for seed := range uint64(4) {
				for _, i := range r.Perm(len(plans)) {
					s.same(plans[i], sizes[i], seed)
				}
			}
			if a.Bytes() != largest {
				t.Errorf("running made the arena %d bytes large", a.Bytes())
			}
			for _, p := range plans {
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Free(); err != nil || a.Bytes() != 0 {
				t.Errorf("freed: %v, %d bytes", err, a.Bytes())
			}
		})
	}
}

// same fails unless p computes what a plan with memory of its own does.
func (s *sizedPlans) same(p ops.Plan, tokens int, seed uint64) {
	s.t.Helper()
	own := s.compile(tokens, nil)
	defer own.Close()
	if want := s.run(own, tokens, seed); !bytes.Equal(s.run(p, tokens, seed), want) {
		s.t.Fatalf("%d tokens: other bits than with memory of its own", tokens)
	}
}

// TestArenaMoves looks at what callers see of a plan whose arena moves, or is taken away.
func TestArenaMoves(t *testing.T) {
	for name, dev := range hostDevices(t) {
		t.Run(name, func(t *testing.T) {
			s := newSizedPlans(t, dev)
			var a ops.Arena
			p := s.compile(3, &a)
			before, _ := p.Input("x")
			s.compile(200, &a)
			after, _ := p.Input("x")
			if before.Buf == after.Buf || after.Buf != p.Output(0).Buf {
				t.Error("input and output stayed where the arena was")
			}
			if err := s.stream.Upload(before, make([]byte, 4)); err == nil {
				t.Error("uploaded to where the arena was")
			}
			s.same(p, 3, 2)
			if err := a.Free(); err != nil {
				t.Fatal(err)
			}
			if in, ok := p.Input("x"); !ok || s.stream.Upload(in, make([]byte, 4)) == nil {
				t.Error("uploaded to an arena without memory")
			}
			if err := s.stream.Run(p); err != nil {
				t.Errorf("a plan does not make room again: %v", err)
			}
			s.same(p, 3, 3)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if err := s.stream.Run(p); err == nil {
				t.Error("a closed plan ran")
			}
		})
	}
}

// TestForeignArena gives a device the arena of another.
func TestForeignArena(t *testing.T) {
	devs := hostDevices(t)
	var a ops.Arena
	newSizedPlans(t, devs["oracle"]).compile(8, &a)
	for _, name := range []string{"cpu", "ref"} {
		s := newSizedPlans(t, devs[name])
		g, outs := s.graph(1)
		if p, err := s.dev.Compile(g, &a, outs...); err == nil {
			p.Close()
			t.Errorf("%s computes float32 in memory for float64", name)
		}
	}
}

// TestMovedPlanAllocatesNothing runs a plan again that has bound itself anew.
func TestMovedPlanAllocatesNothing(t *testing.T) {
	dev := New(Options{Threads: 2})
	defer dev.Close()
	s := newSizedPlans(t, dev)
	var a ops.Arena
	p := s.compile(1, &a)
	s.compile(9, &a)
	s.run(p, 1, 1)
	if n := testing.AllocsPerRun(20, func() {
		if err := s.stream.Run(p); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations in a run", n)
	}
}

// BenchmarkBind measures what a moved arena costs a plan of a hundred layers.
func BenchmarkBind(b *testing.B) {
	dev := New(Options{})
	defer dev.Close()
	g := &ops.Graph{}
	x := g.Input("x", tensor.F32, 1, 64)
	for i := range 1000 {
		x = ops.Scale(g, x, float32(math.Sqrt(float64(i+1))))
	}
	p, err := dev.Compile(g, nil, x)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(1000, "nodes")
	for b.Loop() {
		if err := p.(*plan).bind(); err != nil {
			b.Fatal(err)
		}
	}
}
