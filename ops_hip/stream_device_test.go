package opship

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/fakert"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// bytesOf is n bytes of a buffer from off on.
func bytesOf(b tensor.Buffer, n, off int) tensor.Tensor {
	return tensor.Tensor{Name: "s", DType: tensor.I8, Shape: tensor.Shape{n}, Buf: b, Off: int64(off)}
}

// testOnDevice copies and clears on the device, on two streams that events order.
func testOnDevice(t *testing.T, d *Device) {
	defer closing(t, d.Close)
	a, err := d.Stream()
	must(t, err)
	defer closing(t, a.Close)
	b, err := d.Stream()
	must(t, err)
	defer closing(t, b.Close)
	const n = 3 << 20 // more than a piece of the emulator's copies
	buf, err := d.Alloc(3*n, ops.MemState)
	must(t, err)
	defer closing(t, buf.Free)
	want := randomBlocks(n, 1)
	for round := range 3 {
		want[round]++
		must(t, a.Upload(bytesOf(buf, n, 0), want))
		up, err := a.Mark()
		must(t, err)
		must(t, errors.Join(b.Wait(up), up.Close())) // who waits still does
		must(t, b.Copy(bytesOf(buf, n, n), bytesOf(buf, n, 0)))
		must(t, b.Zero(bytesOf(buf, 1001, n+13)))
		copied, err := b.Mark()
		must(t, err)
		must(t, a.Wait(copied))
		got := make([]byte, 2*n)
		must(t, errors.Join(a.Download(got, bytesOf(buf, 2*n, 0)), a.Sync(t.Context())))
		second := bytes.Clone(want)
		clear(second[13:][:1001])
		if !bytes.Equal(got[:n], want) || !bytes.Equal(got[n:], second) {
			t.Fatalf("round %d: a copy with a cleared part is not what it should be", round)
		}
		must(t, errors.Join(copied.Sync(t.Context()), copied.Close(), copied.Close()))
		wantError(t, copied.Sync(t.Context()), "event is closed")
		wantError(t, a.Wait(copied), "closed")
	}
}

func TestOnDevice(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	testOnDevice(t, d)
	if n := rt.Live(); n != 0 {
		t.Errorf("%d runtime objects were not released", n)
	}
}

// A wait for an event of the same device costs the caller nothing: the stream waits.
func TestWaitIsOnDevice(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	a, err := d.Stream()
	must(t, err)
	defer closing(t, a.Close)
	b, err := d.Stream()
	must(t, err)
	defer closing(t, b.Close)
	buf, err := d.Alloc(64, ops.MemState)
	must(t, err)
	defer closing(t, buf.Free)
	must(t, a.Upload(bytesOf(buf, 64, 0), bytes.Repeat([]byte{7}, 64)))
	e, err := a.Mark()
	must(t, err)
	defer closing(t, e.Close)
	rt.Calls()
	must(t, b.Wait(e))
	if calls := rt.Calls(); !slices.Equal(calls, []string{"Use", "WaitEvent"}) {
		t.Errorf("waiting called %v", calls)
	}
	if rt.Bytes(buf.(*buffer).addr, 1)[0] == 7 {
		t.Error("waiting did the work, the stream need not wait")
	}
	got := make([]byte, 64)
	must(t, errors.Join(b.Download(got, bytesOf(buf, 64, 0)), b.Sync(t.Context())))
	if got[0] != 7 || got[63] != 7 {
		t.Errorf("downloaded %v", got)
	}
	// The caller waits for other kinds of events.
	f := &foreignEvent{}
	must(t, b.Wait(f))
	if f.synced != 1 {
		t.Errorf("an event of another device was waited for %d times", f.synced)
	}
	f.err = errors.New("lost")
	wantError(t, b.Wait(f), "lost")
	wantError(t, b.Wait(nil), "no event")
}

type foreignEvent struct {
	synced int
	err    error
}

func (e *foreignEvent) Sync(context.Context) error { e.synced++; return e.err }
func (e *foreignEvent) Close() error               { return nil }

