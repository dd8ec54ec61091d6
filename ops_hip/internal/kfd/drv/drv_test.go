//go:build linux && (amd64 || arm64)

package drv_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/fake"
)

// noEnv is an environment that chooses no devices.
func noEnv(string) (string, bool) { return "", false }

// process returns a process on a machine, which must end without a violation.
func process(t *testing.T, cfg fake.Config, o drv.Options) (*drv.Process, *fake.Machine) {
	t.Helper()
	if cfg.GPUs == nil {
		cfg.GPUs = []fake.GPU{fake.Card("gfx1100")}
	}
	m := fake.New(cfg)
	o.Lookup = noEnv
	p, err := drv.NewProcess(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		for _, v := range m.Shutdown() {
			t.Errorf("kfd fake: %v", v)
		}
	})
	return p, m
}

// device opens GPU i.
func device(t *testing.T, p *drv.Process, i int) *drv.Device {
	t.Helper()
	gpus, err := p.Devices()
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.Open(gpus[i])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// must fails the test at an error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func addr(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// TestTransfers copies and fills at all alignments, and compares bytes in front and behind too.
func TestTransfers(t *testing.T) {
	for _, target := range []string{"gfx1100", "gfx1201"} {
		p, _ := process(t, fake.Config{GPUs: []fake.GPU{fake.Card(target)}}, drv.Options{})
		d := device(t, p, 0)
		s, err := d.NewStream()
		must(t, err)
		const size, pad = 9000, 64
		dev, err := d.Malloc(size)
		must(t, err)
		up, err := d.HostAlloc(size)
		must(t, err)
		down, err := d.HostAlloc(size)
		must(t, err)
		r := rand.New(rand.NewPCG(1, 2))
		want := make([]byte, size)
		cases := 60
		if testing.Short() {
			cases = 12
		}
		for i := range cases {
			for j := range up {
				up[j] = byte(r.Uint32())
			}
			n := int64(1 + r.IntN(size-2*pad))
			if i%3 == 0 {
				n = int64(i%40 + 1)
			}
			from, to := int64(r.IntN(pad)), int64(r.IntN(pad))
			value := byte(r.Uint32())
			for j := range want {
				want[j] = value
			}
			copy(want[to:], up[from:from+n])
			must(t, s.Fill(dev, value, size), s.CopyHost(dev+uint64(to), addr(up)+uint64(from), n, false),
				s.CopyHost(addr(down), dev, size, true), s.Sync())
			if !bytes.Equal(down, want) {
				t.Fatalf("%s: %d bytes from %d to %d around %#x are wrong", target, n, from, to, value)
			}
			// The other way, and a fill at an odd place.
			copy(want, up)
			for j := range n {
				want[to+j] = value
			}
			must(t, s.CopyHost(dev, addr(up), size, false), s.Fill(dev+uint64(to), value, n),
				s.CopyHost(addr(down), dev, size, true), s.Sync())
			if !bytes.Equal(down, want) {
				t.Fatalf("%s: %d bytes filled at %d with %#x are wrong", target, n, to, value)
			}
		}
		must(t, s.Close(), d.Free(dev), d.Free(addr(up)), d.Free(addr(down)), d.Close())
	}
}

// TestRefused has calls that must fail with a word about what is wrong, and leave the device usable.
func TestRefused(t *testing.T) {
	p, _ := process(t, fake.Config{}, drv.Options{RingPackets: 64})
	d := device(t, p, 0)
	gpus, err := p.Devices()
	must(t, err)
	s, err := d.NewStream()
	must(t, err)
	host, err := d.HostAlloc(100)
	must(t, err)
	dev, err := d.Malloc(5000)
	must(t, err)
	capturing, err := d.NewStream()
	must(t, err)
	must(t, capturing.BeginCapture())
	e, err := d.NewEvent()
	must(t, err)
	mine := make([]byte, 64)
	for name, x := range map[string]struct {
		err  error
		want string
	}{
		"opening twice":           {second(p.Open(gpus[0])), "open already"},
		"no bytes":                {second(d.Malloc(0)), "outside of 1.."},
		"no host bytes":           {second(d.HostAlloc(-1)), "outside of 1.."},
		"too many bytes":          {second(d.Malloc(1 << 40)), "bytes wanted"},
		"memory of nobody":        {d.Free(12345), "no allocation"},
		"memory of Go":            {s.CopyHost(dev, addr(mine), 64, false), "not in one allocation"},
		"device memory as host's": {s.CopyHost(dev, dev, 10, false), "memory of the device"},
		"past the end":            {s.Fill(dev, 0, 3*4096), "not in one allocation"},
		"negative":                {s.Fill(dev, 0, -1), "-1 bytes"},
		"a copy in a capture":     {capturing.Fill(dev, 0, 10), "captured"},
		"an event in a capture":   {e.Record(capturing), "captured"},
		"waiting in a capture":    {capturing.Sync(), "captured"},
		"an empty capture":        {second(capturing.EndCapture()), "no launch"},
		"an end without a start":  {second(s.EndCapture()), "nothing was captured"},
		"waiting for no record":   {s.WaitFor(e), "not recorded"},
		"no code object":          {second(d.LoadModule([]byte("ELF"))), "codeobj"},
		"a process with users":    {p.Close(), "1 devices are open"},
	} {
		if x.err == nil || !strings.Contains(x.err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, x.err, x.want)
		}
	}
	if _, err := d.Malloc(1 << 40); !errors.Is(err, drv.ErrOutOfMemory) {
		t.Errorf("too much memory: %v", err)
	}
	must(t, s.Fill(dev, 1, 5000), s.CopyHost(addr(host), dev, 100, true), s.Sync())
	if !bytes.Equal(host, bytes.Repeat([]byte{1}, 100)) {
		t.Error("after refusals the device does not fill")
	}
	must(t, e.Record(s), e.Sync(), e.Close(), s.Close(), capturing.Close(), d.Free(dev), d.Free(addr(host)), d.Close())
	if err := d.Close(); err == nil {
		t.Error("closing twice succeeds")
	}
	if err := s.Fill(dev, 0, 1); err == nil {
		t.Error("a stream of a closed device works")
	}
}

