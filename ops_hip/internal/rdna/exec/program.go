package exec

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// opFunc executes one instruction of a wave whose pc already points behind it.
type opFunc func(w *wave)

// errUnsupported marks an instruction that decodes but has no executor; it
// faults when it is reached.
var errUnsupported = errors.New("no executor")

// Program is the executable form of the text of a code object.
type Program struct {
	gen    decode.Gen
	base   uint64 // virtual address of the text
	insts  []decode.Inst
	index  []int32  // dword of the text to instruction, -1 inside an instruction
	consts []uint32 // scalar file from poolIdx on
	slots  int      // vector memory instructions, which cache their allocation

	plain, checked *threaded
}

// threaded is a sequence of closures. Instructions without effect have none.
type threaded struct {
	prog  *Program
	ops   []opFunc
	inst  []int32  // operation to instruction
	start []int32  // instruction to the first operation at or behind it
	class []Class  // of each operation
	past  []passed // waits, delays and hints that count with each operation
	empty []bool   // operations that are such an instruction and nothing else

	workers sync.Pool // of *worker
}

// Compile decodes and compiles text, which is loaded at virtual address base.
func Compile(gen decode.Gen, text []byte, base uint64) (*Program, error) {
	if len(text) > 1<<26 {
		return nil, fmt.Errorf("exec: text of %d bytes is larger than 64 MiB", len(text))
	}
	p := &Program{gen: gen, base: base, index: make([]int32, len(text)/4)}
	d := decode.New(gen)
	for off := 0; off+4 <= len(text); {
		inst, err := d.Decode(text, off)
		if err != nil { // data, or an instruction that is not of this target: faults when reached
			inst = decode.Inst{Offset: off, Size: 4, Mnemonic: ".long", Name: ".long"}
			inst.Words[0] = uint32(text[off]) | uint32(text[off+1])<<8 | uint32(text[off+2])<<16 | uint32(
				text[off+3])<<24
		}
		p.index[off/4] = int32(len(p.insts))
		for k := 4; k < inst.Size; k += 4 {
			p.index[(off+k)/4] = -1
		}
		p.insts = append(p.insts, inst)
		off += inst.Size
	}
	p.plain = p.thread(false)
	p.checked = p.thread(true)
	return p, nil
}

// Instructions returns the decoded text. It must not be modified.
func (p *Program) Instructions() []decode.Inst { return p.insts }

// rides reports, for each instruction, whether it can be dropped and still be counted: whenever it executes, so does
// the next operation, and the other way round.
func (p *Program) rides() []bool {
	label := make([]bool, len(p.insts)+1)
	for k := range p.insts {
		i := &p.insts[k]
		jump := i.Format == decode.SOPP && strings.Contains(i.Name, "branch") || i.Name == "s_call_b64"
		if off := i.Target(); jump && off >= 0 && off/4 < len(p.index) {
			if to := p.index[off/4]; to >= 0 {
				label[to] = true
			}
		}
	}
	r := make([]bool, len(p.insts))
	joins := true // a jump leads behind the instruction, up to and including the next operation
	for k := len(p.insts) - 1; k >= 0; k-- {
		if droppable(&p.insts[k]) {
			r[k] = !joins
		} else {
			joins = false
		}
		joins = joins || label[k]
	}
	dark := true // reached by a jump that is not known here, if at all
	for k := range p.insts {
		i := &p.insts[k]
		dark = dark && !label[k]
		r[k] = r[k] && !dark
		dark = leaves(i) || dark && droppable(i)
	}
	return r
}

// leaves reports instructions that are never followed by the next one.
func leaves(i *decode.Inst) bool {
	switch i.Name {
	case "s_branch", "s_endpgm", "s_setpc_b64", "s_swappc_b64", "s_call_b64", "s_code_end", ".long":
		return true
	}
	return false
}

// thread compiles all instructions; with checks, waits keep an operation.
func (p *Program) thread(checks bool) *threaded {
	t := &threaded{prog: p, start: make([]int32, len(p.insts)+1)}
	n := int32(0)
	rides := p.rides()
	for k := range p.insts {
		t.start[k] = n
		if !rides[k] || checks && keptForChecks(&p.insts[k]) {
			n++
		}
	}
	t.start[len(p.insts)] = n
	var past passed
	for k := range p.insts {
		if t.start[k+1] == t.start[k] {
			past.add(&p.insts[k])
			continue
		}
		i := &p.insts[k]
		c := &compiler{prog: p, thr: t, at: k}
		f, err := c.compile(i)
		if droppable(i) {
			f, err = func(w *wave) { w.passed++ }, nil
		}
		if err != nil {
			kind, detail := Unsupported, "this instruction has no executor"
			if i.Name == ".long" {
				kind, detail = UnknownInstruction, fmt.Sprintf("word %#08x", i.Words[0])
			} else if !errors.Is(err, errUnsupported) {
				detail = err.Error()
			}
			f = func(w *wave) { w.fail(kind, -1, detail) }
		}
		if checks {
			f = c.withChecks(i, f)
		}
		t.ops = append(t.ops, f)
		t.inst = append(t.inst, int32(k))
		t.class = append(t.class, classify(i))
		if droppable(i) {
			past.add(i)
		}
		t.past, t.empty = append(t.past, past), append(t.empty, droppable(i))
		past = passed{}
	}
	// Running off the end of the text is a bad jump.
	t.ops = append(t.ops, func(w *wave) { w.fail(BadJump, -1, "execution ran beyond the text") })
	t.inst = append(t.inst, int32(len(p.insts)-1))
	t.class = append(t.class, ClassOther)
	t.past, t.empty = append(t.past, past), append(t.empty, true)
	return t
}

