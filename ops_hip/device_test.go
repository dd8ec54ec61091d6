package opship

import (
	"bytes"
	"cmp"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/fakert"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

func TestAlloc(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	rt.Limit = 4 << 20
	var bufs []tensor.Buffer
	for _, kind := range []ops.MemKind{ops.MemWeights, ops.MemState, ops.MemPinned, ops.MemPlans} {
		b, err := d.Alloc(1<<20, kind)
		if err != nil {
			t.Fatal(err)
		}
		bufs = append(bufs, b)
	}
	if u := d.Used(); u != 3<<20 {
		t.Errorf("%d bytes in use, want %d", u, 3<<20)
	}
	_, err := d.Alloc(5<<20, ops.MemState)
	if !errors.Is(err, hiprt.ErrOutOfMemory) {
		t.Errorf("error %v does not wrap ErrOutOfMemory", err)
	}
	wantError(t, err, "hip:0", "5.0 MiB of state", "1.0 MiB of 4.0 MiB free", "holds 1.0 MiB weights, 1.0 MiB state, 1.0 MiB plans", "fakeErrorOutOfMemory (2)")
	for _, n := range []int64{-1, 1 << 50} {
		_, err := d.Alloc(n, ops.MemState)
		wantError(t, err, "cannot allocate")
	}
	_, err = d.Alloc(1, 99)
	wantError(t, err, "unknown kind of memory 99")
	rt.Fail["Memset"] = []error{errors.New("broken")}
	_, err = d.Alloc(10, ops.MemState)
	wantError(t, err, "broken")
	for _, b := range bufs {
		if got := b.(*buffer); got.kind != ops.MemPinned {
			want := byte(0)
			if got.kind == ops.MemPlans {
				want = poison
			}
			for i, x := range rt.Bytes(got.addr, int(b.Size())) {
				if x != want {
					t.Fatalf("byte %d of fresh memory of %s is %d", i, kindName(got.kind), x)
				}
			}
		}
		closing(t, b.Free)
	}
	empty, err := d.Alloc(0, ops.MemState)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, empty.Free)
	if u := d.Used(); u != 0 {
		t.Errorf("%d bytes in use after all were freed", u)
	}
}

func TestInfo(t *testing.T) {
	d, _ := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	want := ops.Info{Name: "hip:0", Target: "gfx1100", Model: "fake", Driver: "hip 7.0.0 (libfake.so)", Memory: 1 << 30, Wave: 32, Buckets: true}
	if got := d.Info(); got != want {
		t.Errorf("info %+v, want %+v", got, want)
	}
	if got, want := d.Target(), (Target{Name: "gfx1100", Wave: 32, CUs: 4, LDS: 64 << 10, VGPRs: 1536, MMA: MMAGfx11,
		choices: builtin}); !reflect.DeepEqual(got, want) {
		t.Errorf("target %+v, want %+v", got, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*fakert.Runtime)
		dev  int
		want []string
	}{
		{"no device", func(r *fakert.Runtime) { r.Props = nil }, 0, []string{"hip:0", "no device", "/dev/kfd"}},
		{"number too high", func(*fakert.Runtime) {}, 2, []string{"there are 1 devices"}},
		{"unknown target", func(r *fakert.Runtime) { r.Props[0].Target = "gfx906" }, 0, []string{"fake", "no kernels for gfx906", "gfx1100", "sm_90"}},
		{"wave64", func(r *fakert.Runtime) { r.Props[0].Wave = 64 }, 0, []string{"waves of 64 lanes"}},
		{"old for gfx1100", func(r *fakert.Runtime) { r.Ver = hiprt.Version{Major: 5, Minor: 2} }, 0,
			[]string{"libfake.so", "version 5.2.0", "does not know gfx1100", "5.3 or later", "HIPENGINE_HIP_LIBRARY"}},
		{"old for gfx1151", func(r *fakert.Runtime) { r.Ver = hiprt.Version{Major: 5, Minor: 7}; r.Props[0].Target = "gfx1151" }, 0, []string{"gfx1151", "6.1 or later"}},
		{"old for gfx1201", func(r *fakert.Runtime) { r.Ver = hiprt.Version{Major: 6, Minor: 1}; r.Props[0].Target = "gfx1201" }, 0, []string{"gfx1201", "6.2 or later"}},
		{"first call fails", func(r *fakert.Runtime) { r.Fail["Use"] = []error{errors.New("stuck")} }, 0, []string{"stuck"}},
		{"properties fail", func(r *fakert.Runtime) { r.Fail["Properties"] = []error{errors.New("stuck")} }, 0, []string{"stuck"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rt := fakert.New("gfx1100", goKernels)
			c.edit(rt)
			_, err := openOn(rt, "hip:0", c.dev, Options{CodeObjects: objectDir(t), kernels: registry{}})
			wantError(t, err, c.want...)
			if n := rt.Live(); n != 0 {
				t.Errorf("%d runtime objects were not released", n)
			}
		})
	}
}

func TestOpenNames(t *testing.T) {
	for name, want := range map[string]string{
		"cpu":      "unknown device",
		"":         "unknown device",
		"hip:x":    `"x" is no device number`,
		"hip:-1":   `"-1" is no device number`,
		"cuda:1e3": `"1e3" is no device number`,
		"emu":      "name the target",
	} {
		_, err := Open(name)
		wantError(t, err, want)
	}
}

