package codeobj

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rules returns an object of the package that checks the rules of kernels, which has one for each.
func rules(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "ops_hip", "internal", "kmeta", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What is read is what llvm-readelf -n prints and what the source says.
func TestReadMetadata(t *testing.T) {
	offsets := []Arg{{0, 8, "global_buffer", ""}, {8, 4, "by_value", ""}, {16, 8, "by_value", ""},
		{24, 2, "by_value", ""}, {26, 1, "by_value", ""}}
	o, err := ReadMetadata(rules(t, "good.co"))
	if err != nil {
		t.Fatal(err)
	}
	k, ok := o.Kernel("good")
	if o.Target != "gfx1100" || o.PTX || !ok || len(o.Kernels) != 1 {
		t.Fatalf("object %+v", o)
	}
	if !slices.Equal(k.Args, offsets) {
		t.Errorf("arguments %+v, want %+v", k.Args, offsets)
	}
	if k.Wave != 32 || k.MaxThreads != 64 || k.LDS != 128 || k.Scratch != 0 || k.VGPRs == 0 || k.SGPRs == 0 ||
		!k.Args[0].Pointer() || k.Args[1].Pointer() {
		t.Errorf("kernel %+v", k)
	}
	p, err := ReadMetadata(rules(t, "good.ptx"))
	if err != nil {
		t.Fatal(err)
	}
	k, ok = p.Kernel("good")
	if p.Target != "sm_90" || !p.PTX || !ok || k.Wave != 32 || k.MaxThreads != 64 || k.LDS != 128 || k.Scratch != 0 {
		t.Errorf("PTX %+v", p)
	}
	for i := range offsets {
		offsets[i].Kind = ""
	}
	if !slices.Equal(k.Args, offsets) {
		t.Errorf("PTX arguments %+v, want %+v", k.Args, offsets)
	}
	if _, ok := o.Kernel("bad"); ok {
		t.Error("there is a kernel bad")
	}
	if k.Awaits {
		t.Error("a kernel without griddepcontrol.wait awaits launches")
	}
	w, err := ReadMetadata([]byte(".target sm_90\n.visible .entry a()\n{\n}\n" +
		".visible .entry b()\n{\ngriddepcontrol.wait;\n}\n"))
	if err != nil || w.Kernels[0].Awaits || !w.Kernels[1].Awaits {
		t.Errorf("%+v, %v: want the second alone to await launches", w, err)
	}
}

func TestReadMetadataRefuses(t *testing.T) {
	good := rules(t, "good.co")
	note := bytes.Index(good, []byte("AMDGPU\x00")) - 12
	edit := func(at int, b ...byte) []byte {
		c := bytes.Clone(good)
		copy(c[at:], b)
		return c
	}
	for name, image := range map[string][]byte{
		"empty":          nil,
		"text":           []byte("hello"),
		"ELF magic only": good[:4],
		"half":           good[:len(good)/2-1500],
		"other machine":  edit(18, 62),
		"long note":      edit(note+4, 0xff, 0xff, 0xff, 0xff),
		"long note name": edit(note, 0xff, 0xff, 0xff, 0xff),
		"no note":        edit(note+8, 99),
		"not msgpack":    edit(note+20, 0xc1),
		"PTX parameter":  []byte(".target sm_90\n.visible .entry k(\n.param .u99 a\n)\n"),
		"PTX array":      []byte(".target sm_90\n.visible .entry k(\n.param .align 8 .b8 a[99999]\n)\n"),
		"PTX memory":     []byte(".target sm_90\n.visible .entry k()\n{\n.shared .align 8 .b8 a[999999999999]\n}"),
	} {
		if o, err := ReadMetadata(image); err == nil {
			t.Errorf("%s: parsed as %+v", name, o)
		} else if !strings.HasPrefix(err.Error(), "codeobj: ") {
			t.Errorf("%s: error %q", name, err)
		}
	}
}

// Numbers that no kernel has are errors, not what is left of them in 32 bits.
func TestKernelRefuses(t *testing.T) {
	name := func(m map[string]any) map[string]any { m[".name"] = "k"; return m }
	arg := func(off, size any) map[string]any {
		args := []any{map[string]any{".offset": off, ".size": size}}
		return name(map[string]any{".kernarg_segment_size": int64(16), ".args": args})
	}
	if _, err := kernelOf(arg(int64(8), int64(8))); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		fields map[string]any
		want   string
	}{
		"no name":       {map[string]any{}, "without a name"},
		"large":         {name(map[string]any{".vgpr_count": int64(1 << 32)}), ".vgpr_count is 4294967296"},
		"negative":      {name(map[string]any{".vgpr_count": int64(-1)}), ".vgpr_count is -1"},
		"string":        {name(map[string]any{".wavefront_size": "32"}), ".wavefront_size is 32, want a number"},
		"arguments":     {name(map[string]any{".kernarg_segment_size": int64(1 << 20)}), "arguments, at most 65536"},
		"argument":      {arg(int64(12), int64(8)), "argument 0 at 12+8 is outside of the 16 bytes"},
		"argument size": {arg(int64(0), int64(-8)), "argument 0: .size is -8"},
	} {
		if k, err := kernelOf(c.fields); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v, want %q", what, k, err, c.want)
		}
	}
}

func FuzzReadMetadata(f *testing.F) {
	for _, name := range []string{"good.co", "good.ptx", "hidden.co", "scratch.ptx"} {
		f.Add(rules(f, name))
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		m, err := ReadMetadata(image)
		if err != nil {
			return
		}
		for _, k := range m.Kernels {
			for _, a := range k.Args {
				if a.Offset < 0 || a.Size < 0 || !m.PTX && a.Offset+a.Size > k.KernargSize {
					t.Errorf("kernel %q: argument %+v of %d bytes", k.Name, a, k.KernargSize)
				}
			}
		}
	})
}
