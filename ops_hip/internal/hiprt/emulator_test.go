package hiprt

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// slab is a Machine of one piece of memory whose only kernel adds its first argument byte to every byte.
type slab struct {
	mem      []byte
	top      uint64
	launches int
	unloaded bool
}

const slabBase = 0x1000

func (s *slab) Alloc(n int64) (uint64, error) {
	p := slabBase + s.top
	s.top += uint64(n)
	if s.top > uint64(len(s.mem)) {
		return 0, errors.New("slab is full")
	}
	return p, nil
}
func (s *slab) Free(p uint64) error {
	if p < slabBase {
		return fmt.Errorf("free of %#x", p)
	}
	return nil
}
func (s *slab) Read(dst []byte, p uint64) error  { copy(dst, s.mem[p-slabBase:]); return nil }
func (s *slab) Write(p uint64, src []byte) error { copy(s.mem[p-slabBase:], src); return nil }
func (s *slab) Load(image []byte) (Program, error) {
	if string(image) != "code" {
		return nil, errors.New("no code")
	}
	return s, nil
}
func (s *slab) Unload() error { s.unloaded = true; return nil }
func (s *slab) Launch(kernel string, _, _ [3]uint32, args []byte) error {
	if kernel != "add" {
		return fmt.Errorf("no kernel %s", kernel)
	}
	s.launches++
	for i := range s.mem {
		s.mem[i] += args[0]
	}
	return nil
}

func TestEmulatorRuntime(t *testing.T) {
	s := &slab{mem: make([]byte, 4<<20)}
	rt := NewEmulator(Properties{Name: "slab", Target: "gfx1100", Memory: 3 << 20, Wave: 32}, s)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := rt.Devices(); n != 1 || err != nil {
		t.Errorf("%d devices, %v", n, err)
	}
	if p, err := rt.Properties(0); err != nil || p.Target != "gfx1100" {
		t.Errorf("properties %+v, %v", p, err)
	}
	if err := rt.Use(1); !errors.Is(err, ErrNoDevice) {
		t.Errorf("device 1: %v", err)
	}
	st, err := rt.NewStream()
	must(err)

	// Memory: the limit is that of the properties, fills cross pieces.
	p, err := rt.Malloc(2<<20 + 3)
	must(err)
	if _, err := rt.Malloc(1 << 20); !errors.Is(err, ErrOutOfMemory) {
		t.Errorf("memory beyond the limit: %v", err)
	}
	if free, total, _ := rt.MemInfo(0); total != 3<<20 || free != 1<<20-3 {
		t.Errorf("%d of %d bytes free", free, total)
	}
	must(rt.Memset(p, 5, 2<<20+3, st))
	got := make([]byte, 2<<20+4)
	must(rt.CopyToHost(got, p, st))
	if !bytes.Equal(got[:2<<20+3], bytes.Repeat([]byte{5}, 2<<20+3)) || got[2<<20+3] != 0 {
		t.Error("memory was filled wrongly")
	}

	// Copies cross pieces too, and stay on the one device.
	const half = 1<<20 + 1
	must(rt.CopyToDevice(p+1<<20, []byte{7}, st))
	must(rt.CopyOnDevice(p+half+1, p, half, st))
	must(rt.CopyPeer(p, 0, p+1<<20, 0, 1, st))
	must(rt.CopyToHost(got, p, st))
	want := bytes.Repeat([]byte{5}, 2<<20+3)
	want[0], want[1<<20], want[half+1+1<<20] = 7, 7, 7
	if !bytes.Equal(got[:2<<20+3], want) {
		t.Error("memory was copied wrongly")
	}
	if err := rt.CopyPeer(p, 1, p+1<<20, 0, 1, st); !errors.Is(err, ErrNoDevice) {
		t.Errorf("a copy to device 1: %v", err)
	}
	must(rt.Memset(p, 5, 1, st))

	// Launches: at once, or recorded with the arguments of that moment.
	m, err := rt.LoadModule([]byte("code"))
	must(err)
	f, err := rt.Function(m, "add")
	must(err)
	l := Launch{Func: f, Args: []byte{1}, Params: []int{0}}
	mem := make([]byte, l.PrepareSize())
	rt.Prepare(&l, mem)
	must(rt.BeginCapture(st))
	must(rt.Launch(&l, st))
	must(rt.Launch(&l, st))
	g, err := rt.EndCapture(st)
	must(err)
	if s.launches != 0 {
		t.Error("captured launches ran")
	}
	mem[0] = 9
	must(rt.LaunchGraph(g, st))
	must(rt.Launch(&l, st))
	must(rt.CopyToHost(got[:1], p, st))
	if s.launches != 3 || got[0] != 5+1+1+9 {
		t.Errorf("%d launches left %d", s.launches, got[0])
	}
	a, err := rt.NewEvent()
	must(err)
	b, err := rt.NewEvent()
	must(err)
	if _, err := rt.Elapsed(a, b); err == nil {
		t.Error("time between events that did not happen")
	}
	if err := rt.WaitEvent(a, st); err == nil {
		t.Error("a wait for an event that was not recorded")
	}
	must(errors.Join(rt.RecordEvent(a, st), rt.RecordEvent(b, st), rt.SyncEvent(b), rt.SyncStream(st)))
	must(rt.WaitEvent(a, st))
	if ms, err := rt.Elapsed(a, b); err != nil || ms < 0 {
		t.Errorf("elapsed %v, %v", ms, err)
	}

	// What is closed is gone.
	must(errors.Join(rt.CloseGraph(g), rt.CloseEvent(a), rt.CloseEvent(b), rt.UnloadModule(m), rt.Free(p),
		rt.CloseStream(st)))
	st2, err := rt.NewStream()
	must(err)
	for want, err := range map[string]error{
		"unloaded module":      rt.Launch(&l, st2),
		"unknown stream":       errors.Join(rt.Launch(&l, st), rt.CopyOnDevice(p, p, 1, st)),
		"unknown module":       rt.UnloadModule(m),
		"nothing was captured": func() error { _, err := rt.EndCapture(st2); return err }(),
		"no code":              func() error { _, err := rt.LoadModule([]byte("x")); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if free, total, _ := rt.MemInfo(0); free != total || !s.unloaded {
		t.Errorf("%d of %d bytes free, code unloaded %v", free, total, s.unloaded)
	}
}
