package par

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestCores(t *testing.T) {
	for _, c := range []struct {
		name     string
		siblings []string // of each processor
		usable   int
		want     int
	}{
		{"no description", nil, 6, 6},
		{"one thread to a core", []string{"0\n", "1\n", "2\n", "3\n"}, 4, 4},
		{"two threads to a core", []string{"0,2\n", "1,3\n", "0,2\n", "1,3\n"}, 4, 2},
		{"cores of two kinds", []string{"0-1\n", "0-1\n", "2\n", "3\n"}, 4, 3},
		{"a quota below the cores", []string{"0-1\n", "0-1\n", "2-3\n", "2-3\n"}, 1, 1},
	} {
		dir := t.TempDir()
		for i, s := range c.siblings {
			topology := filepath.Join(dir, "cpu"+string(rune('0'+i)), "topology")
			if err := os.MkdirAll(topology, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(topology, "thread_siblings_list"), []byte(s), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := coresBelow(dir, c.usable); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if n := Cores(); n < 1 || n > runtime.GOMAXPROCS(0) {
		t.Errorf("%d cores of %d usable", n, runtime.GOMAXPROCS(0))
	}
}
