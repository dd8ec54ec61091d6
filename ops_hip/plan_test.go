package opship

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

func TestPlanModes(t *testing.T) {
	boom := errors.New("capture is broken")
	var results [][]byte
	for _, c := range []struct {
		name, fail string
		err        error
		direct     bool
		mode, log  string // mode is empty where it is "direct: " and the error
		launches   int    // native launches in three runs of seven launches each
	}{
		{name: "graph", mode: "graph", launches: 14},
		{name: "switched off", direct: true, mode: "direct", launches: 21},
		{name: "no graphs", fail: "BeginCapture", err: hiprt.ErrNoGraphs, launches: 21},
		{name: "begin fails", fail: "BeginCapture", err: boom, log: "capture is broken", launches: 21},
		{name: "launch fails", fail: "Launch", err: boom, log: "capture is broken", launches: 22},
		{name: "end fails", fail: "EndCapture", err: boom, log: "capture is broken", launches: 28},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			d, rt := fakeDevice(t, Options{Direct: c.direct, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if c.fail != "" {
				rt.Fail[c.fail] = []error{c.err}
			}
			if c.fail == "Launch" {
				rt.Fail[c.fail] = append(make([]error, 7), c.err) // after the first run
			}
			got, mode := runModel(t, d, 3, 67, 3)
			results = append(results, got)
			if want := c.mode; mode != want &&
				(c.err == nil || !strings.HasPrefix(mode, "direct: ") || !strings.HasSuffix(mode, c.err.Error())) {
				t.Errorf("mode %q, want %q", mode, want)
			}
			calls := rt.Calls()
			n := 0
			for _, call := range calls {
				if call == "Launch" {
					n++
				}
			}
			if n != c.launches {
				t.Errorf("%d launches, want %d", n, c.launches)
			}
			if c.log == "" && log.Len() > 0 || !strings.Contains(log.String(), c.log) {
				t.Errorf("log is %q, want %q", &log, c.log)
			}
			closing(t, d.Close)
			if n := rt.Live(); n != 0 {
				t.Errorf("%d runtime objects were not released", n)
			}
		})
	}
	for i, r := range results {
		if !bytes.Equal(r, results[0]) {
			t.Errorf("result %d differs from that of the captured graph", i)
		}
	}
}

func TestPlanDescribesItself(t *testing.T) {
	d, _ := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	g := &ops.Graph{}
	x := g.Input("x", tensor.F32, 2, 3)
	y := ops.Add(g, ops.Reshape(g, ops.Scale(g, x, 2), 3, 2), g.Input("y", tensor.F32, 2))
	p, err := d.compile(g, nil, []ops.Value{y})
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, p.Close)
	want := []string{"scale(F32[2 3]) {By:2} -> test_scale", "add(F32[3 2], F32[2]) -> test_add"}
	if got := p.Kernels(); !slices.Equal(got, want) {
		t.Errorf("kernels %q, want %q", got, want)
	}
	if m := p.Mode(); m != "not run" {
		t.Errorf("mode %q before the first run", m)
	}
	if s := p.Output(0).Shape; !s.Equal(tensor.Shape{3, 2}) {
		t.Errorf("output has shape %v", s)
	}
	if _, ok := p.Input("z"); ok {
		t.Error("there is an input z")
	}
}

// Arena and scratch memory start as NaN, so that kernels cannot count on zeros.
func TestPlanMemoryIsPoisoned(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	g := &ops.Graph{}
	w := g.Input("w", tensor.F32, 3)
	p, err := d.compile(g, nil, []ops.Value{ops.RMSNorm(g, g.Input("x", tensor.F32, 2, 3), w, 1e-5)})
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, p.Close)
	b, _ := p.arena.Buffer()
	arena := b.(*buffer)
	for i, b := range rt.Bytes(arena.addr, int(arena.size)) {
		if b != poison {
			t.Fatalf("byte %d of %d is %#x", i, arena.size, b)
		}
	}
	if want := int64(3*memAlign + 256 + 4*2); arena.size != want || p.bytes != want { // x, w, the result; scratch
		t.Errorf("the plan has %d bytes, takes %d, want %d", arena.size, p.bytes, want)
	}
}

