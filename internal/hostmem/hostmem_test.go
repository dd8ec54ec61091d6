package hostmem

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

const gib = 1 << 30

func TestProcess(t *testing.T) {
	meminfo := "MemTotal: 67108864 kB\nMemFree: 1024 kB\nMemAvailable:   33554432 kB\n" // 32 GiB
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64 // negative: an error
	}{
		{"no groups", map[string]string{"proc/meminfo": meminfo}, 32 * gib},
		{"no estimate", map[string]string{"proc/meminfo": "MemTotal: 1 kB\n"}, -1},
		{"nothing", nil, -1},
		{"unlimited", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n",
			"sys/fs/cgroup/a/memory.max":     "max\n",
			"sys/fs/cgroup/a/memory.current": "5"}, 32 * gib},
		{"limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n",
			"sys/fs/cgroup/a/memory.max":     "4294967296\n",
			"sys/fs/cgroup/a/memory.current": "3221225472",
			"sys/fs/cgroup/a/memory.stat":    "anon 5\ninactive_file 1073741824\n"}, 2 * gib},
		{"limit above", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max",
			"sys/fs/cgroup/a/memory.max":   "3221225472", "sys/fs/cgroup/a/memory.current": "1073741824"}, 2 * gib},
		{"in a container", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max":     "1073741824",
			"sys/fs/cgroup/memory.current": "0"}, gib},
		{"version 1", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "9:cpu:/x\n4:memory:/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "2147483648",
			"sys/fs/cgroup/memory/a/memory.usage_in_bytes": "1610612736",
			"sys/fs/cgroup/memory/a/memory.stat":           "inactive_file 7\ntotal_inactive_file 536870912\n"}, gib},
		{"overdrawn", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n",
			"sys/fs/cgroup/a/memory.max":     "10",
			"sys/fs/cgroup/a/memory.current": "30"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range c.files {
				file := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := process(root)
			if (err != nil) != (c.want < 0) {
				t.Fatalf("error %v", err)
			}
			if got != max(0, c.want) {
				t.Errorf("%d bytes, want %d", got, c.want)
			}
		})
	}
}

func TestHere(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the system has no /proc/meminfo")
	}
	all, err := System()
	if err != nil || all < 1<<20 {
		t.Errorf("System: %d bytes, %v", all, err)
	}
	if mine, err := Process(); err != nil || mine < 1 || mine > 1<<50 {
		t.Errorf("Process: %d bytes, %v", mine, err)
	}
}
