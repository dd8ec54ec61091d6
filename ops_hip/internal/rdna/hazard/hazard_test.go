package hazard_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/hazard"
)

// The words are what LLVM assembles for gfx1201.
const (
	readS4       = 0x7e020204             // v_mov_b32_e32 v1, s4
	readS5       = 0x7e020205             // v_mov_b32_e32 v1, s5
	readTTMP9    = 0x7e020275             // v_mov_b32_e32 v1, ttmp9
	moveS4       = 0xbe840080             // s_mov_b32 s4, 0
	moveS0       = 0xbe800080             // s_mov_b32 s0, 0
	moveS7S4     = 0xbe870004             // s_mov_b32 s7, s4
	moveS7S9     = 0xbe870009             // s_mov_b32 s7, s9
	moveS7S0     = 0xbe870000             // s_mov_b32 s7, s0
	moveS7One    = 0xbe870081             // s_mov_b32 s7, 1
	moveVCC      = 0xbeea0080             // s_mov_b32 vcc_lo, 0
	readFirstS4  = 0x7e080501             // v_readfirstlane_b32 s4, v1
	compareVCC   = 0x7c940300             // v_cmp_eq_u32_e32 vcc_lo, v0, v1
	selectVCC    = 0x02040300             // v_cndmask_b32_e32 v2, v0, v1, vcc_lo
	waitSALU     = 0xbf88ff9e             // s_wait_alu depctr_sa_sdst(0)
	waitVALU     = 0xbf88f19f             // s_wait_alu depctr_va_sdst(0)
	waitVCC      = 0xbf88ff9d             // s_wait_alu depctr_va_vcc(0)
	vccBranch    = 0xbfa40000             // s_cbranch_vccnz to the next instruction
	sccBranch1   = 0xbfa20001             // s_cbranch_scc1 over one instruction
	loopBack     = 0xbfa2fffd             // s_cbranch_scc1 two instructions back
	endProgram   = 0xbfb00000             // s_endpgm
	doNothing    = 0xbf800000             // s_nop 0
	smem0, smem1 = 0xf4000200, 0xf8000000 // s_load_b32 s8, s[0:1], 0x0
	vmem0        = 0xee05007c             // global_load_b32 v3, v[4:5], off
	vmem1, vmem2 = 0x00000003, 0x00000004
)

func decoded(t *testing.T, words ...uint32) []decode.Inst {
	t.Helper()
	var text []byte
	for _, w := range append(words, endProgram) {
		text = binary.LittleEndian.AppendUint32(text, w)
	}
	var code []decode.Inst
	for off := 0; off < len(text); {
		i, err := decode.New(decode.GFX12).Decode(text, off)
		if err != nil {
			t.Fatal(err)
		}
		code = append(code, i)
		off += i.Size
	}
	return code
}

