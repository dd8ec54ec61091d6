//go:build linux && (amd64 || arm64)

package hiprt

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/fake"
)

func noLookup(string) (string, bool) { return "", false }

func TestKFDOptions(t *testing.T) {
	for _, x := range []struct {
		timeout, fences string
		want            time.Duration
		system          bool
		bad             string
	}{
		{"", "", 30 * time.Second, false, ""},
		{"0", "system", 0, true, ""},
		{"1m30s", "", 90 * time.Second, false, ""},
		{"soon", "", 0, false, EnvKFDTimeout},
		{"-3s", "", 0, false, EnvKFDTimeout},
		{"", "agent", 0, false, EnvKFDFences},
	} {
		o, err := kfdOptions(func(k string) string {
			return map[string]string{EnvKFDTimeout: x.timeout, EnvKFDFences: x.fences}[k]
		})
		if x.bad != "" {
			if err == nil || !strings.Contains(err.Error(), x.bad) {
				t.Errorf("%q, %q: %v, want an error that names %s", x.timeout, x.fences, err, x.bad)
			}
		} else if err != nil || o.Timeout != x.want || o.SystemFences != x.system {
			t.Errorf("%q, %q: %+v, %v", x.timeout, x.fences, o, err)
		}
	}
}

func TestKFDBootstrap(t *testing.T) {
	for value, want := range map[string]bool{"": false, "vram": true} {
		o, err := kfdOptions(func(k string) string { return map[string]string{drv.EnvBootstrap: value}[k] })
		if err != nil || o.BootstrapVRAM != want {
			t.Errorf("%s=%q: %v, %v", drv.EnvBootstrap, value, o.BootstrapVRAM, err)
		}
	}
	if _, err := kfdOptions(func(k string) string { return map[string]string{drv.EnvBootstrap: "gtt"}[k] }); err == nil ||
		!strings.Contains(err.Error(), drv.EnvBootstrap) {
		t.Errorf("%s=gtt: %v", drv.EnvBootstrap, err)
	}
}

func TestKFDError(t *testing.T) {
	if kfdError(nil) != nil {
		t.Error("no error becomes one")
	}
	for _, x := range []struct {
		err   error
		cause error
		want  string
	}{
		{&drv.Error{Call: "AMDKFD_IOC_ALLOC_MEMORY_OF_GPU", Errno: syscall.ENOMEM, Text: "5 bytes wanted, 3 available",
			Cause: drv.ErrOutOfMemory}, ErrOutOfMemory,
			"kfd: AMDKFD_IOC_ALLOC_MEMORY_OF_GPU: ENOMEM (12): 5 bytes wanted, 3 available"},
		{&drv.Error{Call: "hang", Text: "no progress for 1s", Cause: errors.Join(drv.ErrLost, drv.ErrHang), Async: true},
			ErrHang, "kfd: hang: no progress for 1s; may stem from an earlier asynchronous call"},
		{fmt.Errorf("kfd: none: %w", drv.ErrNoKFD), ErrNoLibrary, "hiprt: kfd: none: KFD is not available"},
		{fmt.Errorf("kfd: none: %w", drv.ErrNoDevice), ErrNoDevice, "hiprt: kfd: none: no device"},
	} {
		err := kfdError(x.err)
		if !errors.Is(err, x.cause) || err.Error() != x.want {
			t.Errorf("%v becomes %q, want %q; it is %v: %v", x.err, err, x.want, x.cause, errors.Is(err, x.cause))
		}
		if _, sync := err.(*causedError); !sync && !errors.As(err, new(*Error)) {
			t.Errorf("%v becomes a %T", x.err, err)
		}
	}
}

// TestKFDRuntime has the runtime's own part: properties, devices of threads, handles.
func TestKFDRuntime(t *testing.T) {
	m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1100"), fake.Card("gfx1151")}})
	rt, err := NewKFD(m, drv.Options{Lookup: noLookup})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := rt.Devices(); n != 2 || err != nil {
		t.Errorf("%d devices, %v", n, err)
	}
	if v := rt.Version(); v != (Version{1, 23, 0}) {
		t.Errorf("version %v", v)
	}
	p, err := rt.Properties(1)
	if err != nil || p.Target != "gfx1151" || p.CUs != 40 || !p.Integrated || p.Wave != 32 || p.Memory != 1<<30 {
		t.Errorf("properties %+v, %v", p, err)
	}
	if p, err := rt.Properties(0); err != nil || p.Integrated || p.CUs != 96 {
		t.Errorf("properties %+v, %v", p, err)
	}
	if _, err := rt.Properties(2); !errors.Is(err, ErrNoDevice) {
		t.Errorf("a third device: %v", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := rt.Malloc(1); !errors.Is(err, ErrNoDevice) {
		t.Errorf("memory of no device: %v", err)
	}
	if err := rt.Use(1); err != nil {
		t.Fatal(err)
	}
	a, err := rt.Malloc(100)
	if err != nil {
		t.Fatal(err)
	}
	free, total, err := rt.MemInfo(1)
	if err != nil || free <= 0 || free >= total || total != 1<<30 {
		t.Errorf("memory: %d of %d, %v", free, total, err)
	}
	other := make(chan error)
	go func() { // another thread has a device of its own
		runtime.LockOSThread()
		_, err := rt.NewStream()
		other <- err
	}()
	if err := <-other; !errors.Is(err, ErrNoDevice) {
		t.Errorf("a thread without a device: %v", err)
	}
	s, err := rt.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	mine := make([]byte, 10)
	for name, err := range map[string]error{"a stream": rt.SyncStream(s + 77), "an event": rt.SyncEvent(5),
		"a graph": rt.LaunchGraph(6, s), "a module": rt.UnloadModule(7), "memory": rt.Free(8),
		"Go's memory": rt.CopyToDevice(a, mine, s), "a closed device": rt.CopyPeer(a, 1, a, 0, 1, s)} {
		if err == nil {
			t.Errorf("%s that is not there works", name)
		}
	}
	if err := errors.Join(rt.Memset(a, 1, 100, s), rt.SyncStream(s), rt.CloseStream(s), rt.Free(a), CloseKFD(rt)); err != nil {
		t.Error(err)
	}
	for _, v := range m.Shutdown() {
		t.Error(v)
	}
}

// TestKFDNone says why there is no device.
func TestKFDNone(t *testing.T) {
	m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1100")}})
	hide := func(k string) (string, bool) { return "", k == "ROCR_VISIBLE_DEVICES" }
	rt, err := NewKFD(m, drv.Options{Lookup: hide})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rt.Devices(); !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), "ROCR_VISIBLE_DEVICES") {
		t.Errorf("hidden: %v", err)
	}
	m.RemoveFiles("/sys/devices/virtual/kfd")
	if _, err := NewKFD(m, drv.Options{Lookup: noLookup}); !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(),
		"no KFD for your GPU") {
		t.Errorf("no topology: %v", err)
	}
	for _, v := range m.Shutdown() {
		t.Error(v)
	}
}