// Two devices of one runtime copy to each other, and wait for each other on the device.
func TestPeers(t *testing.T) {
	rt := fakert.New("gfx1100", goKernels)
	rt.Props = append(rt.Props, rt.Props[0], rt.Props[0])
	var ss []ops.Stream
	var bs []tensor.Buffer
	for i, name := range []string{"hip:0", "hip:1", "hip:2"} {
		d, err := openOn(rt, name, i, Options{CodeObjects: objectDir(t), kernels: testRegistry()})
		must(t, err)
		defer closing(t, d.Close)
		s, err := d.Stream()
		must(t, err)
		defer closing(t, s.Close)
		b, err := d.Alloc(100, ops.MemState)
		must(t, err)
		defer closing(t, b.Free)
		ss, bs = append(ss, s), append(bs, b)
	}
	want := randomBlocks(100, 1)
	must(t, ss[0].Upload(bytesOf(bs[0], 100, 0), want))
	e, err := ss[0].Mark()
	must(t, err)
	defer closing(t, e.Close)
	rt.Calls()
	got := make([]byte, 100)
	must(t, errors.Join(ss[1].Wait(e), ss[1].Copy(bytesOf(bs[1], 100, 0), bytesOf(bs[0], 100, 0)),
		ss[1].Download(got, bytesOf(bs[1], 100, 0)), ss[1].Sync(t.Context())))
	calls := strings.Join(rt.Calls(), " ")
	if !strings.Contains(calls, "WaitEvent") || !strings.Contains(calls, "CopyPeer CopyToHost SyncStream") ||
		strings.Contains(calls, "SyncEvent") {
		t.Errorf("calls %s", calls)
	}
	if !bytes.Equal(got, want) {
		t.Error("the copy differs")
	}
	wantError(t, ss[2].Copy(bytesOf(bs[1], 100, 0), bytesOf(bs[0], 100, 0)), "hip:1", "hip:2")
	wantError(t, ss[2].Zero(bytesOf(bs[1], 100, 0)), "hip:1", "hip:2")
}

