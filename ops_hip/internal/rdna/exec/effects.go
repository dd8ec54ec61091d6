package exec

import (
	"strings"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/check"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/hazard"
)

// effects lists the registers that an instruction touches, for the checkers.
type effects struct {
	name          string
	vRead, vWrite []int
	sRead, sWrite []int
	dpp           *decode.DPP
	dppReg        int // register that DPP permutes, -1 for none
	allLanes      bool
	oneLane       *decode.Operand // lane selector of v_readlane and v_writelane
	firstLane     bool
	copies        []copyEffect
	counter       check.Counter
	counter2      check.Counter // flat accesses count twice
	scalarLoad    bool
	waits         []waitFor
	isLoad, isLDS bool
	hazard        *hazard.Effect // nil where the rule of GFX12's scalar registers does not apply
}

// copyEffect is a move or a selection. Compilers move undefined values about, so
// a copy of unwritten data is no fault but leaves its destination unwritten.
type copyEffect struct {
	dst, src0, src1 copyOperand
	mask            int // scalar register that selects src1, -1 for a plain move
}

type copyOperand struct {
	kind decode.Kind
	reg  int
}

// effectsOf derives the effects of an instruction.
func effectsOf(g decode.Gen, i *decode.Inst) *effects {
	e := &effects{name: i.Name, dppReg: -1}
	for h := i; h != nil; h = h.Y {
		if !e.copy(h) {
			e.operands(h)
		}
	}
	e.implicit(i)
	e.memory(g, i)
	e.waits = waitsOf(g, i)
	if h := hazard.EffectOf(i); g == decode.GFX12 && h.Matters() {
		e.hazard = &h
	}
	return e
}

func (e *effects) operands(i *decode.Inst) {
	for k := range i.Operands {
		o := &i.Operands[k]
		write := o.Field == 'D' || o.Field == 'S'
		read := !write
		switch {
		case o.Field == 'D' && readsDst(i):
			read = true
		case o.Field == 'D' && i.Format == decode.SOPK &&
			(strings.HasPrefix(i.Name, "s_cmpk") || strings.HasPrefix(i.Name, "s_setreg") || waitInst(i.Name)):
			read, write = true, false
		}
		if i.Name == "v_swap_b32" {
			read, write = true, true
		}
		for w := 0; w < int(o.Width); w++ {
			n := int(o.Code) + w
			if w == 1 && lowHalfAlone(i, o.Field) {
				continue
			}
			switch {
			case o.Kind == decode.VGPR && i.DPP.Kind != decode.NoDPP && o.Field == '0':
				e.dpp, e.dppReg = &i.DPP, n
			case o.Kind == decode.VGPR:
				e.vRead, e.vWrite = appendIf(e.vRead, n, read), appendIf(e.vWrite, n, write)
			case o.Kind == decode.SGPR && n < decode.Null:
				e.sRead, e.sWrite = appendIf(e.sRead, n, read), appendIf(e.sWrite, n, write)
			}
		}
	}
}

// lowHalfAlone reports the upper dwords of a 64-bit multiply-add: LLVM uses it for
// 32-bit sums with an undefined upper addend, and then ignores the upper result.
func lowHalfAlone(i *decode.Inst, field byte) bool {
	switch i.Name {
	case "v_mad_u64_u32", "v_mad_co_u64_u32", "v_mad_i64_i32", "v_mad_co_i64_i32":
		return field == 'D' || field == '2'
	}
	return false
}

func appendIf(s []int, n int, c bool) []int {
	if c {
		return append(s, n)
	}
	return s
}

// readsDst reports instructions that read their destination operand.
func readsDst(i *decode.Inst) bool {
	for _, p := range [...]string{"v_fmac_", "v_dot2acc_", "v_dot2c_", "v_pk_fmac_", "s_fmac_", "s_bitset", "s_addk",
		"s_mulk", "s_cmov"} {
		if strings.HasPrefix(i.Name, p) {
			return true
		}
	}
	return false
}