func TestSites(t *testing.T) {
	for _, c := range []struct {
		name  string
		words []uint32
		want  string // the instruction that lacks a wait, "" for none
	}{
		{"scalar write, vector read", []uint32{readS4, moveS4, readS4}, "v_mov_b32_e32 v1, s4"},
		{"scalar write, scalar read", []uint32{readS4, moveS4, moveS7S4}, "s_mov_b32 s7, s4"},
		{"vector write, vector read", []uint32{readS4, readFirstS4, readS4}, "v_mov_b32_e32 v1, s4"},
		{"vector write, scalar read", []uint32{readS4, readFirstS4, moveS7S4}, ""},
		{"kept by its pair", []uint32{readS5, moveS4, readS4}, "v_mov_b32_e32 v1, s4"},
		{"another of the pair is read", []uint32{readS4, moveS4, readS5}, ""},
		{"never kept", []uint32{moveS4, readS4}, ""},
		{"never kept, read by the scalar unit", []uint32{moveS4, moveS7S4, moveS4, moveS7S4}, ""},
		{"the right wait for the scalar unit", []uint32{readS4, moveS4, waitSALU, readS4}, ""},
		{"the right wait for the vector unit", []uint32{readS4, readFirstS4, waitVALU, readS4}, ""},
		{"the wrong wait for the scalar unit", []uint32{readS4, moveS4, waitVALU, waitVCC, readS4},
			"v_mov_b32_e32 v1, s4"},
		{"the wrong wait for the vector unit", []uint32{readS4, readFirstS4, waitSALU, waitVCC, readS4},
			"v_mov_b32_e32 v1, s4"},
		{"the wait before the write", []uint32{readS4, waitSALU, moveS4, readS4}, "v_mov_b32_e32 v1, s4"},
		{"a wait holds for all that was written", []uint32{readS4, moveS4, waitSALU, readS4, readS4}, ""},
		{"a scalar load waits", []uint32{readS4, moveS4, smem0, smem1, readS4}, ""},
		{"a vector load does not", []uint32{readS4, moveS4, vmem0, vmem1, vmem2, readS4}, "v_mov_b32_e32 v1, s4"},
		{"s_nop does not", []uint32{readS4, moveS4, doNothing, readS4}, "v_mov_b32_e32 v1, s4"},
		// The vector unit's writes have arrived where a scalar instruction reads any register, and not where it reads
		// none.
		{"a scalar read in between", []uint32{readS4, readFirstS4, moveS7S9, readS4}, ""},
		{"a scalar instruction that reads nothing in between", []uint32{readS4, readFirstS4, moveS7One, readS4},
			"v_mov_b32_e32 v1, s4"},
		{"a scalar read does not help scalar writes", []uint32{readS4, moveS4, moveS7S9, readS4},
			"v_mov_b32_e32 v1, s4"},
		// ttmp9 is not s0, for which LLVM 22 takes it.
		{"ttmp9 keeps no s0", []uint32{readTTMP9, moveS0, moveS7S0}, ""},
		// VCC has fields of its own for the vector unit and the common one for the scalar unit.
		{"VCC by the vector unit", []uint32{selectVCC, compareVCC, selectVCC}, "v_cndmask_b32_e32 v2, v0, v1, vcc_lo"},
		{"VCC by the vector unit, waited for", []uint32{selectVCC, compareVCC, waitVCC, selectVCC}, ""},
		{"VCC by the vector unit, the other field", []uint32{selectVCC, compareVCC, waitVALU, selectVCC},
			"v_cndmask_b32_e32 v2, v0, v1, vcc_lo"},
		{"VCC by the vector unit, another scalar read", []uint32{selectVCC, compareVCC, moveS7S9, selectVCC},
			"v_cndmask_b32_e32 v2, v0, v1, vcc_lo"},
		{"VCC by the vector unit, a branch on it", []uint32{selectVCC, compareVCC, vccBranch}, ""},
		{"VCC by the scalar unit", []uint32{selectVCC, moveVCC, selectVCC}, "v_cndmask_b32_e32 v2, v0, v1, vcc_lo"},
		{"VCC by the scalar unit, a branch on it", []uint32{selectVCC, moveVCC, vccBranch}, "s_cbranch_vccnz 0"},
		{"VCC by the scalar unit, waited for", []uint32{selectVCC, moveVCC, waitSALU, vccBranch, selectVCC}, ""},
		{"VCC written again by the vector unit", []uint32{selectVCC, moveVCC, compareVCC, waitVCC, selectVCC}, ""},
		// Paths.
		{"kept on one way", []uint32{sccBranch1, readS4, moveS4, moveS7S4}, "s_mov_b32 s7, s4"},
		{"waited for on one way", []uint32{readS4, moveS4, sccBranch1, waitSALU, readS4}, "v_mov_b32_e32 v1, s4"},
		{"in the next round of a loop", []uint32{moveS4, readS4, loopBack}, "v_mov_b32_e32 v1, s4"},
	} {
		sites, err := hazard.Sites(decoded(t, c.words...))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		switch {
		case c.want == "" && len(sites) > 0:
			t.Errorf("%s: %v", c.name, sites[0])
		case c.want != "" && (len(sites) != 1 || sites[0].Inst.String() != c.want):
			t.Errorf("%s: sites %v, want one at %q", c.name, sites, c.want)
		}
	}
}

func TestSitesRefuses(t *testing.T) {
	for _, c := range []struct {
		words []uint32
		want  string
	}{
		{[]uint32{0xbfa00010}, "jumps out of the kernel"}, // s_branch 16
		{[]uint32{0xbe804804}, "through registers"},       // s_setpc_b64 s[4:5]
		{[]uint32{0xbfa2ffff, doNothing}, ""},             // s_cbranch_scc1 to itself
	} {
		if _, err := hazard.Sites(decoded(t, c.words...)); c.want == "" && err != nil || c.want != "" &&
			(err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%x: error %v, want %q", c.words, err, c.want)
		}
	}
	if _, err := hazard.Sites(decoded(t, doNothing)[:1]); err == nil ||
		!strings.Contains(err.Error(), "without s_endpgm") {
		t.Errorf("code that runs on: %v", err)
	}
}