func TestOnDeviceErrors(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	other, _ := fakeDevice(t, Options{})
	defer closing(t, other.Close)
	s, err := d.Stream()
	must(t, err)
	alloc := func(d *Device, kind ops.MemKind) tensor.Buffer {
		b, err := d.Alloc(4096, kind)
		must(t, err)
		return b
	}
	a, b, foreign, pinned, freed := alloc(d, ops.MemState), alloc(d, ops.MemWeights), alloc(other, ops.MemState),
		alloc(d, ops.MemPinned), alloc(d, ops.MemState)
	for _, b := range []tensor.Buffer{a, b, foreign, pinned} {
		defer closing(t, b.Free)
	}
	closing(t, freed.Free)
	f32 := func(n int, b tensor.Buffer) tensor.Tensor {
		return tensor.Tensor{Name: "f", DType: tensor.F32, Shape: tensor.Shape{n}, Buf: b}
	}
	w := planed(quant.Q4_K, 4, 256)
	w.Buf = a
	v := w
	v.Buf = b
	must(t, s.Copy(v, w))
	must(t, s.Zero(w))
	plain := w
	plain.Layout = tensor.Layout{}
	wrong := w
	wrong.Layout.Bytes = 8
	for _, c := range []struct {
		name string
		err  error
		want []string
	}{
		{"sizes", s.Copy(f32(3, a), f32(4, b)), []string{`"f"`, "F32[4] is not F32[3]"}},
		{"types", s.Copy(f32(4, a), bytesOf(b, 4, 0)), []string{"I8[4] is not F32[4]"}},
		{"layouts", s.Copy(v, plain), []string{"Q4_K[4 256] is not Q4_K[4 256] in layout", "planes"}},
		{"layout of another size", s.Zero(wrong), []string{"Bytes:8", "Bytes:640"}},
		{"overlap", s.Copy(bytesOf(a, 10, 9), bytesOf(a, 10, 0)), []string{"overlap", "10 bytes at 0 and 9"}},
		{"onto itself", s.Copy(bytesOf(a, 10, 9), bytesOf(a, 10, 9)), []string{"overlap"}},
		{"outside", s.Copy(bytesOf(a, 10, 4090), bytesOf(a, 10, 0)), []string{"10 bytes at 4090", "buffer of 4096"}},
		{"clear outside", s.Zero(bytesOf(a, 4097, 0)), []string{"4097 bytes at 0"}},
		{"from another device", s.Copy(bytesOf(a, 10, 0), bytesOf(foreign, 10, 0)), []string{"another device"}},
		{"to another device", s.Copy(bytesOf(foreign, 10, 0), bytesOf(a, 10, 0)), []string{"another device"}},
		{"clear another device", s.Zero(bytesOf(foreign, 10, 0)), []string{"another device"}},
		{"no buffer", s.Zero(bytesOf(nil, 10, 0)), []string{"another device"}},
		{"freed", s.Copy(bytesOf(a, 10, 0), bytesOf(freed, 10, 0)), []string{"freed"}},
		{"clear freed", s.Zero(bytesOf(freed, 10, 0)), []string{"freed"}},
		{"pinned", s.Copy(bytesOf(a, 10, 0), bytesOf(pinned, 10, 0)), []string{"pinned host memory"}},
		{"bad type", s.Zero(tensor.Tensor{Name: "k", Shape: tensor.Shape{4}, Buf: a}), []string{"not registered"}},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, c.err, c.want...) })
	}
	boom := errors.New("boom")
	must(t, s.Sync(t.Context()))
	live := rt.Live()
	for _, call := range []string{"NewEvent", "RecordEvent"} {
		rt.Fail[call] = []error{boom}
		if _, err := s.Mark(); !errors.Is(err, boom) {
			t.Errorf("%s fails, Mark says %v", call, err)
		}
	}
	if n := rt.Live(); n != live {
		t.Errorf("marks that failed left %d runtime objects", n-live)
	}
	e, err := s.Mark()
	must(t, err)
	for call, do := range map[string]func() error{
		"WaitEvent": func() error { return s.Wait(e) },
		"SyncEvent": func() error { return e.Sync(t.Context()) },
		"CopyOnDevice": func() error {
			return errors.Join(s.Copy(bytesOf(a, 1, 0), bytesOf(a, 1, 1)), s.Sync(t.Context()))
		},
		"Memset": func() error { return errors.Join(s.Zero(bytesOf(a, 1, 0)), s.Sync(t.Context())) },
	} {
		rt.Fail[call] = []error{boom}
		if err := do(); !errors.Is(err, boom) {
			t.Errorf("%s fails, the error is %v", call, err)
		} else {
			wantError(t, err, "hip:0")
		}
		must(t, do())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Sync(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of a cancelled wait", err)
	}
	closing(t, s.Close)
	for name, err := range map[string]error{"copy": s.Copy(bytesOf(a, 1, 0), bytesOf(a, 1, 1)),
		"zero": s.Zero(bytesOf(a, 1, 0)), "wait": s.Wait(e)} {
		t.Run("closed: "+name, func(t *testing.T) { wantError(t, err, "stream is closed") })
	}
	_, err = s.Mark()
	wantError(t, err, "stream is closed")
	must(t, e.Sync(t.Context())) // events outlive their streams
	closing(t, e.Close)
}

// blockingEvents holds SyncEvent up.
type blockingEvents struct {
	hiprt.Runtime
	gate chan struct{}
}

func (r blockingEvents) SyncEvent(e hiprt.Event) error {
	<-r.gate
	return r.Runtime.SyncEvent(e)
}

// A cancelled wait for an event returns at once.
func TestEventSyncCancelled(t *testing.T) {
	d, _ := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	gate := make(chan struct{}, 2)
	d.rt = blockingEvents{d.rt, gate}
	s, err := d.Stream()
	must(t, err)
	defer closing(t, s.Close)
	e, err := s.Mark()
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := e.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of the context", err)
	}
	gate <- struct{}{}
	gate <- struct{}{}
	must(t, e.Sync(t.Context()))
	closing(t, e.Close)
}
