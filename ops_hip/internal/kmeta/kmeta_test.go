package kmeta

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, name string) *Object {
	t.Helper()
	o, err := Parse(read(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return o
}

// What is read is what llvm-readelf -n prints and what the source says.
func TestParse(t *testing.T) {
	offsets := []Arg{{0, 8, "global_buffer"}, {8, 4, "by_value"}, {16, 8, "by_value"}, {24, 2, "by_value"}, {26, 1, "by_value"}}
	o := parse(t, "good.co")
	k, ok := o.Kernel("good")
	if o.Target != "gfx1100" || o.PTX || !ok || len(o.Kernels) != 1 {
		t.Fatalf("object %+v", o)
	}
	if !slices.Equal(k.Args, offsets) {
		t.Errorf("arguments %+v, want %+v", k.Args, offsets)
	}
	if k.Wave != 32 || k.MaxThreads != 64 || k.LDS != 128 || k.Scratch != 0 || k.VGPRs == 0 || k.SGPRs == 0 || !k.Args[0].Pointer() || k.Args[1].Pointer() {
		t.Errorf("kernel %+v", k)
	}
	p := parse(t, "good.ptx")
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
}

// Each fixture breaks one rule and is reported for it.
func TestCheck(t *testing.T) {
	for _, good := range []string{"good.co", "good.ptx"} {
		if err := Check(parse(t, good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, c := range []struct{ file, want string }{
		{"wave64.co", "kernel wave64: waves of 64 lanes"},
		{"hidden.co", "kernel hidden: hidden argument hidden_block_count_x"},
		{"dynamic.co", "kernel dynamic: dynamic stack"},
		{"spill.co", "kernel spill: 8 VGPRs and 0 SGPRs spilled"},
		{"scratch.co", "kernel scratch: 816 bytes of scratch memory"},
		{"scratch.ptx", "kernel scratch: 800 bytes of scratch memory"},
	} {
		if err := Check(parse(t, c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.file, err, c.want)
		}
	}
	// No compiler makes this one: more LDS is an error of its own.
	lds := &Object{Kernels: []Kernel{{Name: "k", Wave: 32, LDS: MaxLDS}, {Name: "l", Wave: 32, LDS: MaxLDS + 1}}}
	if err := Check(lds); err == nil || strings.Contains(err.Error(), "kernel k") || !strings.Contains(err.Error(), "kernel l: 65537 bytes of LDS") {
		t.Errorf("LDS: error %v", err)
	}
}

func TestLimits(t *testing.T) {
	ls, err := ParseLimits("# kernel target rule value\n\ngood gfx11* vgprs 4\ngo* gfx1100 vgprs 200\n* gfx* has v_dual_\n* gfx* has v_wmma\n")
	if err != nil || len(ls) != 4 {
		t.Fatalf("%d limits, %v", len(ls), err)
	}
	k, _ := parse(t, "good.co").Kernel("good")
	k.VGPRs = 5
	code := Disassembly("\nx.co:\tfile format elf64-amdgpu\n\n0000000000001600 <other>:\n\tv_wmma_f32 v1 // 0: 1\n\n0000000000001700 <good>:\n\ts_clause 0x3   // 000: BF\n" +
		"\tv_mov_b32 v3, s2 :: v_dual_and_b32 v0, 31, v0  // 4: CA24 // x\n")
	if got := code["good"]; !slices.Equal(got, []string{"s_clause", "v_mov_b32", "v_dual_and_b32"}) {
		t.Errorf("mnemonics %q", got)
	}
	for i, want := range []string{"kernel good uses 5 VGPRs, at most 4 are allowed (line 3)", "", "", "kernel good has no instruction v_wmma* (line 6)"} {
		err := ls[i].Check(k, code["good"])
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("limit %d: error %v, want %q", i, err, want)
		}
	}
	if err := ls[3].Check(k, nil); err != nil {
		t.Errorf("an instruction is missed in a kernel whose code is not known: %v", err)
	}
	if ls[0].Applies(k, "gfx1201") || !ls[0].Applies(k, "gfx1151") || ls[0].Applies(Kernel{Name: "goods"}, "gfx1100") {
		t.Error("patterns match wrongly")
	}
	for _, bad := range []string{"a b vgprs", "a b vgprs x", "a b vgprs 0", "a b lds 4", "[ b has v"} {
		if _, err := ParseLimits(bad); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

// Mnemonics come from the real tool too.
func TestDisassembly(t *testing.T) {
	tool, err := exec.LookPath("llvm-objdump-19")
	if err != nil {
		t.Skip("SKIP: llvm-objdump-19 is not installed (Debian package llvm-19)")
	}
	out, err := exec.Command(tool, "-d", filepath.Join("testdata", "good.co")).Output()
	if err != nil {
		t.Fatal(err)
	}
	code := Disassembly(string(out))["good"]
	for _, want := range []string{"s_barrier", "ds_store_b32", "s_endpgm"} {
		if !slices.Contains(code, want) {
			t.Errorf("no %s in %q", want, code)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := read(t, "good.co")
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
		if o, err := Parse(image); err == nil {
			t.Errorf("%s: parsed as %+v", name, o)
		} else if !strings.HasPrefix(err.Error(), "kmeta: ") {
			t.Errorf("%s: error %q", name, err)
		}
	}
}

func TestMsgpack(t *testing.T) {
	be := binary.BigEndian
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct {
		in   []byte
		want any
	}{
		"fixint":   {[]byte{7}, int64(7)},
		"negative": {[]byte{0xfb}, int64(-5)},
		"uint16":   {[]byte{0xcd, 1, 2}, int64(258)},
		"uint32":   {be.AppendUint32([]byte{0xce}, 1<<31), int64(1 << 31)},
		"int8":     {[]byte{0xd0, 0x80}, int64(-128)},
		"int16":    {[]byte{0xd1, 0xff, 0xfe}, int64(-2)},
		"bool":     {[]byte{0xc3}, true},
		"nil":      {[]byte{0xc0}, nil},
		"str16":    {append([]byte{0xda, 1, 44}, long...), long},
	} {
		if got, err := decode(c.in); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
	}
	l, err := decode([]byte{0xdc, 0, 2, 1, 0xa1, 'a'})
	if err != nil || !slices.Equal(l.([]any), []any{int64(1), "a"}) {
		t.Errorf("list %v, %v", l, err)
	}
	for name, in := range map[string][]byte{
		"empty":              nil,
		"long string":        {0xdb, 0xff, 0xff, 0xff, 0xff, 'a'},
		"long list":          {0xdd, 0xff, 0xff, 0xff, 0xff, 1},
		"long map":           {0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 'a', 1},
		"key that is no str": {0x81, 1, 1},
		"deep":               bytes.Repeat([]byte{0x91}, 1000),
		"binary":             {0xc4, 1, 1},
	} {
		if v, err := decode(in); err == nil {
			t.Errorf("%s: decoded as %v", name, v)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"good.co", "good.ptx", "hidden.co", "scratch.ptx"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		if o, err := Parse(image); err == nil {
			_ = Check(o)
		}
	})
}
