package opsref

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/tensor"
)

// TestBadIndexes gives kernels ids that lie outside their operands: errors, not panics or foreign memory.
func TestBadIndexes(t *testing.T) {
	dev := New(Options{Threads: 2})
	defer dev.Close()
	for _, c := range []struct {
		name, want string
		ints       map[string][]int32
		record     func(g *ops.Graph) ops.Value
	}{
		{"token", "id 9 at 1", map[string][]int32{"ids": {0, 9}}, func(g *ops.Graph) ops.Value {
			return ops.Embed(g, g.Input("x", tensor.F32, 4, 8), g.Input("ids", tensor.I32, 2))
		}},
		{"negative row", "id -1 at 0", map[string][]int32{"ids": {-1}}, func(g *ops.Graph) ops.Value {
			return ops.Rows(g, g.Input("x", tensor.F32, 4, 8), g.Input("ids", tensor.I32, 1))
		}},
		{"page", "page 0 of sequence 0 is 7", map[string][]int32{"pos": {3}, "seq": {0}, "pages": {7}},
			appendOne(t, dev)},
		{"position", "position 8", map[string][]int32{"pos": {8}, "seq": {0}, "pages": {0}}, appendOne(t, dev)},
		{"sequence", "sequence 1", map[string][]int32{"pos": {0}, "seq": {1}, "pages": {0}}, appendOne(t, dev)},
		{"expert", "expert 4 at 0", map[string][]int32{"ids": {4}}, func(g *ops.Graph) ops.Value {
			return ops.MulMatExperts(g, g.Input("x", tensor.F32, 1, 1, 8), g.Input("w", tensor.F32, 2, 3, 8),
				g.Input("ids", tensor.I32, 1, 1))
		}},
		{"slot", "slot 5", map[string][]int32{"starts": {0, 1}, "slots": {5}}, func(g *ops.Graph) ops.Value {
			y, _ := ops.CausalConv(g, g.Input("x", tensor.F32, 1, 4), g.State(stateOf(t, dev, "s", 1, 3, 4)),
				g.Input("w", tensor.F32, 4, 4),
				g.Input("starts", tensor.I32, 2), g.Input("slots", tensor.I32, 1))
			return y
		}},
		{"starts", "ends at row", map[string][]int32{"starts": {0, 2, 1}, "slots": {0, 1}},
			func(g *ops.Graph) ops.Value {
				y, _ := ops.CausalConv(g, g.Input("x", tensor.F32, 2, 4), g.State(stateOf(t, dev, "s", 2, 3, 4)),
					g.Input("w", tensor.F32, 4, 4),
					g.Input("starts", tensor.I32, 3), g.Input("slots", tensor.I32, 2))
				return y
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &ops.Graph{}
			p, err := dev.Compile(g, nil, c.record(g))
			if err != nil {
				t.Fatal(err)
			}
			s, _ := dev.Stream()
			for name, v := range c.ints {
				to, ok := p.Input(name)
				if !ok {
					t.Fatalf("no input %q", name)
				}
				if err := s.Upload(to, cast.AsBytes(v)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Run(p); err == nil || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), "device_test.go:") {
				t.Errorf("err = %v, want %q in it", err, c.want)
			}
		})
	}
}

func appendOne(t *testing.T, dev *Device) func(g *ops.Graph) ops.Value {
	return func(g *ops.Graph) ops.Value {
		return ops.KVAppend(g, g.State(stateOf(t, dev, "k", 2, 8, 1, 4)), g.Input("x", tensor.F32, 1, 1, 4),
			g.Input("pos", tensor.I32, 1), g.Input("seq", tensor.I32, 1), g.Input("pages", tensor.I32, 1, 1))
	}
}

// TestThreadsDoNotMatter runs a product on one to three threads and expects the same bits.
func TestThreadsDoNotMatter(t *testing.T) {
	x := make([]float32, 17*96)
	for i := range x {
		x[i] = float32(math.Sin(float64(i)))
	}
	var first []float32
	for threads := 1; threads <= 3; threads++ {
		dev := New(Options{Threads: threads})
		g := &ops.Graph{}
		p, err := dev.Compile(g, nil,
			ops.MulMat(g, g.Input("x", tensor.F32, 17, 96), g.Input("x2", tensor.F32, 17, 96)))
		if err != nil {
			t.Fatal(err)
		}
		s, _ := dev.Stream()
		for _, name := range []string{"x", "x2"} {
			to, _ := p.Input(name)
			if err := s.Upload(to, cast.AsBytes(x)); err != nil {
				t.Fatal(err)
			}
		}
		y := make([]float32, 17*17)
		if err := errors.Join(s.Run(p), s.Download(cast.AsBytes(y), p.Output(0)), dev.Close()); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = y
		}
		if !slices.Equal(first, y) {
			t.Errorf("%d threads give other bits than one", threads)
		}
	}
}

// TestViewOfWeight reads a weight through another shape: a view has its input's storage, wherever that is.
func TestViewOfWeight(t *testing.T) {
	dev := New(Options{Threads: 1})
	defer dev.Close()
	s, _ := dev.Stream()
	w := stateOf(t, dev, "w", 6)
	x := []float32{1, 2, 3, 4, 5, 6}
	if err := s.Upload(w, cast.AsBytes(x)); err != nil {
		t.Fatal(err)
	}
	g := &ops.Graph{}
	p, err := dev.Compile(g, nil, ops.Slice(g, ops.Reshape(g, g.Weight(w), 2, 3), 1, 3))
	if err != nil {
		t.Fatal(err)
	}
	y := make([]float32, 4)
	if err := errors.Join(s.Run(p), s.Download(cast.AsBytes(y), p.Output(0))); err != nil ||
		!slices.Equal(y, []float32{2, 3, 5, 6}) {
		t.Errorf("%v, %v", y, err)
	}
}

func TestTransfersAreChecked(t *testing.T) {
	dev := New(Options{Threads: 1})
	defer dev.Close()
	s, _ := dev.Stream()
	x := stateOf(t, dev, "x", 4)
	if err := s.Upload(x, make([]byte, 17)); err == nil {
		t.Error("17 bytes went into a tensor of 16")
	}
	x.Off = 4
	if err := s.Download(make([]byte, 16), x); err == nil {
		t.Error("a tensor reached beyond its buffer")
	}
	if _, err := dev.Alloc(-1, ops.MemState); err == nil {
		t.Error("a buffer of negative size")
	}
	if _, err := Float64s(stateOf(t, dev, "y", 4)); err == nil {
		t.Error("float64 results of a float32 device")
	}
}
