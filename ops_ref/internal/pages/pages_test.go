package pages

import (
	"runtime"
	"testing"
	"unsafe"
)

func TestMemory(t *testing.T) {
	for _, n := range []int64{0, 1, 4096, Huge - 1, Huge, 3*Huge + 5} {
		m, err := New(n)
		if err != nil {
			t.Fatal(err)
		}
		b := m.Bytes()
		if int64(len(b)) != n {
			t.Fatalf("%d bytes, want %d", len(b), n)
		}
		if n > 0 && uintptr(unsafe.Pointer(&b[0]))%64 != 0 {
			t.Errorf("block of %d bytes is not aligned to a cache line", n)
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("byte %d of %d is %d", i, n, b[i])
			}
		}
		m.Hold()
		m.Release()
		for i := range b { // still there: one holder is left
			b[i] = byte(i)
		}
		m.Release()
		if m.Bytes() != nil {
			t.Errorf("block of %d bytes is still there after its last release", n)
		}
	}
}

// TestTooMuch asks for more than the address space holds.
func TestTooMuch(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: memory comes from the Go heap here, which has no errors")
	}
	if m, err := New(1 << 55); err == nil {
		m.Release()
		t.Error("a block of 2^55 bytes was mapped")
	}
}
