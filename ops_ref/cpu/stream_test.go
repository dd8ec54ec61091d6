package cpu

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// stateOf allocates a tensor of float32.
func stateOf(t *testing.T, dev ops.Device, name string, kind ops.MemKind, x []float32) tensor.Tensor {
	t.Helper()
	b, err := dev.Alloc(int64(max(8*len(x), 64)), kind)
	if err != nil {
		t.Fatal(err)
	}
	to := tensor.Tensor{Name: name, DType: tensor.F32, Shape: tensor.Shape{len(x)}, Buf: b}
	s, _ := dev.Stream()
	if err := s.Upload(to, cast.AsBytes(x)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestCopy copies between memory of all kinds of all devices, of which an oracle's arena holds float64.
func TestCopy(t *testing.T) {
	devs := hostDevices(t)
	x := []float32{1, -2, 3.5, 0x1p-140}
	for from, src := range devs {
		for to, dst := range devs {
			for _, fromKind := range []ops.MemKind{ops.MemState, ops.MemPlans} {
				for _, toKind := range []ops.MemKind{ops.MemState, ops.MemPlans} {
					a, b := stateOf(t, src, "a", fromKind, x), stateOf(t, dst, "b", toKind, make([]float32, 4))
					b.Shape = tensor.Shape{2, 2}
					s, _ := dst.Stream()
					got := make([]float32, 4)
					if err := errors.Join(s.Copy(b, a), s.Download(cast.AsBytes(got), b)); err != nil ||
						!bytes.Equal(cast.AsBytes(got), cast.AsBytes(x)) {
						t.Errorf("%s %d to %s %d: %v, %v", from, fromKind, to, toKind, got, err)
					}
					if err := errors.Join(s.Zero(b), s.Download(cast.AsBytes(got), b)); err != nil ||
						!bytes.Equal(cast.AsBytes(got), make([]byte, 16)) {
						t.Errorf("%s %d: cleared: %v, %v", to, toKind, got, err)
					}
				}
			}
		}
	}
}

// TestCopyRefuses covers what does not fit.
func TestCopyRefuses(t *testing.T) {
	dev := New(Options{Threads: 1})
	defer dev.Close()
	s, _ := dev.Stream()
	a := stateOf(t, dev, "a", ops.MemState, []float32{1, 2, 3, 4, 5, 6})
	part := func(lo, n int) tensor.Tensor {
		p := a
		p.Off, p.Shape = int64(4*lo), tensor.Shape{n}
		return p
	}
	other := part(0, 2)
	other.DType = tensor.I32
	woven := part(4, 2)
	woven.Layout = tensor.Layout{Name: interleaved, Bytes: 8, Rows: 16}
	foreign := part(4, 2)
	foreign.Buf = nil
	for _, c := range []struct {
		dst, src tensor.Tensor
		want     string
	}{
		{part(2, 3), part(0, 3), "overlap"},
		{part(0, 3), part(2, 3), "overlap"},
		{part(0, 2), part(3, 3), "does not fill"},
		{other, part(3, 2), "does not fill"},
		{part(0, 2), woven, "layout"},
		{part(0, 2), foreign, "another device"},
		{part(0, 2), part(15, 2), "in a buffer"},
	} {
		if err := s.Copy(c.dst, c.src); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want %q in it", err, c.want)
		}
	}
	if err := s.Copy(part(0, 3), part(3, 3)); err != nil {
		t.Errorf("neighbours: %v", err)
	}
	if err := s.Zero(part(15, 2)); err == nil {
		t.Error("cleared what is outside the buffer")
	}
}

// event is one of another device.
type event struct {
	waited bool
	err    error
}

func (e *event) Sync(context.Context) error { e.waited = true; return e.err }
func (e *event) Close() error               { return nil }

// TestEvents waits for events of this device and of others.
func TestEvents(t *testing.T) {
	for name, dev := range hostDevices(t) {
		s, _ := dev.Stream()
		e, err := s.Mark()
		if err != nil {
			t.Fatal(err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := errors.Join(s.Wait(e), e.Sync(cancelled), e.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		other := &event{err: errors.New("lost")}
		if err := s.Wait(other); !other.waited || !errors.Is(err, other.err) {
			t.Errorf("%s: waited %v, %v", name, other.waited, err)
		}
		if err := s.Wait(nil); err == nil {
			t.Errorf("%s: waited for nothing", name)
		}
	}
}

// TestUnknownLayout gives devices weights in layouts that they do not read.
func TestUnknownLayout(t *testing.T) {
	for name, dev := range hostDevices(t) {
		s, _ := dev.Stream()
		w := stateOf(t, dev, "w", ops.MemWeights, make([]float32, 64))
		w.Shape, w.Layout = tensor.Shape{4, 16}, tensor.Layout{Name: "planes", Bytes: 256, Rows: 4}
		g := &ops.Graph{}
		if p, err := dev.Compile(g, nil, ops.MulMat(g, g.Input("x", tensor.F32, 1, 16), g.Weight(w))); err == nil ||
			!strings.Contains(err.Error(), `"planes"`) {
			t.Errorf("%s: compiled: %v, %v", name, p, err)
		}
		if err := s.Upload(w, make([]byte, 256)); err == nil {
			t.Errorf("%s: uploaded", name)
		}
		if err := s.Download(make([]byte, 256), w); err == nil {
			t.Errorf("%s: downloaded", name)
		}
	}
	dev := New(Options{Threads: 1})
	defer dev.Close()
	buf, err := dev.Alloc(1<<16, ops.MemState)
	if err != nil {
		t.Fatal(err)
	}
	state := tensor.Tensor{Name: "s", DType: quant.Q8_0, Shape: tensor.Shape{1, 16, 1, 256}, Buf: buf,
		Layout: tensor.Layout{Name: interleaved, Bytes: 4352, Rows: 16}}
	g := &ops.Graph{}
	y := ops.KVAppend(g, g.State(state), g.Input("x", tensor.F32, 1, 1, 256), g.Input("pos", tensor.I32, 1),
		g.Input("seq", tensor.I32, 1), g.Input("pages", tensor.I32, 1, 1))
	if _, err := dev.Compile(g, nil, y); err == nil || !strings.Contains(err.Error(), "rows16") {
		t.Errorf("a state was interleaved: %v", err)
	}
}
