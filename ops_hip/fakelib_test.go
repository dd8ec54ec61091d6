//go:build linux && !nogpu

package opship

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
)

// The hardware tests run against libraries in C that stand for libamdhip64 and libcuda: everything but the GPU is
// real, from the search for the library to the packed arguments of a launch inside a captured graph. Each runs in a
// process of its own, which loads its library for good.
func TestFakeLibraries(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves libraries that are compiled first to make emulator")
	}
	cc := ""
	for _, name := range []string{"clang-22", "gcc", "cc"} {
		if p, err := exec.LookPath(name); err == nil {
			cc = p
			break
		}
	}
	if cc == "" {
		t.Skip("SKIP: no C compiler to build the libraries with (Debian package gcc)")
	}
	dir := t.TempDir()
	for _, c := range []struct{ source, lib, test, env, mentions string }{
		{"fake_hip.c", "libamdhip64.so.6", "TestHIP", hiprt.EnvLibrary + "=" + filepath.Join(dir, "libamdhip64.so.6"),
			"hip 6.4.43483"},
		{"fake_cuda.c", "libcuda.so.1", "TestCUDA", "LD_LIBRARY_PATH=" + dir, "cuda 12.8.0"},
	} {
		t.Run(c.test, func(t *testing.T) {
			out, err := exec.Command(cc, "-shared", "-fPIC", "-O1", "-w",
				filepath.Join("testdata", "fakelib", c.source), "-lm", "-o", filepath.Join(dir, c.lib)).
				CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^"+c.test+"$", "-test.v")
			cmd.Env = append(os.Environ(), c.env)
			out, err = cmd.CombinedOutput()
			if err != nil || strings.Contains(string(out), "SKIP") || !strings.Contains(string(out), c.mentions) ||
				!strings.Contains(string(out), "mode graph") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