// TestPlanCounters checks that counters start as zeros, belong to their plan alone and go with it.
func TestPlanCounters(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	d.opt.kernels = registry{}
	d.opt.kernels.add(Kernel{Name: "k", Op: ops.ScaleOp, Match: func(*ops.Node, *Target) int { return 0 },
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			return []Launch{{Object: "elementwise", Symbol: "test_scale", Block: [3]uint32{256}, Counters: 100,
				Args: Args{}.F32(2).Ptr(n.In[0]).U32(6).CounterPtr()}}, nil
		}})
	before := d.Used()
	var plans []*Plan
	for range 2 {
		g := &ops.Graph{}
		p, err := d.compile(g, nil, []ops.Value{ops.Scale(g, g.Input("x", tensor.F32, 2, 3), 2)})
		must(t, err)
		plans = append(plans, p)
		if got := rt.Bytes(p.counters.addr, 400); !bytes.Equal(got, make([]byte, 400)) {
			t.Errorf("counters are %x", got)
		}
		l := p.launches[0].Args
		if got := binary.LittleEndian.Uint64(l[24:]); got != uint64(p.counters.addr) {
			t.Errorf("the launch counts at %#x, counters are at %#x", got, p.counters.addr)
		}
	}
	if plans[0].counters.addr == plans[1].counters.addr {
		t.Error("two plans have the same counters")
	}
	for _, p := range plans {
		must(t, p.Close())
	}
	if d.Used() != before {
		t.Errorf("%d bytes are in use, %d were before", d.Used(), before)
	}
}

func TestCompileErrors(t *testing.T) {
	launchOf := func(edit func(*Launch)) func(*ops.Node, *Target) ([]Launch, error) {
		return func(n *ops.Node, _ *Target) ([]Launch, error) {
			l := Launch{Object: "elementwise", Symbol: "test_scale", Block: [3]uint32{256},
				Args: Args{}.F32(2).Ptr(n.In[0]).U32(6).Ptr(n.Result(0))}
			edit(&l)
			return []Launch{l}, nil
		}
	}
	var stranger ops.Value
	for _, c := range []struct {
		name string
		edit func(*Launch)
		want []string
	}{
		{"object", func(l *Launch) { l.Object = "nothing" }, []string{"nothing", "gfx1100", "no such code object"}},
		{"symbol", func(l *Launch) { l.Symbol = "nobody" }, []string{"elementwise", "no kernel nobody"}},
		{"missing argument", func(l *Launch) { l.Args = Args{}.F32(2) }, []string{"test_scale takes arguments"}},
		{"argument size", func(l *Launch) { l.Args = Args{}.U64(2).NullPtr().U32(6).NullPtr() },
			[]string{"test_scale takes arguments"}},
		{"argument kind", func(l *Launch) { l.Args = Args{}.F32(2).U64(0).U32(6).NullPtr() },
			[]string{"test_scale takes arguments"}},
		{"block", func(l *Launch) { l.Block = [3]uint32{512} }, []string{"blocks of up to 256 threads", "512"}},
		{"grid", func(l *Launch) { l.Grid = [3]uint32{1, 1 << 16} }, []string{"too large in dimension 1"}},
		{"grid times block", func(l *Launch) { l.Grid = [3]uint32{1 << 30} }, []string{"too large in dimension 0"}},
		{"scratch size", func(l *Launch) { l.Scratch = -1 }, []string{"-1 bytes of scratch memory"}},
		{"scratch offset", func(l *Launch) { l.Args = Args{}.F32(2).ScratchPtr(8).U32(6).NullPtr(); l.Scratch = 8 },
			[]string{"byte 8 of 8 bytes of scratch"}},
		{"counters", func(l *Launch) { l.Counters = -1 }, []string{"-1 counters"}},
		{"no counters", func(l *Launch) { l.Args = Args{}.F32(2).CounterPtr().U32(6).NullPtr() },
			[]string{"points to counters, of which the launch has 0"}},
		{"foreign value", func(l *Launch) { l.Args = Args{}.F32(2).Ptr(stranger).U32(6).NullPtr() },
			[]string{"no input or result of the node"}},
		{"offset", func(l *Launch) { l.Args = Args{}.F32(2).PtrAt(l.Args.relocs[0].value, 24).U32(6).NullPtr() },
			[]string{"byte 24 of F32[2 3], which has 24"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, rt := fakeDevice(t, Options{})
			d.opt.kernels = registry{}
			d.opt.kernels.add(Kernel{Name: "k", Op: ops.ScaleOp, Match: func(*ops.Node, *Target) int { return 0 },
				Launch: launchOf(c.edit)})
			g, other := &ops.Graph{}, &ops.Graph{}
			stranger = other.Input("s", tensor.F32, 1)
			_, err := d.Compile(g, nil, ops.Scale(g, g.Input("x", tensor.F32, 2, 3), 2))
			wantError(t, err, append(c.want, "plan_test.go:", "scale(F32[2 3])")...)
			closing(t, d.Close)
			if n := rt.Live(); n != 0 {
				t.Errorf("%d runtime objects were not released", n)
			}
		})
	}
	t.Run("unsupported", func(t *testing.T) {
		d, _ := fakeDevice(t, Options{})
		defer closing(t, d.Close)
		g := &ops.Graph{}
		_, err := d.Compile(g, nil, ops.SiLU(g, g.Input("x", tensor.F32, 2, 3)))
		if !errors.Is(err, ops.ErrUnsupported) {
			t.Errorf("error %v does not wrap ErrUnsupported", err)
		}
		wantError(t, err, "silu(F32[2 3])", "hip:0")
	})
	t.Run("weight of another device", func(t *testing.T) {
		a, _ := fakeDevice(t, Options{})
		b, _ := fakeDevice(t, Options{})
		defer closing(t, a.Close)
		defer closing(t, b.Close)
		buf, err := a.Alloc(24, ops.MemWeights)
		if err != nil {
			t.Fatal(err)
		}
		defer closing(t, buf.Free)
		g := &ops.Graph{}
		_, err = b.Compile(g, nil,
			ops.Scale(g, g.Weight(tensor.Tensor{Name: "w", DType: tensor.F32, Shape: tensor.Shape{2, 3}, Buf: buf}),
				2))
		wantError(t, err, `"w"`, "another device")
	})
}

