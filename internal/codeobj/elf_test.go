package codeobj

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// read returns an object of the emulator's tests.
func read(t testing.TB, target, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "ops_hip", "internal", "rdna", "testdata", target, name+".co"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParse(t *testing.T) {
	for _, target := range []string{"gfx1100", "gfx1151", "gfx1201"} {
		o, err := Parse(read(t, target, "norm"))
		if err != nil {
			t.Fatal(err)
		}
		k := o.Kernel("rms_norm")
		if o.Target != target || k == nil {
			t.Fatalf("%s: target %q, kernel %v", target, o.Target, k)
		}
		want := []Arg{{Offset: 0, Size: 8, Kind: "global_buffer"}, {Offset: 8, Size: 8, Kind: "global_buffer"},
			{Offset: 16, Size: 8, Kind: "global_buffer"},
			{Offset: 24, Size: 4, Kind: "by_value"}, {Offset: 28, Size: 4, Kind: "by_value"}}
		if len(k.Args) != len(want) {
			t.Fatalf("%s: %d arguments, want %d", target, len(k.Args), len(want))
		}
		for i, a := range k.Args {
			if a.Offset != want[i].Offset || a.Size != want[i].Size || a.Kind != want[i].Kind {
				t.Errorf("%s: argument %d is %+v, want %+v", target, i, a, want[i])
			}
		}
		if k.Args[0].Access != "read_only" || k.Args[2].Access != "write_only" {
			t.Errorf("%s: access %q and %q", target, k.Args[0].Access, k.Args[2].Access)
		}
		d := k.Descriptor
		if k.Wave != 32 || k.KernargSize != 32 || k.LDS != 32 || d.LDS != 32 ||
			k.Scratch != 0 || k.VGPRSpills != 0 || k.SGPRSpills != 0 || k.MaxThreads != 256 {
			t.Errorf("%s: %+v", target, k)
		}
		if d.FloatMode() != 0xf0 || d.Properties&PropKernargPtr == 0 || d.Properties&PropWave32 == 0 ||
			k.CodeEnd <= k.Entry {
			t.Errorf("%s: mode %#x, properties %#x, code %#x to %#x", target, d.FloatMode(), d.Properties, k.Entry,
				k.CodeEnd)
		}
	}
	o, err := Parse(read(t, "gfx1100", "misc"))
	if err != nil {
		t.Fatal(err)
	}
	if k := o.Kernel("scratch"); k.Scratch == 0 {
		t.Error("a kernel with a private array has no scratch")
	}
	hidden := false
	for _, a := range o.Kernel("hidden").Args {
		hidden = hidden || a.Kind == "hidden_group_size_x"
	}
	if !hidden {
		t.Error("hidden arguments are missing")
	}
}

func TestParseRejects(t *testing.T) {
	good := read(t, "gfx1100", "norm")
	edit := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	tests := map[string]struct {
		data []byte
		want string
	}{
		"empty":          {nil, "EOF"},
		"not ELF":        {[]byte(strings.Repeat("x", 200)), "magic"},
		"other machine":  {edit(func(b []byte) { b[18] = 62 }), "AMDGPU"},
		"unknown target": {edit(func(b []byte) { b[48] = 1 }), "target"},
		"other target":   {edit(func(b []byte) { b[48] = 0x4e }), "metadata is for"},
		"truncated":      {good[:600], ""},
		"huge segment":   {edit(func(b []byte) { binary.LittleEndian.PutUint64(b[64+56+40:], 1<<40) }), "limit"},
		"no metadata note": {edit(func(b []byte) { copy(b[bytes.Index(b, []byte("AMDGPU\x00")):], "NOTGPU") }),
			"note"},
		"broken metadata": {edit(func(b []byte) { b[bytes.Index(b, []byte("AMDGPU\x00"))+8] = 0xc1 }), "msgpack"},
	}
	for name, c := range tests {
		if _, err := Parse(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// TestParseMutated parses files with a few random bytes changed: none may panic.
func TestParseMutated(t *testing.T) {
	good := read(t, "gfx1201", "misc")
	r := rand.New(rand.NewPCG(1, 1))
	accepted := 0
	for range 3000 {
		b := bytes.Clone(good)
		for range 1 + r.IntN(4) {
			at := r.IntN(len(b))
			if r.IntN(2) == 0 { // headers and notes are the interesting part
				at = r.IntN(2048)
			}
			b[at] = byte(r.Uint32())
		}
		if _, err := Parse(b); err == nil {
			accepted++
		}
	}
	t.Logf("%d of 3000 mutations still parse", accepted)
}

func FuzzParse(f *testing.F) {
	for _, target := range []string{"gfx1100", "gfx1201"} {
		for _, name := range []string{"norm", "misc"} {
			f.Add(read(f, target, name))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := Parse(b)
		if err != nil {
			return
		}
		for _, k := range o.Kernels {
			if k.Entry >= uint64(len(o.Image)) || k.CodeEnd > uint64(len(o.Image)) {
				t.Errorf("kernel %q: code %#x to %#x outside an image of %d bytes", k.Name, k.Entry, k.CodeEnd,
					len(o.Image))
			}
		}
	})
}
