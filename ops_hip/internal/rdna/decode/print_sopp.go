package decode

import (
	"fmt"
	"strings"
)

// simm prints a 16-bit immediate; some instructions print it like a constant.
func (i *Inst) simm() string {
	switch i.Name {
	case "s_nop", "s_setkill", "s_sethalt", "s_sleep", "s_trap", "s_denorm_mode", "s_setprio", "s_incperflevel",
		"s_decperflevel", "s_barrier_wait":
		if i.Imm <= 64 {
			return fmt.Sprintf("%d", i.Imm)
		}
	}
	return fmt.Sprintf("%#x", i.Imm)
}

// special prints the immediates that have a syntax of their own.
func (i *Inst) special() string {
	switch i.Name {
	case "s_waitcnt":
		return waitcnt(i.Imm)
	case "s_delay_alu":
		return delayALU(i.Imm)
	case "s_waitcnt_depctr", "s_wait_alu":
		return depctr(i.Imm)
	}
	return sendmsg(i.genHint, i.Imm)
}

func waitcnt(v uint16) string {
	vm, exp, lgkm := v>>10, v&7, v>>4&63
	all := vm == 63 && exp == 7 && lgkm == 63
	var parts []string
	if vm != 63 || all {
		parts = append(parts, fmt.Sprintf("vmcnt(%d)", vm))
	}
	if exp != 7 || all {
		parts = append(parts, fmt.Sprintf("expcnt(%d)", exp))
	}
	if lgkm != 63 || all {
		parts = append(parts, fmt.Sprintf("lgkmcnt(%d)", lgkm))
	}
	return strings.Join(parts, " ")
}

var (
	delayIDs = [...]string{"", "VALU_DEP_1", "VALU_DEP_2", "VALU_DEP_3", "VALU_DEP_4", "TRANS32_DEP_1",
		"TRANS32_DEP_2",
		"TRANS32_DEP_3", "FMA_ACCUM_CYCLE_1", "SALU_CYCLE_1", "SALU_CYCLE_2", "SALU_CYCLE_3"}
	delaySkips = [...]string{"SAME", "NEXT", "SKIP_1", "SKIP_2", "SKIP_3", "SKIP_4"}
)

func delayALU(v uint16) string {
	id := func(n uint16) string {
		if int(n) < len(delayIDs) {
			return delayIDs[n]
		}
		return "/* invalid instid value */"
	}
	var parts []string
	if n := v & 15; n != 0 {
		parts = append(parts, "instid0("+id(n)+")")
	}
	if n := v >> 4 & 7; n != 0 {
		s := "/* invalid instskip value */"
		if int(n) < len(delaySkips) {
			s = delaySkips[n]
		}
		parts = append(parts, "instskip("+s+")")
	}
	if n := v >> 7 & 15; n != 0 {
		parts = append(parts, "instid1("+id(n)+")")
	}
	if parts == nil {
		return "0"
	}
	return strings.Join(parts, " | ")
}

func depctr(v uint16) string {
	if v&0x60 != 0 {
		return fmt.Sprintf("%#x", v)
	}
	fields := [...]struct {
		name        string
		shift, mask uint16
	}{{"hold_cnt", 7, 1}, {"sa_sdst", 0, 1}, {"va_vdst", 12, 15}, {"va_sdst", 9, 7}, {"va_ssrc", 8, 1},
		{"va_vcc", 1, 1}, {"vm_vsrc", 2, 7}}
	all := v == 0xff9f
	var parts []string
	for _, f := range fields {
		if n := v >> f.shift & f.mask; n != f.mask || all {
			parts = append(parts, fmt.Sprintf("depctr_%s(%d)", f.name, n))
		}
	}
	return strings.Join(parts, " ")
}

func sendmsg(g Gen, v uint16) string {
	names := map[uint16]string{1: "MSG_INTERRUPT", 2: "MSG_HS_TESSFACTOR", 3: "MSG_DEALLOC_VGPRS",
		9:   "MSG_GS_ALLOC_REQ",
		128: "MSG_RTN_GET_DOORBELL", 129: "MSG_RTN_GET_DDID", 130: "MSG_RTN_GET_TMA", 131: "MSG_RTN_GET_REALTIME",
		132: "MSG_RTN_SAVE_WAVE", 133: "MSG_RTN_GET_TBA", 134: "MSG_RTN_GET_TBA_TO_PC"}
	if g == GFX12 {
		names[135] = "MSG_RTN_GET_SE_AID_ID"
	} else {
		names[5], names[6] = "MSG_STALL_WAVE_GEN", "MSG_HALT_WAVES"
	}
	switch n, ok := names[v&255]; {
	case ok:
		return "sendmsg(" + n + ")"
	case v < 256:
		return fmt.Sprintf("sendmsg(%d, 0, 0)", v)
	}
	return fmt.Sprintf("%d", v)
}

var hwregNames = [2]map[uint16]string{
	{1: "MODE", 2: "STATUS", 3: "TRAPSTS", 5: "GPR_ALLOC", 6: "LDS_ALLOC", 7: "IB_STS", 15: "SH_MEM_BASES",
		18: "PERF_SNAPSHOT_PC_LO", 19: "PERF_SNAPSHOT_PC_HI", 20: "FLAT_SCR_LO", 21: "FLAT_SCR_HI", 23: "HW_ID1",
		24: "HW_ID2", 27: "PERF_SNAPSHOT_DATA", 29: "SHADER_CYCLES"},
	{1: "MODE", 2: "STATUS", 4: "STATE_PRIV", 5: "GPR_ALLOC", 6: "LDS_ALLOC", 7: "IB_STS", 10: "PERF_SNAPSHOT_DATA",
		11: "PERF_SNAPSHOT_PC_LO", 12: "PERF_SNAPSHOT_PC_HI", 15: "PERF_SNAPSHOT_DATA1", 16: "PERF_SNAPSHOT_DATA2",
		17: "EXCP_FLAG_PRIV", 18: "EXCP_FLAG_USER", 19: "TRAP_CTRL", 20: "SCRATCH_BASE_LO", 21: "SCRATCH_BASE_HI",
		23: "HW_ID1", 24: "HW_ID2", 29: "SHADER_CYCLES_LO", 30: "SHADER_CYCLES_HI", 31: "DVGPR_ALLOC_LO",
		32: "DVGPR_ALLOC_HI"},
}

func hwreg(g Gen, v uint16) string {
	table := hwregNames[0]
	if g == GFX12 {
		table = hwregNames[1]
	}
	id, off, width := v&63, v>>6&31, v>>11+1
	name := fmt.Sprintf("%d", id)
	if n, ok := table[id]; ok {
		name = "HW_REG_" + n
	}
	if off == 0 && width == 32 {
		return "hwreg(" + name + ")"
	}
	return fmt.Sprintf("hwreg(%s, %d, %d)", name, off, width)
}
