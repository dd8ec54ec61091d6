package exec

import (
	"fmt"
	"math/bits"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/check"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/hazard"
)

// checker is the checking state of one wave.
type checker struct {
	opt   check.Options
	regs  check.Registers
	waits check.Waits
	sgprs hazard.State
	seq   uint32 // number of the LDS instruction that runs

	copied [4]uint32 // lanes that the copies of the current instruction define
}

func newChecker(o check.Options, set check.Registers) *checker {
	c := &checker{opt: o, regs: set}
	c.regs.SetV(0, fullExec) // work-item ids
	return c
}

// keptForChecks reports dropped instructions that the wait model has to see.
func keptForChecks(i *decode.Inst) bool {
	return waitInst(i.Name) || i.Name == "s_wait_alu" || i.Format == decode.SMEM || i.Name == "global_inv" ||
		i.Name == "global_wb" || i.Name == "global_wbinv"
}

// withChecks wraps an operation.
func (c *compiler) withChecks(i *decode.Inst, f opFunc) opFunc {
	e := effectsOf(c.prog.gen, i)
	return func(w *wave) {
		k := w.chk
		if k == nil { // trips are counted, and nothing is checked
			w.travel(e, f)
			return
		}
		if e.waits != nil {
			for _, x := range e.waits {
				k.waits.Wait(x.counter, x.n)
			}
			w.passed++
			return
		}
		exec := w.exec()
		if !k.before(w, e, exec) {
			return
		}
		var first, second uint32
		if e.counter != check.None {
			first = k.waits.Issue(e.counter, e.scalarLoad)
			if e.counter2 != check.None {
				second = k.waits.Issue(e.counter2, false)
			}
			k.seq = first
		}
		k.choices(w, e)
		f(w)
		if w.state != faulted {
			k.after(w, e, exec, first, second)
		}
	}
}

// travel executes an instruction and moves the clock of trips.
func (w *wave) travel(e *effects, f opFunc) {
	switch {
	case e.waits != nil:
		for _, x := range e.waits {
			if x.counter == check.VM {
				w.trips.Wait(x.n)
			}
		}
		w.passed++
	case e.counter == check.VM && e.isLoad:
		w.fresh = false
		f(w)
		w.trips.Load(w.fresh || w.wg.l.touched == nil)
	case e.counter == check.VM: // invalidations of caches
		f(w)
		w.trips.Pass()
	default:
		f(w)
	}
}

// before checks reads and, for pending loads, overwrites.
func (k *checker) before(w *wave, e *effects, exec uint32) bool {
	if k.opt.SGPR && e.hazard != nil {
		if missing := k.sgprs.Step(e.hazard); missing != "" {
			w.fail(StaleSGPR, -1, missing)
			return false
		}
	}
	if k.opt.Waits && !k.checkWaits(w, e) {
		return false
	}
	if !k.opt.Poison {
		return true
	}
	for _, r := range e.sRead {
		if !k.regs.S(r) {
			w.fail(PoisonRead, -1, fmt.Sprintf("scalar register %d was never written", r))
			return false
		}
	}
	mask := exec
	switch {
	case e.allLanes:
		mask = fullExec
	case e.oneLane != nil:
		mask = 1 << (k.laneOf(w, e.oneLane) & 31)
		if e.name == "v_writelane_b32" {
			mask = 0
		}
	case e.firstLane:
		mask = 1
		if exec != 0 {
			mask = exec & -exec
		}
	}
	for _, r := range e.vRead {
		if !k.readV(w, r, mask) {
			return false
		}
	}
	if e.dpp != nil && !k.readV(w, e.dppReg, dppReads(e.dpp, exec)) {
		return false
	}
	return true
}

func (k *checker) readV(w *wave, reg int, lanes uint32) bool {
	if l := k.regs.V(reg, lanes); l >= 0 {
		w.fail(PoisonRead, l, fmt.Sprintf("v%d was never written in this lane", reg))
		return false
	}
	return true
}

func (k *checker) laneOf(w *wave, o *decode.Operand) uint32 {
	switch o.Kind {
	case decode.SGPR:
		return w.s[o.Code]
	case decode.Const:
		return o.Const32()
	}
	return o.Code
}

// dppReads returns the lanes that a permutation really reads.
func dppReads(p *decode.DPP, exec uint32) (m uint32) {
	for e := exec; e != 0; e &= e - 1 {
		i := bits.TrailingZeros32(e)
		k := i&^7 | int(p.Lanes[i&7])
		if p.Kind == decode.DPP16 {
			if k = dppLane(p.Ctrl, i); k < 0 || p.RowMask>>(i>>4)&1 == 0 || p.BankMask>>(i>>2&3)&1 == 0 {
				continue
			}
		}
		if p.FI || exec>>k&1 != 0 {
			m |= 1 << k
		}
	}
	return m
}