func (e *effects) implicit(i *decode.Inst) {
	switch {
	case strings.HasPrefix(i.Name, "v_div_fmas"), strings.HasPrefix(i.Name, "s_cbranch_vcc"):
		e.sRead = append(e.sRead, decode.VCCLo)
	case lowHalfAlone(i, 'D'):
		d, c := i.Find('D'), i.Find('2')
		src := copyOperand{kind: c.Kind, reg: int(c.Code) + 1}
		e.copies = append(e.copies,
			copyEffect{dst: copyOperand{kind: d.Kind, reg: int(d.Code) + 1}, src0: src, src1: src, mask: -1})
	case i.Name == "v_readlane_b32", i.Name == "v_writelane_b32":
		e.oneLane = i.Find('1')
	case i.Name == "v_readfirstlane_b32":
		e.firstLane = true
	case strings.Contains(i.Name, "wmma"):
		e.allLanes = true
	}
}

// copy recognises moves and selections.
func (e *effects) copy(i *decode.Inst) bool {
	if i.DPP.Kind != decode.NoDPP {
		return false
	}
	var operand [3]*decode.Operand
	c := copyEffect{mask: -1}
	switch i.Name {
	case "v_mov_b32", "s_mov_b32", "s_mov_b64":
		operand = [3]*decode.Operand{i.Find('D'), i.Find('0'), i.Find('0')}
	case "v_cndmask_b32":
		operand = [3]*decode.Operand{i.Find('D'), i.Find('0'), i.Find('1')}
		c.mask = decode.VCCLo
		if m := i.Find('2'); m != nil {
			if m.Kind != decode.SGPR {
				return false
			}
			c.mask = int(m.Code)
		}
		e.sRead = appendIf(e.sRead, c.mask, c.mask < decode.Null)
	default:
		return false
	}
	for w := 0; w < int(operand[0].Width); w++ {
		to := [3]*copyOperand{&c.dst, &c.src0, &c.src1}
		for k, o := range operand {
			*to[k] = copyOperand{kind: o.Kind, reg: int(o.Code) + w}
			if o.Kind == decode.SGPR && int(o.Code)+w >= decode.Null {
				to[k].kind = decode.Const
			}
		}
		e.copies = append(e.copies, c)
	}
	return true
}

// memory sets the counters of memory instructions.
func (e *effects) memory(g decode.Gen, i *decode.Inst) {
	ds, km := check.LGKM, check.LGKM
	if g == decode.GFX12 {
		ds, km = check.DS, check.KM
	}
	switch i.Format {
	case decode.SMEM:
		if i.Find('D') != nil {
			e.counter, e.scalarLoad = km, true
		}
	case decode.DS:
		e.counter, e.isLDS = ds, true
	case decode.GLOBAL, decode.FLAT, decode.SCRATCH:
		e.counter = check.VS
		if i.Find('D') != nil || i.Name == "global_inv" {
			e.counter = check.VM
		}
		if i.Format == decode.FLAT {
			e.counter2 = ds
		}
	}
	e.isLoad = e.counter != check.None && i.Find('D') != nil
}

// waitFor is a wait until all but the last n instructions of a counter are complete.
type waitFor struct {
	counter check.Counter
	n       uint32
}

// waitsOf returns what a wait instruction waits for, nil for other instructions.
func waitsOf(g decode.Gen, i *decode.Inst) []waitFor {
	n := uint32(i.Imm)
	ds := check.LGKM
	if g == decode.GFX12 {
		ds = check.DS
	}
	switch i.Name {
	case "s_waitcnt":
		return []waitFor{{check.VM, n >> 10}, {check.LGKM, n >> 4 & 63}}
	case "s_waitcnt_vscnt", "s_wait_storecnt":
		return []waitFor{{check.VS, n}}
	case "s_waitcnt_vmcnt", "s_wait_loadcnt":
		return []waitFor{{check.VM, n}}
	case "s_waitcnt_lgkmcnt":
		return []waitFor{{check.LGKM, n}}
	case "s_wait_dscnt":
		return []waitFor{{check.DS, n}}
	case "s_wait_kmcnt":
		return []waitFor{{check.KM, n}}
	case "s_wait_loadcnt_dscnt":
		return []waitFor{{check.VM, n >> 8 & 63}, {ds, n & 63}}
	case "s_wait_storecnt_dscnt":
		return []waitFor{{check.VS, n >> 8 & 63}, {ds, n & 63}}
	case "s_wait_idle":
		return []waitFor{{check.VM, 0}, {check.VS, 0}, {check.LGKM, 0}, {check.DS, 0}, {check.KM, 0}}
	}
	return nil
}
