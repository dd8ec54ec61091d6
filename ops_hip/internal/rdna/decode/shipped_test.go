package decode_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/codeobj"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/all"
)

// TestShipped compares every instruction of every code object that ships with LLVM's disassembly.
func TestShipped(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the shipped objects out; make emulator compares them")
	}
	if _, err := exec.LookPath("llvm-objdump-22"); err != nil {
		t.Skip("SKIPPED: llvm-objdump-22 is not installed (Debian package llvm-22); the golden files cover the test kernels alone")
	}
	file := filepath.Join(t.TempDir(), "shipped.co")
	for _, target := range codeobj.Targets() {
		if !strings.HasPrefix(target, "gfx") {
			continue
		}
		set, err := codeobj.For(target, "")
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for _, name := range set.Names() {
			image, err := set.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, image, 0o644); err != nil {
				t.Fatal(err)
			}
			want := objdump(t, target, file)
			diff(t, target+" "+name, ours(t, target, file), want)
			lines += len(want)
		}
		t.Logf("%s: %d instructions of %d objects compared", target, lines, len(set.Names()))
	}
}
