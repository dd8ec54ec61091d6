package kmeta

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/codeobj"
)

func parse(t testing.TB, name string) *codeobj.Metadata {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	o, err := codeobj.ReadMetadata(b)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return o
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
	lds := &codeobj.Metadata{Kernels: []codeobj.Kernel{
		{Name: "k", Wave: 32, LDS: MaxLDS}, {Name: "l", Wave: 32, LDS: MaxLDS + 1}}}
	if err := Check(lds); err == nil || strings.Contains(err.Error(), "kernel k") ||
		!strings.Contains(err.Error(), "kernel l: 65537 bytes of LDS") {
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
	code := map[string][]string{"good": {"s_clause", "v_mov_b32", "v_dual_and_b32"}}
	for i, want := range []string{"kernel good uses 5 VGPRs, at most 4 are allowed (line 3)", "", "",
		"kernel good has no instruction v_wmma* (line 6)"} {
		err := ls[i].Check(k, code["good"])
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("limit %d: error %v, want %q", i, err, want)
		}
	}
	if err := ls[3].Check(k, nil); err != nil {
		t.Errorf("an instruction is missed in a kernel whose code is not known: %v", err)
	}
	if ls[0].Applies(k, "gfx1201") || !ls[0].Applies(k, "gfx1151") ||
		ls[0].Applies(codeobj.Kernel{Name: "goods"}, "gfx1100") {
		t.Error("patterns match wrongly")
	}
	for _, bad := range []string{"a b vgprs", "a b vgprs x", "a b vgprs 0", "a b lds 4", "[ b has v"} {
		if _, err := ParseLimits(bad); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"good.co", "good.ptx", "hidden.co", "scratch.ptx"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		m, err := Read(image)
		if err != nil {
			return
		}
		for _, k := range m.Kernels {
			if k.Wave != Wave || k.Scratch > 0 || k.LDS > MaxLDS {
				t.Errorf("%+v passed", k)
			}
		}
	})
}