// The best match wins, the first among equals, and none below zero.
func TestKernelSelection(t *testing.T) {
	r := registry{}
	for _, k := range []struct {
		name  string
		score int
	}{{"never", -1}, {"plain", 0}, {"fast", 5}, {"as fast", 5}} {
		r.add(Kernel{Name: k.name, Op: ops.SiLUOp, Match: func(*ops.Node, *Target) int { return k.score },
			Launch: func(*ops.Node, *Target) ([]Launch, error) { return nil, nil }})
	}
	if k, ok := r.find(&ops.Node{Op: ops.SiLUOp}, NewTarget("gfx1100", 0)); !ok || k.Name != "fast" {
		t.Errorf("found %q, %v", k.Name, ok)
	}
	if k, ok := r.find(&ops.Node{Op: ops.AddOp}, NewTarget("gfx1100", 0)); ok {
		t.Errorf("found %q for an op without kernels", k.Name)
	}
	for _, bad := range []Kernel{{}, r[ops.SiLUOp][0]} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("registering %q did not panic", bad.Name)
				}
			}()
			r.add(bad)
		}()
	}
}

// Argument blocks that grow from a common start do not disturb each other.
func TestArgsShareNothing(t *testing.T) {
	base := Args{}.F32(1).U32(7)
	a, b := base.U32(1).U64(2), base.U32(3).U32(4)
	if got := b.bytes()[8:]; !bytes.Equal(got, []byte{3, 0, 0, 0, 4, 0, 0, 0}) {
		t.Errorf("second block holds % x", got)
	}
	want := []Field{{0, 4, false}, {4, 4, false}, {8, 4, false}, {16, 8, false}}
	if got := a.Layout(); !slices.Equal(got, want) {
		t.Errorf("layout %v, want %v", got, want)
	}
	if a.Size() != 24 || b.Size() != 16 {
		t.Errorf("sizes %d and %d", a.Size(), b.Size())
	}
}
