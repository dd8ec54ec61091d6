package opship

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// sharing is plans of model in one arena.
type sharing struct {
	t     testing.TB
	d     *Device
	s     ops.Stream
	arena ops.Arena
	plans []*Plan
	rows  []int
	in    []map[string][]float32
	w     tensor.Tensor
	wx    []float32
}

const sharedCols = 67

func newSharing(t testing.TB, d *Device) *sharing {
	s, err := d.Stream()
	must(t, err)
	h := &sharing{t: t, d: d, s: s, wx: normal(rand.New(rand.NewPCG(5, 6)), sharedCols)}
	h.w = upload(t, d, s, "w", h.wx, ops.MemWeights, sharedCols)
	return h
}

func (h *sharing) close() {
	for _, p := range h.plans {
		closing(h.t, p.Close)
	}
	closing(h.t, h.arena.Free)
	closing(h.t, h.w.Buf.Free)
	closing(h.t, h.s.Close)
}

// add compiles one more plan and returns its number.
func (h *sharing) add(rows int) int {
	h.t.Helper()
	g := &ops.Graph{}
	p, err := h.d.compile(g, &h.arena, []ops.Value{model(g, rows, sharedCols, h.w)})
	must(h.t, err)
	r := rand.New(rand.NewPCG(uint64(rows), 8))
	h.plans, h.rows = append(h.plans, p), append(h.rows, rows)
	h.in = append(h.in, map[string][]float32{"x": normal(r, rows*sharedCols), "bias": normal(r, sharedCols)})
	return len(h.plans) - 1
}

// run runs plan i and compares its result with the reference.
func (h *sharing) run(i int) []byte {
	h.t.Helper()
	p := h.plans[i]
	for name, v := range h.in[i] {
		in, _ := p.Input(name)
		must(h.t, h.s.Upload(in, raw(v)))
	}
	got := make([]byte, 4*h.rows[i]*sharedCols)
	must(h.t, errors.Join(h.s.Run(p), h.s.Download(got, p.Output(0)), h.s.Sync(h.t.Context())))
	want := modelWant(h.in[i]["x"], h.in[i]["bias"], h.wx)
	for j, v := range floats(got) {
		if d := float64(v) - want[j]; !(d*d <= 1e-8*(1+want[j]*want[j])) {
			h.t.Fatalf("plan %d: element %d is %v, want %v", i, j, v, want[j])
		}
	}
	return got
}

func (h *sharing) mode(i int, want string) {
	h.t.Helper()
	if got := h.plans[i].Mode(); got != want {
		h.t.Errorf("plan %d runs as %q, want %q", i, got, want)
	}
}

// testArena checks that plans share their arena, survive that it moves, and are captured anew then.
func testArena(t *testing.T, d *Device) {
	defer closing(t, d.Close)
	h := newSharing(t, d)
	defer h.close()
	small := h.add(2)
	first := h.run(small)
	h.run(small)
	h.mode(small, "graph")
	old, _ := h.arena.Buffer()
	before := d.Used()
	large := h.add(9)
	moved, _ := h.arena.Buffer()
	if old == moved {
		t.Fatal("the arena did not move")
	}
	if grown := d.Used() - before; grown != moved.Size()-old.Size() || moved.Size() != h.plans[large].bytes {
		t.Errorf("a larger plan takes %d bytes more in an arena of %d, which was %d; it needs %d", grown, moved.Size(),
			old.Size(), h.plans[large].bytes)
	}
	if in, _ := h.plans[small].Input("x"); in.Buf != moved || h.plans[small].Output(0).Buf != moved {
		t.Error("inputs and outputs do not follow the arena")
	}
	if got := h.run(small); !bytes.Equal(got, first) {
		t.Error("the result is another one at the new place")
	}
	h.mode(small, "direct") // the first run at the new place
	for range 3 {           // in turns: neither needs the other to keep away
		h.run(large)
		h.run(small)
	}
	h.mode(small, "graph")
	h.mode(large, "graph")
	before = d.Used()
	middle := h.add(5)
	if now := d.Used(); now != before {
		t.Errorf("a smaller plan takes %d bytes more", now-before)
	}
	h.run(middle)
	h.mode(small, "graph") // nothing moved
	closing(t, h.plans[large].Close)
	h.run(middle)
	h.run(small)
}

func TestArena(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	testArena(t, d)
	if n := rt.Live(); n != 0 {
		t.Errorf("%d runtime objects were not released", n)
	}
}

func TestArenaErrors(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	h := newSharing(t, d)
	defer h.close()
	small := h.add(2)
	h.run(small)
	// No room for a larger one: the arena is as it was, at another place perhaps.
	size := h.arena.Bytes()
	rt.Limit = d.Used() + 4096
	g := &ops.Graph{}
	_, err := d.Compile(g, &h.arena, model(g, 1000, sharedCols, h.w))
	if !errors.Is(err, ops.ErrOutOfMemory) || h.arena.Bytes() != size {
		t.Errorf("error %v, an arena of %d bytes, want %d", err, h.arena.Bytes(), size)
	}
	rt.Limit = 0
	h.run(small)
	// A plan that fails to compile after the arena has moved takes none down.
	rt.Fail["HostAlloc"] = []error{errors.New("no pinned memory")}
	_, err = d.Compile(g, &h.arena, model(g, 10, sharedCols, h.w))
	wantError(t, err, "no pinned memory")
	h.run(small)
	h.run(small)
	h.mode(small, "graph")

	other, _ := fakeDevice(t, Options{})
	defer closing(t, other.Close)
	g = &ops.Graph{}
	_, err = other.Compile(g, &h.arena, ops.Scale(g, g.Input("x", tensor.F32, 4), 2))
	wantError(t, err, "arena is of another device")

	g = &ops.Graph{}
	p, err := d.Compile(g, &h.arena, ops.Scale(g, g.Input("x", tensor.F32, 4), 2))
	must(t, err)
	defer closing(t, p.Close)
	closing(t, h.arena.Free)
	in, ok := p.Input("x")
	if !ok {
		t.Error("the input is gone")
	}
	wantError(t, h.s.Upload(in, make([]byte, 16)), `"x"`)
	wantError(t, h.s.Run(p), "arena was freed")
	q, err := d.Compile(g, &h.arena, ops.Scale(g, g.Input("y", tensor.F32, 1), 2))
	must(t, err)
	defer closing(t, q.Close)
	wantError(t, h.s.Run(h.plans[small]), "bytes, its arena has")
	must(t, h.s.Run(p)) // large enough
	must(t, h.s.Sync(t.Context()))
}
