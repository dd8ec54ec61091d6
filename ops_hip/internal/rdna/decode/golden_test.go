package decode_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

var update = flag.Bool("update", false, "rewrite the golden disassembly with llvm-objdump-22")

const kernels = "../testdata"

var sources = []string{"norm", "mat_vec", "gemm", "attention", "misc", "arith", "cross_lane"}

// objdump returns the instruction lines of an object file: address and text.
func objdump(t *testing.T, target, file string) []string {
	t.Helper()
	out, err := exec.Command("llvm-objdump-22", "-d", "--mcpu="+target, "--mattr=-real-true16", file).Output()
	if err != nil {
		t.Fatalf("llvm-objdump-22: %v", err)
	}
	var lines []string
	for _, l := range strings.Split(string(out), "\n") {
		text, comment, ok := strings.Cut(l, "//")
		addr, _, ok2 := strings.Cut(strings.TrimSpace(comment), ":")
		a, err := strconv.ParseUint(addr, 16, 64)
		text = strings.TrimSpace(text)
		if !ok || !ok2 || err != nil || text == "s_code_end" {
			continue
		}
		lines = append(lines, fmt.Sprintf("%x %s", a, text))
	}
	return lines
}

// ours decodes and prints the text of an object file in the same form.
func ours(t *testing.T, target, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	obj, err := codeobj.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	gen, err := decode.GenOf(target)
	if err != nil {
		t.Fatal(err)
	}
	d := decode.New(gen)
	text, addr := obj.Text()
	var lines []string
	for off := 0; off < len(text); {
		i, err := d.Decode(text, off)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if i.Name != "s_code_end" {
			lines = append(lines, fmt.Sprintf("%x %s", addr+uint64(off), i.String()))
		}
		off += i.Size
	}
	return lines
}

func diff(t *testing.T, name string, got, want []string) {
	t.Helper()
	for k := 0; k < len(got) && k < len(want); k++ {
		if got[k] != want[k] {
			t.Errorf("%s: line %d: %q, LLVM has %q", name, k+1, got[k], want[k])
		}
	}
	if len(got) != len(want) || len(got) == 0 {
		t.Errorf("%s: %d lines, LLVM has %d", name, len(got), len(want))
	}
}

// TestGolden compares the disassembly of the committed objects with what LLVM 22
// printed for them.
func TestGolden(t *testing.T) {
	for _, target := range []string{"gfx1100", "gfx1151", "gfx1201"} {
		for _, name := range sources {
			file := filepath.Join(kernels, target, name+".co")
			golden := filepath.Join("testdata", target+"_"+name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(strings.Join(objdump(t, target, file), "\n")+"\n"),
					0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, golden, ours(t, target, file), strings.Split(strings.TrimSuffix(string(want), "\n"), "\n"))
		}
	}
}

// TestAllTargets compiles the test kernels for every target and compares every
// line with LLVM's disassembly.
func TestAllTargets(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves out compiling for eight targets")
	}
	for _, tool := range []string{"clang-22", "ld.lld-22", "llvm-objdump-22"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: %s is not installed; the golden files still cover three targets", tool)
		}
	}
	lines := 0
	for _, target := range []string{"gfx1100", "gfx1101", "gfx1102", "gfx1103", "gfx1150", "gfx1151", "gfx1200",
		"gfx1201"} {
		dir := t.TempDir()
		for _, name := range sources {
			obj := filepath.Join(dir, name+".co")
			out, err := exec.Command("clang-22", "-x", "hip", "--cuda-device-only", "--no-gpu-bundle-output",
				"--offload-arch="+target,
				"-nogpuinc", "-nogpulib", "-O3", "-fuse-cuid=none", "-mcode-object-version=5", "-mllvm",
				"-disable-machine-sink",
				"-Xclang", "-target-feature", "-Xclang", "-real-true16",
				filepath.Join(kernels, name+".hip"), "-o", obj).CombinedOutput()
			if err != nil {
				t.Fatalf("clang-22: %v\n%s", err, out)
			}
			want := objdump(t, target, obj)
			diff(t, target+" "+name, ours(t, target, obj), want)
			lines += len(want)
		}
	}
	t.Logf("%d instructions compared", lines)
}

// FuzzDecode feeds arbitrary bytes to the decoders: they must not panic and must
// print whatever they accept.
func FuzzDecode(f *testing.F) {
	for _, name := range sources {
		b, err := os.ReadFile(filepath.Join(kernels, "gfx1201", name+".co"))
		if err != nil {
			f.Fatal(err)
		}
		if obj, err := codeobj.Parse(b); err == nil {
			text, _ := obj.Text()
			f.Add(text[:min(len(text), 4096)])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, g := range []decode.Gen{decode.GFX11, decode.GFX115, decode.GFX12} {
			d := decode.New(g)
			for off := 0; off+4 <= len(b); off += 4 {
				if i, err := d.Decode(b, off); err == nil && (i.String() == "" || i.Size < 4 || i.Size > 12) {
					t.Errorf("%x decodes to %q of %d bytes", b[off:], i.String(), i.Size)
				}
			}
		}
	})
}