// second returns the error of a call.
func second[T any](_ T, err error) error { return err }

// TestOpenClose opens and closes a device again and again on each kernel: nothing may grow.
func TestOpenClose(t *testing.T) {
	cycles := 100
	if testing.Short() {
		cycles = 3
	}
	for _, k := range []fake.Kernel{fake.Linux68, fake.Linux612, fake.Linux612Fixed, fake.Linux72} {
		p, m := process(t, fake.Config{Kernel: k, GPUs: []fake.GPU{fake.Card("gfx1151")}, OneMemory: true}, drv.Options{})
		var before fake.Usage
		for i := range cycles {
			must(t, device(t, p, 0).Close())
			switch now := m.Usage(); {
			case i == 0:
				before = now
			case now != before:
				t.Fatalf("Linux %s: after %d cycles the process holds %+v, after one %+v", k.Name, i+1, now, before)
			}
		}
		t.Logf("Linux %s: %d cycles, the process holds %+v", k.Name, cycles, before)
		cycles = min(cycles, 10)
	}
}

// TestSoak does many single launches of random sizes, each checked by the host, in a small ring that wraps often:
// right bytes, and no growth.
func TestSoak(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 150
	}
	p, m := process(t, fake.Config{}, drv.Options{RingPackets: 64})
	d := device(t, p, 0)
	s, err := d.NewStream()
	must(t, err)
	const size = 2048
	dev, err := d.Malloc(size)
	must(t, err)
	host, err := d.HostAlloc(size)
	must(t, err)
	r := rand.New(rand.NewPCG(3, 4))
	before := m.Usage()
	start := time.Now()
	for i := range n / 2 {
		at, value := uint64(r.IntN(size-64)), byte(i)
		count := int64(1 + r.IntN(size-int(at)))
		must(t, s.Fill(dev+at, value, count), s.CopyHost(addr(host), dev+at, count, true))
		if i%4 != 3 { // some waits are for several
			must(t, s.Sync())
			if !bytes.Equal(host[:count], bytes.Repeat([]byte{value}, int(count))) {
				t.Fatalf("dispatch %d: %d bytes at %d are wrong", i, count, at)
			}
		}
	}
	must(t, s.Sync())
	if now := m.Usage(); now != before {
		t.Errorf("the process holds %+v after %d dispatches, %+v before", now, n, before)
	}
	t.Logf("%d dispatches in %.1f s", n, time.Since(start).Seconds())
	must(t, s.Close(), d.Free(dev), d.Free(addr(host)), d.Close())
}

// TestEvents orders streams and measures time.
func TestEvents(t *testing.T) {
	p, _ := process(t, fake.Config{GPUs: []fake.GPU{fake.Card("gfx1100"), fake.Card("gfx1201")}}, drv.Options{})
	a, b := device(t, p, 0), device(t, p, 1)
	s, err := a.NewStream()
	must(t, err)
	u, err := b.NewStream()
	must(t, err)
	from, err := a.NewEvent()
	must(t, err)
	to, err := a.NewEvent()
	must(t, err)
	x, err := a.Malloc(1 << 16)
	must(t, err)
	y, err := b.Malloc(1 << 16)
	must(t, err)
	host, err := b.HostAlloc(1 << 16)
	must(t, err)
	must(t, from.Sync()) // never recorded
	must(t, from.Record(s), s.Fill(x, 7, 1<<16), to.Record(s), u.WaitFor(to), to.Sync())
	took, err := drv.Elapsed(from, to)
	must(t, err)
	if took <= 0 || took > time.Minute {
		t.Errorf("filling took %v", took)
	}
	must(t, drv.CopyPeer(b, y+5, a, x, 1<<16-5), u.CopyHost(addr(host), y+5, 1<<16-5, true), u.Sync())
	if !bytes.Equal(host[:1<<16-5], bytes.Repeat([]byte{7}, 1<<16-5)) {
		t.Error("a copy between devices has lost bytes")
	}
	must(t, from.Record(s), to.Record(s), from.Record(s), s.Sync(), from.Close(), to.Close())
	if err := drv.CopyPeer(a, x, a, x, 5); err == nil {
		t.Error("a copy between one device succeeds")
	}
	must(t, s.Close(), u.Close(), a.Free(x), b.Free(y), b.Free(addr(host)), a.Close(), b.Close())
}