// dppWrites returns the lanes that an instruction with DPP writes.
func dppWrites(p *decode.DPP, exec uint32) (m uint32) {
	if p.Kind == decode.DPP8 {
		return exec
	}
	for e := exec; e != 0; e &= e - 1 {
		i := bits.TrailingZeros32(e)
		k := dppLane(p.Ctrl, i)
		valid := k >= 0 && (p.FI || exec>>k&1 != 0)
		if (valid || p.BoundCtrl) && p.RowMask>>(i>>4)&1 != 0 && p.BankMask>>(i>>2&3)&1 != 0 {
			m |= 1 << i
		}
	}
	return m
}

func (k *checker) checkWaits(w *wave, e *effects) bool {
	fail := func(s string) bool {
		if s != "" {
			w.fail(PendingRead, -1, s)
		}
		return s == ""
	}
	for _, list := range [...][]int{e.sRead, e.sWrite} {
		for _, r := range list {
			if !fail(k.waits.S(r)) {
				return false
			}
		}
	}
	for _, r := range e.vRead {
		if !fail(k.waits.V(r, check.None)) {
			return false
		}
	}
	if e.dppReg >= 0 && !fail(k.waits.V(e.dppReg, check.None)) {
		return false
	}
	for n := range e.copies {
		c := &e.copies[n]
		for _, o := range [...]copyOperand{c.dst, c.src0, c.src1} {
			if o.kind == decode.VGPR && !fail(k.waits.V(o.reg, check.None)) || o.kind == decode.SGPR &&
				!fail(k.waits.S(o.reg)) {
				return false
			}
		}
	}
	for _, r := range e.vWrite {
		if !fail(k.waits.V(r, e.counter)) {
			return false
		}
	}
	return true
}

// choices resolves copies before the instruction overwrites its sources.
func (k *checker) choices(w *wave, e *effects) {
	for n := range e.copies {
		c := &e.copies[n]
		sel := uint32(0)
		if c.mask >= 0 {
			sel = w.s[c.mask]
		}
		k.copied[n&3] = k.written(c.src0)&^sel | k.written(c.src1)&sel
	}
}

// written returns the lanes in which an operand holds defined data.
func (k *checker) written(o copyOperand) uint32 {
	switch {
	case o.kind == decode.VGPR:
		return k.regs.Lanes(o.reg)
	case o.kind == decode.SGPR && !k.regs.S(o.reg):
		return 0
	}
	return fullExec
}

// after records writes.
func (k *checker) after(w *wave, e *effects, exec, first, second uint32) {
	mask := exec
	switch {
	case e.allLanes:
		mask = fullExec
	case e.name == "v_writelane_b32":
		mask = 1 << (k.laneOf(w, e.oneLane) & 31)
	case e.dpp != nil:
		mask = dppWrites(e.dpp, exec)
	}
	for n := range e.copies {
		switch d := e.copies[n].dst; d.kind {
		case decode.VGPR:
			k.regs.PutV(d.reg, mask, k.copied[n&3])
		case decode.SGPR:
			k.regs.PutS(d.reg, k.copied[n&3] != 0)
		}
	}
	for _, r := range e.vWrite {
		k.regs.SetV(r, mask)
		if e.isLoad {
			k.waits.LoadV(r, e.counter, first, e.counter2, second)
		}
	}
	for _, r := range e.sWrite {
		k.regs.SetS(r)
		if e.isLoad {
			k.waits.LoadS(r, e.counter, first)
		}
	}
}

// signal is called when the wave arrives at a barrier: LDS accesses that it has
// not waited for may still happen behind it.
func (k *checker) signal(w *wave) {
	if !k.opt.Races || !k.opt.Waits {
		return
	}
	k.waits.InFlightLDS(func(addr uint32, n int, write bool) {
		w.wg.shadow.Extend(w.id, w.signals, addr, n, write)
	})
}

// ldsAccess checks one lane's access.
func (k *checker) ldsAccess(w *wave, addr uint32, n, lane int, write, atomic bool) bool {
	if k.opt.Waits && k.opt.Races {
		k.waits.LDS(k.seq, addr, n, write)
	}
	poison, race := w.wg.shadow.Access(w.id, w.waits, max(w.waits, w.signals), addr, n, write, atomic)
	switch {
	case poison:
		w.failAddr(PoisonRead, lane, uint64(addr), "these bytes of LDS were never written")
		return false
	case race != "":
		w.failAddr(LDSRace, lane, uint64(addr), race)
		return false
	}
	return true
}