// NVIDIA devices take the objects of the highest capability that they have.
func TestOpenNewerNVIDIA(t *testing.T) {
	for device, want := range map[string]string{"sm_80": "sm_80", "sm_86": "sm_80", "sm_90": "sm_90", "sm_120": "sm_90"} {
		rt := fakert.New(device, goKernels)
		rt.Kind = "cuda"
		d, err := openOn(rt, "cuda:0", 0, Options{CodeObjects: objectDir(t), kernels: testRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Info().Target; got != want {
			t.Errorf("%s uses the kernels of %s, want %s", device, got, want)
		}
		runModel(t, d, 2, 33, 2)
		closing(t, d.Close)
	}
}

// Every entry of the list is a device, or says why there is none.
func TestDevices(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Devices() {
		kind, _, _ := strings.Cut(f.Info.Name, ":")
		seen[kind] = true
		if f.Err == nil && !strings.Contains(f.Info.Name, ":") {
			t.Errorf("%q is no device and has no reason", f.Info.Name)
		}
		t.Logf("%s: %v", f.Info.Name, f.Err)
	}
	for _, kind := range []string{"hip", "cuda"} {
		if !seen[kind] {
			t.Errorf("%s is not listed", kind)
		}
	}
}

// Discrete devices come before integrated ones, larger before smaller, usable before all others.
func TestRank(t *testing.T) {
	want := []Found{
		{Info: ops.Info{Name: "hip:2", Memory: 24 << 30}, width: 400},
		{Info: ops.Info{Name: "hip:0", Memory: 24 << 30}, width: 300},
		{Info: ops.Info{Name: "hip:3", Memory: 16 << 30}},
		{Info: ops.Info{Name: "hip:1", Memory: 110 << 30}, Integrated: true},
		{Info: ops.Info{Name: "cuda:0", Memory: 80 << 30}},
		{Info: ops.Info{Name: "emu:gfx1100"}},
		{Info: ops.Info{Name: "hip:4", Memory: 48 << 30}, Err: errors.New("old")},
		{Info: ops.Info{Name: "cuda"}, Err: errors.New("none")},
	}
	for i := range want {
		for j := range want {
			if c := slices.Compare(want[i].rank(), want[j].rank()); c != cmp.Compare(i, j) {
				t.Errorf("%s and %s compare as %d", want[i].Info.Name, want[j].Info.Name, c)
			}
		}
	}
}

func TestHints(t *testing.T) {
	dir := t.TempDir()
	cause := hiprt.ErrNoDevice
	if err := withHint("cuda", dir, cause); err != cause {
		t.Errorf("hint for another runtime: %v", err)
	}
	if err := withHint("hip", dir, errors.New("x")); err.Error() != "x" {
		t.Errorf("hint for another error: %v", err)
	}
	wantError(t, withHint("hip", dir, cause), "there is no /dev/kfd")
	if err := os.WriteFile(filepath.Join(dir, "kfd"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := withHint("hip", dir, cause)
	wantError(t, err, "too old", "HIP_VISIBLE_DEVICES")
	if !errors.Is(err, hiprt.ErrNoDevice) || !IsNoDevice(err) {
		t.Errorf("error %v does not wrap ErrNoDevice", err)
	}
	if os.Getuid() != 0 { // root may open anything
		if err := os.Chmod(filepath.Join(dir, "kfd"), 0); err != nil {
			t.Fatal(err)
		}
		wantError(t, withHint("hip", dir, cause), "groups render and video")
	}
}

// TestNotes says once, when a device is opened, what speaks against its runtime.
func TestNotes(t *testing.T) {
	for _, c := range []struct {
		target string
		v      hiprt.Version
		known  []string
		want   []string
	}{
		{"gfx1201", hiprt.Version{Major: 6, Minor: 3}, nil, []string{"HIP 6.3.0 is among the first that know gfx1201", "ROCm 6.4"}},
		{"gfx1201", hiprt.Version{Major: 6, Minor: 4}, nil, nil},
		{"gfx1100", hiprt.Version{Major: 6, Minor: 3}, []string{"several HIP runtimes are installed"}, []string{"several HIP runtimes are installed", "hip:0"}},
	} {
		var log bytes.Buffer
		rt := fakert.New(c.target, goKernels)
		rt.Ver, rt.Known = c.v, c.known
		d, err := openOn(rt, "hip:0", 0, Options{kernels: testRegistry(), CodeObjects: objectDir(t), Log: slog.New(slog.NewTextHandler(&log, nil))})
		must(t, err)
		closing(t, d.Close)
		if len(c.want) == 0 && log.Len() > 0 {
			t.Errorf("%s, HIP %v: log is %q", c.target, c.v, &log)
		}
		for _, w := range c.want {
			if !strings.Contains(log.String(), w) {
				t.Errorf("%s, HIP %v: log is %q, want %q", c.target, c.v, &log, w)
			}
		}
	}
}

// Hardware does not count.
func TestExecutedOnHardware(t *testing.T) {
	d, _ := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	if got := d.Executed(); got != nil {
		t.Errorf("%v, want nil", got)
	}
}
