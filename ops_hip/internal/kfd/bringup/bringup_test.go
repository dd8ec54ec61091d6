//go:build linux && (amd64 || arm64)

package bringup

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/fake"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
)

func noEnv(string) (string, bool) { return "", false }

// TestRun brings fakes up.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves bringing up fakes to make kfd")
	}
	for _, target := range []string{"gfx1100", "gfx1151", "gfx1201"} {
		m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card(target)}, OneMemory: true})
		var out bytes.Buffer
		err := Run(t.Context(), m, &out, Options{Soak: 500, Limits: true, Driver: drv.Options{Lookup: noEnv}})
		if err != nil || !strings.Contains(out.String(), "all steps passed") || strings.Contains(out.String(), "FAIL") {
			t.Errorf("%s: %v\n%s", target, err, out.String())
		}
		if n := strings.Count(out.String(), " OK   "); n != 21 {
			t.Errorf("%s: %d steps, want 21\n%s", target, n, out.String())
		}
		for _, v := range m.Shutdown() {
			t.Errorf("%s: %v", target, v)
		}
		t.Log("\n" + out.String())
	}
}

// TestProvoked does what must be noticed: each step passes, says what was wrong, and leaves nothing but what a hung queue
// uses.
func TestProvoked(t *testing.T) {
	for _, x := range []struct{ part, step, want, rule string }{
		{"fault", "a store to nowhere", "not mapped at 0x10000000", ""},
		{"packet", "a bad packet", "invalid size of workgroups", "bad-packet"},
		{"hang", "a queue that hangs", "no progress for 2s", "leak"},
		{"soak", "stale caches", "10 kernels", ""},
	} {
		m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1201")}, OneMemory: true})
		var out bytes.Buffer
		err := Run(t.Context(), m, &out, Options{Soak: 10, Only: x.part, Driver: drv.Options{Timeout: 2 * time.Second, Lookup: noEnv}})
		if err != nil || !strings.Contains(out.String(), "OK   "+x.step) || !strings.Contains(out.String(), x.want) {
			t.Errorf("%s: %v\n%s", x.part, err, out.String())
		}
		for _, v := range m.Shutdown() {
			if v.Rule != x.rule {
				t.Errorf("%s: %v", x.part, v)
			}
		}
	}
	var out bytes.Buffer
	m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1201")}})
	defer m.Shutdown()
	if err := Run(t.Context(), m, &out, Options{Only: "nothing", Driver: drv.Options{Lookup: noEnv}}); err == nil ||
		!strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("a part that there is not: %v", err)
	}
}

// TestUnnoticed has errors of the device that are not those which were provoked.
func TestUnnoticed(t *testing.T) {
	m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1100")}, OneMemory: true})
	var out bytes.Buffer
	w := writer(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte("OK   open")) {
			m.Inject(fake.Fault{At: fake.AtHang})
		}
		return out.Write(b)
	})
	err := Run(t.Context(), m, w, Options{Only: "packet", Driver: drv.Options{Timeout: time.Second, Lookup: noEnv}})
	if !errors.Is(err, drv.ErrHang) || !strings.Contains(out.String(), "a queue error was provoked, noticed was: hang") {
		t.Errorf("a hang in place of a bad packet: %v\n%s", err, out.String())
	}
	m.Shutdown()
}

// TestPauses leaves the GPU alone, and lets the machine suspend.
func TestPauses(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves bringing up fakes to make kfd")
	}
	for _, lost := range []bool{false, true} {
		m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1151")}, OneMemory: true})
		var out bytes.Buffer
		w := writer(func(b []byte) (int, error) {
			if bytes.Contains(b, []byte("suspend the machine now")) {
				if m.Suspend(time.Hour); lost {
					m.Reset(0)
				}
			}
			return out.Write(b)
		})
		err := Run(t.Context(), m, w, Options{Soak: 2, Idle: time.Minute, Suspend: true,
			Driver: drv.Options{Timeout: 2 * time.Second, Lookup: noEnv}})
		if !strings.Contains(out.String(), "OK   idle") || (err == nil) == lost ||
			!lost && !strings.Contains(out.String(), "run after 1h0m0s in suspend") ||
			lost && !strings.Contains(out.String(), "FAIL suspend") {
			t.Errorf("memory lost %v: %v\n%s", lost, err, out.String())
		}
		for _, v := range m.Shutdown() {
			t.Errorf("memory lost %v: %v", lost, v)
		}
	}
}

