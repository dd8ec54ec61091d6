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
		err := Run(t.Context(), m, &out, Options{Soak: 500, Limits: true, Lookup: noEnv})
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

// TestDestructive lets a fake fault: the step passes, and nothing is left.
func TestDestructive(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves bringing up fakes to make kfd")
	}
	m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1201")}, OneMemory: true})
	var out bytes.Buffer
	err := Run(t.Context(), m, &out, Options{Soak: 10, Destructive: true, Lookup: noEnv})
	if err != nil || !strings.Contains(out.String(), "OK   a store to nowhere") || !strings.Contains(out.String(), "not mapped at 0x10000000") {
		t.Errorf("%v\n%s", err, out.String())
	}
	for _, v := range m.Shutdown() {
		t.Error(v)
	}
}

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
		err := Run(t.Context(), m, &out, Options{Lookup: noEnv})
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
	err := Run(t.Context(), m, &out, Options{Lookup: noEnv, Timeout: time.Second})
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
	if err := Run(t.Context(), Rooted{sys.NewLinux(), root}, &out, Options{Read: true, Lookup: noEnv}); err != nil {
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
