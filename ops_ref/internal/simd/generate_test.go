package simd

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGeneratedFilesAreCurrent regenerates the assembly and compares it with the files beside this test.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	for _, c := range []struct {
		name    string
		command []string
	}{
		{"kernels_amd64", []string{".", "-pkg", "simd"}},
		{"tiles_amd64", []string{".", "-tiles", "-pkg", "simd"}},
		{"kernels_arm64", []string{"./arm64"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("SKIPPED in short mode: builds the generator")
			}
			dir := t.TempDir()
			names := []string{c.name + ".s", c.name + ".go"}
			list := exec.Command("go", "list", "-deps", c.command[0])
			list.Dir = "_gen"
			if out, err := list.CombinedOutput(); err != nil {
				t.Skipf("SKIPPED: the generator's dependencies are not at hand: %v\n%s", err, out)
			}
			cmd := exec.Command("go",
				append(append([]string{"run"}, c.command...), "-out", filepath.Join(dir, names[0]), "-stubs",
					filepath.Join(dir, names[1]))...)
			cmd.Dir = "_gen"
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
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
		})
	}
}

// TestEncodings compares the words of the arm64 kernels with what an assembler makes of the comments beside them.
func TestEncodings(t *testing.T) {
	mc, err := exec.LookPath("llvm-mc-22")
	if err != nil {
		t.Skip("SKIPPED: no llvm-mc-22")
	}
	text, err := os.ReadFile("kernels_arm64.s")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	var words []string
	for _, m := range regexp.MustCompile(`WORD \$0x([0-9a-f]{8}) // (.*)`).FindAllStringSubmatch(string(text), -1) {
		words = append(words, m[1])
		fmt.Fprintln(&source, m[2])
	}
	if n := strings.Count(string(text), "WORD"); n == 0 || n != len(words) {
		t.Fatalf("%d of %d words have comments", len(words), n)
	}
	cmd := exec.Command(mc, "-triple=aarch64", "-mattr=+dotprod", "-show-encoding")
	cmd.Stdin = strings.NewReader(source.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(.*)// encoding: \[0x(..),0x(..),0x(..),0x(..)\]`).FindAllStringSubmatch(string(out),
		-1)
	if len(lines) != len(words) {
		t.Fatalf("%d encodings for %d words", len(lines), len(words))
	}
	for i, l := range lines {
		if want := l[5] + l[4] + l[3] + l[2]; words[i] != want {
			t.Errorf("0x%s, want 0x%s: %s", words[i], want, l[1])
		}
	}
}

// withoutCommand drops the first line, which names the command and its output files.
func withoutCommand(b []byte) []byte {
	_, rest, _ := bytes.Cut(b, []byte("\n"))
	return rest
}