// writer is a function that writes.
type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// TestFailures stops at the first step that fails, and says which.
func TestFailures(t *testing.T) {
	for _, x := range []struct {
		name   string
		damage func(m *fake.Machine)
		want   string
	}{
		{"no permission", func(m *fake.Machine) { m.Deny("/dev/kfd", syscall.EACCES) }, "FAIL open /dev/kfd"},
		{"no permission for the render node", func(m *fake.Machine) { m.Deny(m.RenderPath(0), syscall.EACCES) },
			"FAIL address space"},
		{"no topology", func(m *fake.Machine) { m.RemoveFiles("/sys/devices/virtual/kfd") }, "FAIL topology"},
	} {
		m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1100")}})
		x.damage(m)
		var out bytes.Buffer
		err := Run(t.Context(), m, &out, Options{Driver: drv.Options{Lookup: noEnv}})
		if err == nil || !strings.Contains(out.String(), x.want) || !strings.Contains(out.String(), "stopped: ") {
			t.Errorf("%s: %v\n%s", x.name, err, out.String())
		}
		for _, v := range m.Shutdown() {
			t.Errorf("%s: %v", x.name, v)
		}
	}
}

// TestWatchdog has a queue that never starts: the first barrier fails in bounded time.
func TestWatchdog(t *testing.T) {
	m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1100")}})
	m.Inject(fake.Fault{At: fake.AtStart})
	var out bytes.Buffer
	err := Run(t.Context(), m, &out, Options{Driver: drv.Options{Lookup: noEnv, Timeout: time.Second}})
	if !errors.Is(err, drv.ErrHang) || !strings.Contains(out.String(), "FAIL a barrier, looked at") {
		t.Errorf("%v\n%s", err, out.String())
	}
	m.Shutdown()
}

// TestRooted lists the devices of a tree of files that a user has sent.
func TestRooted(t *testing.T) {
	m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1151"), fake.Card("gfx1201")}})
	root := t.TempDir()
	copyTree(t, m, "/sys", root)
	var out bytes.Buffer
	if err := Run(t.Context(), Rooted{sys.NewLinux(), root}, &out, Options{Read: true, Driver: drv.Options{Lookup: noEnv}}); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"2 GPUs", "kfd:0 AMD Radeon 8060S or 8050S, gfx1151", "kfd:1 AMD Radeon RX 9070", "cwsr_size 19185664"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	for _, v := range m.Shutdown() {
		t.Error(v)
	}
}

// TestEnvironment has the options of drivers alone, and groups.
func TestEnvironment(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"proc/cmdline":     "root=/dev/secret amdgpu.gpu_recovery=1 quiet ttm.pages_limit=5 iommu=pt\n",
		"proc/self/status": "Name:\tx\nGroups:\t44 992 \nVmPeak:\t1 kB\n",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755),
			os.WriteFile(filepath.Join(root, path), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := Run(t.Context(), Rooted{sys.NewLinux(), root}, &out, Options{Read: true, Driver: drv.Options{Lookup: noEnv}}); err == nil {
		t.Error("a machine without GPUs passes")
	}
	if text := out.String(); strings.Contains(text, "secret") ||
		!strings.Contains(text, "command line amdgpu.gpu_recovery=1 ttm.pages_limit=5 iommu=pt; groups 44 992;") {
		t.Errorf("the report is\n%s", text)
	}
}

// TestSizes names GPUs whose save area has another size than by the formula that kernels have.
func TestSizes(t *testing.T) {
	for kernel, unusual := range map[fake.Kernel]bool{fake.Linux612: true, fake.Linux612Fixed: false} {
		m := fake.New(fake.Config{Kernel: kernel, GPUs: []fake.GPU{fake.Card("gfx1151")}})
		var out bytes.Buffer
		err := Run(t.Context(), m, &out, Options{Read: true, Driver: drv.Options{Lookup: noEnv}})
		if err != nil || strings.Contains(out.String(), "UNUSUAL: other Linux kernels want cwsr_size 19185664") != unusual {
			t.Errorf("Linux %s: %v\n%s", kernel.Name, err, out.String())
		}
		m.Shutdown()
	}
}

// copyTree writes the files of a machine below a folder.
func copyTree(t *testing.T, m *fake.Machine, path, root string) {
	t.Helper()
	names, err := m.ReadDir(path)
	if err != nil {
		b, err := m.ReadFile(path)
		if err != nil {
			return
		}
		if err := os.WriteFile(root+path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(root+path, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		copyTree(t, m, filepath.Join(path, n), root)
	}
}
