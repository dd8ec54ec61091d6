//go:build linux && (amd64 || arm64)

package sys

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// doorbellCode is all that ringing may be: load both arguments, a fence, and one plain store of 64 bits. No exchange,
// no prefix, no second store.
var doorbellCode = map[string][]string{
	"amd64": {"488b442408", "488b4c2410", // MOVQ 8(SP), AX; MOVQ 16(SP), CX
		"0faef8", "488908", "c3"}, // SFENCE; MOVQ CX, (AX), which is REX.W 89 /r; RET
	"arm64": {"f94007e0", "f9400be1", // LDR X0, [SP, 8]; LDR X1, [SP, 16]
		"d50332bf", "f9000001", "d65f03c0"}, // DMB OSHST; STR X1, [X0]; RET
}

// TestDoorbell disassembles the store that rings doorbells, for both architectures.
func TestDoorbell(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("SKIPPED: no go command to assemble and disassemble with")
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	include := filepath.Join(strings.TrimSpace(string(out)), "pkg", "include")
	for arch, want := range doorbellCode {
		object := filepath.Join(t.TempDir(), arch+".o")
		cmd := exec.Command("go", "tool", "asm", "-p", "sys", "-I", include, "-o", object, "doorbell_"+arch+".s")
		cmd.Env = append(os.Environ(), "GOARCH="+arch)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", arch, err, out)
		}
		out, err := exec.Command("go", "tool", "objdump", object).Output()
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		var code []string
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line)
			if len(f) >= 4 && strings.HasPrefix(f[0], "doorbell_") && f[3] != "?" { // zeros behind the code
				code = append(code, f[2])
			}
		}
		if !slices.Equal(code, want) {
			t.Errorf("%s: ringing a doorbell is %v, want %v\n%s", arch, code, want, out)
		}
		if n := strings.Count(string(out), "TEXT "); n != 1 {
			t.Errorf("%s: %d functions, want 1", arch, n)
		}
	}
	var x uint64
	NewLinux().Ring(&x, 0x0123456789abcdef)
	if x != 0x0123456789abcdef {
		t.Errorf("the doorbell holds %#x", x)
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
