//go:build linux && !nogpu

package hiprt

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The struct of each generation decodes at the offsets of its header, and RDNA's units are counted as compute
// units.
func TestProperties(t *testing.T) {
	put := func(b *[hipPropertiesBytes]byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	want := Properties{Name: "AMD Radeon RX 7900 XTX", Target: "gfx1100", Memory: 24 << 30, Wave: 32, CUs: 96,
		Integrated: true,
		ClockKHz:   2500000, MemKHz: 1249000, BusBits: 384}
	var six, five [hipPropertiesBytes]byte
	for i := range six {
		six[i], five[i] = 0xa5, 0xa5 // nothing else is read
	}
	copy(six[:], want.Name+"\x00")
	binary.LittleEndian.PutUint64(six[288:], uint64(want.Memory))
	put(&six, 308, 32)
	put(&six, 348, 2500000)
	put(&six, 388, 48)
	put(&six, 396, 1)
	put(&six, 608, 1249000)
	put(&six, 612, 384)
	copy(six[1160:], "gfx1100\x00")
	if got := propertiesR0600(&six); got != want {
		t.Errorf("R0600: %+v, want %+v", got, want)
	}
	copy(five[:], want.Name+"\x00")
	binary.LittleEndian.PutUint64(five[256:], uint64(want.Memory))
	put(&five, 276, 32)
	put(&five, 308, 2500000)
	put(&five, 312, 1249000)
	put(&five, 316, 384)
	put(&five, 336, 48)
	put(&five, 652, 1)
	copy(five[396:], "gfx1100\x00")
	if got := propertiesR0000(&five); got != want {
		t.Errorf("R0000: %+v, want %+v", got, want)
	}
	old := hipProperties([]byte("x"), []byte("gfx906:sramecc+:xnack-\x00"), 1, 64, 60, 0, 0, 0, 0)
	if old.Target != "gfx906" || old.CUs != 60 {
		t.Errorf("gfx906: %+v", old)
	}
}

func TestVersion(t *testing.T) {
	if v := hipVersion(50221153); v != (Version{5, 2, 21153}) {
		t.Errorf("version %v", v)
	}
	if v := hipVersion(60443483); v.Less(Version{6, 4, 99999}) || !v.Less(Version{6, 5, 0}) ||
		!v.Less(Version{7, 0, 0}) || v.Less(Version{5, 9, 0}) {
		t.Errorf("version %v is ordered wrongly", v)
	}
}

// Graphs of HIP 5 are not used.
func TestOldGraphs(t *testing.T) {
	h := &hip{version: Version{5, 7, 31921}}
	if err := h.BeginCapture(1); !errors.Is(err, ErrNoGraphs) || !strings.Contains(err.Error(), "HIP 5.7.31921") {
		t.Errorf("error %v", err)
	}
}

func TestSharedMemory(t *testing.T) {
	root := t.TempDir()
	if _, ok := sharedMemory(root, "0000:C4:00.0"); ok {
		t.Error("memory without files")
	}
	dir := filepath.Join(root, "bus/pci/devices/0000:c4:00.0")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]string{"mem_info_vram_total": "536870912\n",
		"mem_info_gtt_total": "118111600640\n", "mem_info_vram_used": "36870912\n", "mem_info_gtt_used": "garbage\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(v), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, ok := sharedMemory(root, "0000:C4:00.0")
	if want := (SharedMemory{Carveout: 536870912, CarveoutUsed: 36870912, Mapped: 118111600640}); !ok || got != want {
		t.Errorf("%+v, %v, want %+v", got, ok, want)
	}
}

// The words that a launch function gets: geometry, then a table in host memory with the address of each parameter.
func TestPrepare(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []byte
		params []int
	}{{"some", []byte{1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 8, 9, 10, 11, 12, 13}, []int{0, 8, 16}},
		{"one", make([]byte, 4), []int{0}}, {"none", nil, nil}} {
		t.Run(c.name, func(t *testing.T) {
			l := Launch{Func: 77, Grid: [3]uint32{1, 2, 3}, Block: [3]uint32{4, 5, 6}, Args: c.args, Params: c.params}
			mem := make([]byte, l.PrepareSize())
			prepare(&l, mem)
			want := [11]uintptr{77, 1, 2, 3, 4, 5, 6, 0, 0, l.call[9], 0}
			if l.call != want {
				t.Errorf("words %v, want %v", l.call, want)
			}
			if c.args == nil {
				if l.call[9] != 0 {
					t.Error("a launch without parameters has a table")
				}
				return
			}
			at := l.call[9] - data(mem)
			if string(mem[:len(c.args)]) != string(c.args) || at%8 != 0 || int(at)+8*len(c.params) != len(mem) {
				t.Fatalf("arguments % x, table at %d of %d bytes", mem[:len(c.args)], at, len(mem))
			}
			for i, p := range unsafe.Slice((*uintptr)(unsafe.Pointer(&mem[at])), len(c.params)) {
				if p != data(mem)+uintptr(c.params[i]) {
					t.Errorf("parameter %d is at %d, want %d", i, p-data(mem), c.params[i])
				}
			}
		})
	}
}

// harmless is a library whose only function takes any words.
func harmless(t testing.TB) *library {
	t.Helper()
	handle, err := purego.Dlopen("libc.so.6", purego.RTLD_NOW)
	if err != nil {
		t.Skipf("SKIP: no glibc: %v", err)
	}
	l, err := bind(handle, "libc.so.6", []proto{"getpid()"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Hot calls do not allocate.
func TestCallsDoNotAllocate(t *testing.T) {
	l := harmless(t)
	var x Launch
	b := make([]byte, 8)
	for name, f := range map[string]func(){
		"copy":   func() { _ = l.hot(0, 1, data(b), 3, 4, 5) },
		"launch": func() { _ = l.issue(0, &x, 1) },
	} {
		if n := testing.AllocsPerRun(200, f); n >= 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if l.code(0) != uint32(os.Getpid()) {
		t.Error("the call did not reach the library")
	}
}

// The cost of a launch without the runtime's part.
func BenchmarkLaunch(b *testing.B) {
	l := harmless(b)
	var x Launch
	b.ReportAllocs()
	for b.Loop() {
		_ = l.issue(0, &x, 1)
	}
}

func BenchmarkCopy(b *testing.B) {
	l := harmless(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = l.hot(0, 1, 2, 3, 4, 5)
	}
}
