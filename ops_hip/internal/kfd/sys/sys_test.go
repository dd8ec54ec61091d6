//go:build linux && (amd64 || arm64)

package sys

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// storeCode is all that ringing a doorbell and storing to a register may be, by file: load both arguments, a fence, and
// one plain store of 64 bits, of 32. No exchange, no prefix, no second store.
var storeCode = map[string]string{
	"doorbell_amd64": "488b442408 488b4c2410" + // MOVQ 8(SP), AX; MOVQ 16(SP), CX
		" 0faef8 488908 c3", // SFENCE; MOVQ CX, (AX), which is REX.W 89 /r; RET
	"doorbell_arm64": "e00740f9 e10b40f9" + // LDR X0, [SP, 8]; LDR X1, [SP, 16]
		" bf3203d5 010000f9 c0035fd6", // DMB OSHST; STR X1, [X0]; RET
	"store32_amd64": "488b442408 8b4c2410" + // MOVQ 8(SP), AX; MOVL 16(SP), CX
		" 0faef8 8908 c3", // SFENCE; MOVL CX, (AX); RET
	"store32_arm64": "e00740f9 e11340b9" + // LDR X0, [SP, 8]; LDR W1, [SP, 16]
		" bf3203d5 010000b9 c0035fd6", // DMB OSHST; STR W1, [X0]; RET
}

// codeLine is a line of the assembler's listing with bytes of a function: its offset, up to 16 bytes, and the same as
// text.
var codeLine = regexp.MustCompile(`^\t0x[0-9a-f]{4}((?: [0-9a-f]{2}){1,16}) `)

// TestStores looks at the bytes of the stores to devices, for both architectures.
func TestStores(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("SKIPPED: no go command to assemble with")
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	include := filepath.Join(strings.TrimSpace(string(out)), "pkg", "include")
	for name, want := range storeCode {
		_, arch, _ := strings.Cut(name, "_")
		// Not go tool objdump, which go would have to build first.
		cmd := exec.Command("go", "tool", "asm", "-S", "-p", "sys", "-I", include,
			"-o", filepath.Join(t.TempDir(), name+".o"), name+".s")
		cmd.Env = append(os.Environ(), "GOARCH="+arch)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		code := ""
		for line := range strings.Lines(string(out)) {
			if m := codeLine.FindStringSubmatch(line); m != nil {
				code += strings.ReplaceAll(m[1], " ", "")
			}
		}
		want = strings.ReplaceAll(want, " ", "")
		if behind, ok := strings.CutPrefix(code, want); !ok || strings.Trim(behind, "0") != "" {
			t.Errorf("%s: the code is %s, want %s and zeros\n%s", name, code, want, out)
		}
		if n := strings.Count(string(out), " STEXT "); n != 1 {
			t.Errorf("%s: %d functions, want 1", name, n)
		}
	}
	var x uint64
	NewLinux().Ring(&x, 0x0123456789abcdef)
	if x != 0x0123456789abcdef {
		t.Errorf("the doorbell holds %#x", x)
	}
	two := [2]uint32{5, 6}
	if Store32(&two[0], 0x89abcdef); two != [2]uint32{0x89abcdef, 6} {
		t.Errorf("a store to the first of two registers leaves %#x", two)
	}
}

// TestLinux makes the calls that need no GPU.
func TestLinux(t *testing.T) {
	var s Sys = NewLinux()
	p, err := s.Mmap(-1, 0, 0, 3*4096, syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS|syscall.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	q, err := s.Mmap(-1, 0, p+4096, 4096, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED|syscall.MAP_ANONYMOUS|syscall.MAP_FIXED)
	if err != nil || q != p+4096 {
		t.Fatalf("a mapping at %#x lies at %#x: %v", p+4096, q, err)
	}
	b := unsafe.Slice((*byte)(Pointer(q)), 4096)
	b[0], b[4095] = 1, 2
	if err := errors.Join(s.Munmap(p, 4096), s.Munmap(p+4096, 2*4096)); err != nil {
		t.Error(err)
	}
	if _, err := s.Open("/dev/kfd-that-is-not-there", syscall.O_RDWR); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("opening nothing: %v", err)
	}
	fd, err := s.Open("/dev/null", syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ioctl(fd, 0x80084b01, unsafe.Pointer(&b)); !errors.Is(err, syscall.ENOTTY) {
		t.Errorf("an ioctl of KFD on /dev/null: %v", err)
	}
	if err := s.Close(fd); err != nil {
		t.Error(err)
	}
	names, err := s.ReadDir("/proc/self")
	if err != nil || !slices.Contains(names, "maps") || !slices.IsSorted(names) {
		t.Errorf("names in /proc/self: %v, %v", names, err)
	}
	before := s.Now()
	s.Sleep(1e6)
	if d := s.Now() - before; d < 1e6 {
		t.Errorf("a sleep of a millisecond took %v", d)
	}
}
