package simd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGeneratedFilesAreCurrent regenerates the assembly and compares it with the files beside this test.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: builds the generator")
	}
	dir := t.TempDir()
	var names []string
	for _, set := range []struct {
		name string
		args []string
	}{{"kernels", nil}, {"tiles", []string{"-tiles"}}} {
		code, stubs := set.name+"_amd64.s", set.name+"_amd64.go"
		names = append(names, code, stubs)
		cmd := exec.Command("go", append(append([]string{"run", "."}, set.args...), "-out", filepath.Join(dir, code), "-stubs", filepath.Join(dir, stubs), "-pkg", "simd")...)
		cmd.Dir = "_gen"
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		list := exec.Command("go", "list", "-deps", ".")
		list.Dir = cmd.Dir
		if out, err := list.CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: the generator's dependencies are not at hand: %v\n%s", err, out)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, name := range names {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(withoutCommand(got), withoutCommand(want)) {
			t.Errorf("%s is not what the generator writes: run make in _gen", name)
		}
	}
}

// withoutCommand drops the first line, which names the command and its output files.
func withoutCommand(b []byte) []byte {
	_, rest, _ := bytes.Cut(b, []byte("\n"))
	return rest
}
