package hazard

import (
	"strings"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// unit is what executes an instruction, as far as the rule distinguishes.
type unit uint8

const (
	other  unit = iota // no part in the rule
	scalar             // scalar ALU, branches included
	vector             // vector ALU
	load               // scalar memory
	wait               // s_wait_alu
)

// Effect is the part that an instruction has in the rule.
type Effect struct {
	unit          unit
	reads, writes []uint8 // scalar registers, 0 to 123
	mask          uint16  // of s_wait_alu
}

// Matters reports whether the instruction has a part at all.
func (e *Effect) Matters() bool {
	return e.unit == load || e.unit == wait || len(e.reads)+len(e.writes) > 0
}

// EffectOf returns the effect of a GFX12 instruction.
func EffectOf(i *decode.Inst) Effect {
	e := Effect{unit: unitOf(i), mask: i.Imm}
	if e.unit != scalar && e.unit != vector {
		return e
	}
	for h := i; h != nil; h = h.Y {
		for k := range h.Operands {
			e.operand(h, &h.Operands[k])
		}
		if readsVCC(h) {
			e.reads = append(e.reads, decode.VCCLo)
		}
	}
	return e
}

func unitOf(i *decode.Inst) unit {
	switch i.Format {
	case decode.SOP1, decode.SOP2, decode.SOPC, decode.SOPK:
		return scalar
	case decode.SOPP:
		if i.Name == "s_wait_alu" {
			return wait
		}
		return scalar
	case decode.SMEM:
		return load
	case decode.VOP1, decode.VOP2, decode.VOP3, decode.VOP3P, decode.VOPC, decode.VOPD:
		return vector
	}
	return other
}

func (e *Effect) operand(i *decode.Inst, o *decode.Operand) {
	if o.Kind != decode.SGPR {
		return
	}
	write := o.Field == 'D' || o.Field == 'S'
	read := !write
	switch {
	case i.Name == "s_setreg_b32": // prints its source as a destination
		read, write = true, false
	case write && (strings.HasPrefix(i.Name, "s_cmov") || strings.HasPrefix(i.Name, "s_addk") ||
		strings.HasPrefix(i.Name, "s_mulk") || strings.HasPrefix(i.Name, "s_bitset") ||
		strings.HasPrefix(i.Name, "s_fmac")):
		read = true
	}
	for r := o.Code; r < o.Code+uint32(max(o.Width, 1)) && r < decode.Null; r++ {
		if read {
			e.reads = append(e.reads, uint8(r))
		}
		if write {
			e.writes = append(e.writes, uint8(r))
		}
	}
}

// readsVCC reports instructions that read VCC without an operand that says so.
func readsVCC(i *decode.Inst) bool {
	return i.Format == decode.VOPD && i.Name == "v_cndmask_b32" || strings.HasPrefix(i.Name, "v_div_fmas_") ||
		strings.HasPrefix(i.Name, "s_cbranch_vcc")
}