// waitInst reports instructions that wait for memory counters.
func waitInst(name string) bool {
	switch name {
	case "s_waitcnt", "s_waitcnt_vscnt", "s_waitcnt_vmcnt", "s_waitcnt_lgkmcnt", "s_waitcnt_expcnt", "s_wait_idle",
		"s_wait_loadcnt", "s_wait_storecnt", "s_wait_samplecnt", "s_wait_bvhcnt", "s_wait_expcnt", "s_wait_dscnt",
		"s_wait_kmcnt", "s_wait_loadcnt_dscnt", "s_wait_storecnt_dscnt":
		return true
	}
	return false
}

// droppable reports instructions that change no architectural state: waits,
// scheduling hints and cache maintenance, since memory here is coherent.
func droppable(i *decode.Inst) bool {
	switch i.Name {
	case "s_nop", "s_delay_alu", "s_clause", "s_waitcnt_depctr", "s_wait_alu", "s_wait_event",
		"s_set_inst_prefetch_distance",
		"s_setprio", "s_sleep", "s_sleep_var", "s_incperflevel", "s_decperflevel", "s_ttracedata", "s_ttracedata_imm",
		"s_singleuse_vdst", "s_icache_inv", "s_code_end", "s_sendmsg", "s_version", "s_wakeup",
		"buffer_gl0_inv", "buffer_gl1_inv", "s_gl1_inv", "s_dcache_inv", "global_inv", "global_wb", "global_wbinv",
		"s_prefetch_inst", "s_prefetch_inst_pc_rel", "s_prefetch_data", "s_buffer_prefetch_data",
		"s_prefetch_data_pc_rel",
		"v_nop", "v_pipeflush":
		return i.Name != "s_code_end"
	}
	return waitInst(i.Name)
}

// constant returns the scalar file index of a 32-bit constant.
func (p *Program) constant(v uint32) uint16 {
	for k, x := range p.consts {
		if x == v {
			return uint16(poolIdx + k)
		}
	}
	p.consts = append(p.consts, v)
	return uint16(poolIdx + len(p.consts) - 1)
}

// constant64 returns the index of a pair of scalar file entries.
func (p *Program) constant64(v uint64) uint16 {
	for k := 0; k+1 < len(p.consts); k++ {
		if p.consts[k] == uint32(v) && p.consts[k+1] == uint32(v>>32) {
			return uint16(poolIdx + k)
		}
	}
	p.consts = append(p.consts, uint32(v), uint32(v>>32))
	return uint16(poolIdx + len(p.consts) - 2)
}

// scalarFile returns the initial scalar registers: poison, constants, zero null.
func (p *Program) scalarFile() []uint32 {
	s := make([]uint32, poolIdx+len(p.consts))
	for i := range s[:decode.Null] {
		s[i] = poisonWord
	}
	for code := uint32(128); code <= 248; code++ {
		if code <= 208 || code >= 240 {
			o := decode.Operand{Kind: decode.Const, Code: code}
			s[code] = o.Const32()
		}
	}
	copy(s[poolIdx:], p.consts)
	return s
}

// poisonWord fills registers and LDS at wave start: a NaN that is easy to spot.
const poisonWord = 0x7fdeadbe

// MaxVGPR returns one more than the highest VGPR that the code between two
// virtual addresses names.
func (p *Program) MaxVGPR(from, to uint64) int {
	highest := 0
	for k := range p.insts {
		i := &p.insts[k]
		if a := p.base + uint64(i.Offset); a < from || a >= to {
			continue
		}
		for h := i; h != nil; h = h.Y {
			for _, o := range h.Operands {
				if o.Kind == decode.VGPR {
					highest = max(highest, int(o.Code)+int(o.Width))
				}
			}
		}
	}
	return highest
}

// operation returns the operation at a virtual address, or -1.
func (t *threaded) operation(addr uint64) int32 {
	off := addr - t.prog.base
	if off%4 != 0 || off/4 >= uint64(len(t.prog.index)) || off/4 > math.MaxInt32 {
		return -1
	}
	k := t.prog.index[off/4]
	if k < 0 {
		return -1
	}
	return t.start[k]
}
