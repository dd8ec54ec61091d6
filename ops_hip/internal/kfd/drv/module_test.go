//go:build linux

package drv

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/codeobj"
)

// TestParse takes the driver's own kernels for every target, and refuses each of their descriptors' fields that is not
// as it must be.
func TestParse(t *testing.T) {
	for _, target := range []string{"gfx1100", "gfx1101", "gfx1102", "gfx1103", "gfx1150", "gfx1151", "gfx1200", "gfx1201"} {
		image, err := copyObject(target)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(image, target); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	if _, err := copyObject("gfx1152"); err == nil {
		t.Error("there are kernels for gfx1152")
	}
	image, err := copyObject("gfx1100")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parse(image, "gfx1101"); err == nil || !strings.Contains(err.Error(), "is for gfx1100") {
		t.Errorf("the wrong target: %v", err)
	}
	for _, x := range []struct {
		name string
		at   int
		xor  uint32
		want string
	}{
		{"LDS", 0, 1 << 17, "LDS"}, {"scratch", 4, 64, "scratch"}, {"arguments", 8, 1 << 3, "metadata"},
		{"reserved", 12, 1, "reserved"}, {"reserved", 28, 1, "reserved"}, {"privileges", 48, 1 << 20, "privileges"},
		{"trap", 52, 1 << 6, "privileges"}, {"scratch", 52, 1, "privileges"}, {"traps", 44, 1 << 10, "privileges"},
		{"wave64", 56, 1 << 10, "properties"}, {"dispatch pointer", 56, 2, "properties"},
		{"preload", 56, 1 << 16, "before it starts"}, {"reserved", 60, 1, "reserved"},
	} {
		o, err := codeobj.Parse(image)
		if err != nil {
			t.Fatal(err)
		}
		f := &o.Kernels[0]
		raw := o.Image[f.DescriptorAddr:]
		le := binary.LittleEndian
		le.PutUint32(raw[x.at:], le.Uint32(raw[x.at:])^x.xor)
		f.Descriptor = codeobj.Descriptor{LDS: le.Uint32(raw), Private: le.Uint32(raw[4:]), KernargSize: le.Uint32(raw[8:]),
			EntryOffset: int64(le.Uint64(raw[16:])), Rsrc3: le.Uint32(raw[44:]), Rsrc1: le.Uint32(raw[48:]),
			Rsrc2: le.Uint32(raw[52:]), Properties: le.Uint16(raw[56:]), KernargPreload: le.Uint16(raw[58:])}
		if err := checkKernel(o, f); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s, byte %d: %v, want %q", x.name, x.at, err, x.want)
		}
	}
	if got12, got11 := rsrc3Allowed("gfx1201"), rsrc3Allowed("gfx1151"); got12 != 0xff0 || got11 != 0x3f0 {
		t.Errorf("prefetch sizes %#x and %#x", got12, got11)
	}
}
