package kmeta_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/codeobj"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/all"
	"github.com/hipengine/hipengine/ops_hip/internal/kmeta"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/hazard"
)

// short are the targets that short tests look at; make emulator looks at all.
var short = []string{"gfx1100", "gfx1151", "gfx1201"}

// eachObject calls f for every object that ships for targets that start with prefix.
func eachObject(t *testing.T, prefix string, f func(target, name string, image []byte)) {
	t.Helper()
	if testing.Short() {
		t.Logf("SKIPPED: -short leaves targets other than %s to make emulator", strings.Join(short, ", "))
	}
	n := 0
	for _, target := range codeobj.Targets() {
		if !strings.HasPrefix(target, prefix) || testing.Short() && !slices.Contains(short, target) {
			continue
		}
		set, err := codeobj.For(target, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range set.Names() {
			image, err := set.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			f(target, name, image)
			n++
		}
	}
	if n == 0 {
		t.Fatalf("no objects for %s*", prefix)
	}
}

// No kernel that ships for GFX12 reads a scalar register too early, and each that has waits does without one of them.
// Not every wait is needed, since LLVM 22 takes ttmp9 for s0.
func TestHazard(t *testing.T) {
	kernels, waits, planted := 0, 0, 0
	eachObject(t, "gfx12", func(target, object string, image []byte) {
		if err := kmeta.CheckCode(image); err != nil {
			t.Errorf("%s: %s: %v", target, object, err)
		}
		code, err := kmeta.Code(image)
		if err != nil {
			t.Fatal(err)
		}
		for name, insts := range code {
			kernels++
			n := 0
			for k := range insts {
				if insts[k].Name == "s_wait_alu" {
					n++
				}
			}
			waits += n
			if n == 0 {
				continue
			}
			if planted++; !missed(t, insts) {
				t.Errorf("%s: %s: none of its %d waits is missed", target, name, n)
			}
		}
	})
	t.Logf("%d kernels with %d s_wait_alu; in %d of them a missing one was planted and found", kernels, waits, planted)
	if planted == 0 {
		t.Error("no wait was taken away")
	}
}

// missed takes one wait after the other away, until that is noticed.
func missed(t *testing.T, insts []decode.Inst) bool {
	t.Helper()
	for k := range insts {
		if insts[k].Name != "s_wait_alu" {
			continue
		}
		insts[k].Name = "s_nop"
		sites, err := hazard.Sites(insts)
		insts[k].Name = "s_wait_alu"
		if err != nil {
			t.Fatal(err)
		}
		if len(sites) > 0 {
			return true
		}
	}
	return false
}

// The rules hold for all objects, and CheckCode sees one instruction that breaks them.
func TestCheckCode(t *testing.T) {
	flat, wait := 0, 0
	eachObject(t, "gfx", func(target, name string, image []byte) {
		if strings.HasPrefix(target, "gfx12") || name == "add" { // TestHazard has the others
			return
		}
		if err := kmeta.CheckCode(image); err != nil {
			t.Errorf("%s: %s: %v", target, name, err)
		}
	})
	eachObject(t, "gfx", func(target, name string, image []byte) {
		if name != "add" {
			return
		}
		if err := kmeta.CheckCode(image); err != nil {
			t.Errorf("%s: %s: %v", target, name, err)
		}
		bad := edit(t, image, func(i *decode.Inst) uint32 {
			switch {
			case i.Name != "global_load_b32" || i.Find('M') != nil && i.Find('M').Kind != decode.Off:
				return 0
			case strings.HasPrefix(target, "gfx12"):
				return i.Words[0] &^ (2 << 24)
			}
			return i.Words[0] &^ (3 << 16)
		})
		if err := kmeta.CheckCode(bad); err == nil || !strings.Contains(err.Error(), "flat_load_b32") {
			t.Errorf("%s: a flat load is planted: %v", target, err)
		} else {
			flat++
		}
		if !strings.HasPrefix(target, "gfx12") {
			return
		}
		bad = edit(t, image, func(i *decode.Inst) uint32 {
			if i.Name == "s_wait_alu" && i.Imm>>9&7 == 0 || i.Name == "s_wait_alu" && i.Imm>>1&1 == 0 {
				return 0xbf800000 // s_nop 0
			}
			return 0
		})
		if err := kmeta.CheckCode(bad); err == nil ||
			!strings.Contains(err.Error(), "unprotected reads of scalar registers") {
			t.Errorf("%s: the waits are taken away: %v", target, err)
		} else {
			wait++
		}
	})
	flats, waits := 8, 2
	if testing.Short() {
		flats, waits = len(short), 1
	}
	if flat != flats || wait != waits {
		t.Errorf("%d flat loads and %d missing waits were planted and found, want %d and %d", flat, wait, flats, waits)
	}
}

// edit returns an object with the first words of instructions replaced where f gives another.
func edit(t *testing.T, image []byte, f func(*decode.Inst) uint32) []byte {
	t.Helper()
	code, err := kmeta.Code(image)
	if err != nil {
		t.Fatal(err)
	}
	image = slices.Clone(image)
	for _, insts := range code {
		for k := range insts {
			w := f(&insts[k])
			if w == 0 {
				continue
			}
			var from []byte
			for j := max(0, k-3); j < min(len(insts), k+4); j++ { // enough around it to be found once
				for n := range insts[j].Size / 4 {
					from = binary.LittleEndian.AppendUint32(from, insts[j].Words[n])
				}
			}
			at := bytes.Index(image, from)
			if at < 0 {
				continue // a neighbour was edited
			}
			for j := max(0, k-3); j < k; j++ {
				at += insts[j].Size
			}
			binary.LittleEndian.PutUint32(image[at:], w)
			insts[k].Words[0] = w
		}
	}
	return image
}

func TestMnemonics(t *testing.T) {
	eachObject(t, "gfx1201", func(_, name string, image []byte) {
		if name != "rms_norm" {
			return
		}
		code, err := kmeta.Code(image)
		if err != nil {
			t.Fatal(err)
		}
		names := kmeta.Mnemonics(code["rms_norm_f32_block"])
		for _, want := range []string{"s_barrier_signal", "global_load_b32", "s_endpgm"} {
			if !slices.Contains(names, want) {
				t.Errorf("no %s in %q", want, names)
			}
		}
	})
}
