package exec

import (
	"math/bits"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/check"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

const (
	lanes    = 32
	fullExec = 0xffffffff
)

// vec is one vector register: a dword per lane.
type vec [lanes]uint32

// f32 views a register as floats. The layouts are equal, so this is a cast.
func (v *vec) f32() *[lanes]float32 { return (*[lanes]float32)(unsafe.Pointer(v)) }

// Scalar register file: operand codes index it directly, so that inline
// constants and SCC are plain entries; the program's constants follow from 256.
const (
	vccIdx  = decode.VCCLo
	m0Idx   = decode.M0
	execIdx = decode.ExecLo
	sccIdx  = decode.SCC
	sinkIdx = 210 // codes 209 to 234 are reserved: writes to null go here
	poolIdx = 256
)

type waveState uint8

const (
	running waveState = iota
	waiting           // at a barrier
	ended
	faulted
	yielded // gave up its time slice
)

// wave is the state of one wave of 32 lanes.
type wave struct {
	v   [256]vec
	tmp [10]vec
	s   []uint32

	pc      int32
	state   waveState
	id      int
	mode    uint8 // float mode: rounding in bits 0-3, denormals in bits 4-7
	ieee    bool
	dx10    bool
	slice   int // instructions left before the wave yields
	passed  int // instructions of the slice that computed nothing, which the budget does not count
	signals int // barrier phases that this wave has signalled
	waits   int // barrier phases that this wave has passed
	wg      *workgroup
	thr     *threaded
	scratch []byte // private memory of all lanes, lane after lane
	alloc   *mem.Alloc
	fault   *Fault
	chk     *checker
	trips   check.Trips
	fresh   bool // the instruction has loaded a line that nobody had loaded
}

func (w *wave) exec() uint32 { return w.s[execIdx] }

// setSCC stores a condition.
func (w *wave) setSCC(b bool) { w.s[sccIdx] = b2u(b) }

func b2u(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// s64 reads a 64-bit scalar.
func (w *wave) s64(i uint16) uint64 { return uint64(w.s[i]) | uint64(w.s[i+1])<<32 }

// setS64 writes a 64-bit scalar.
func (w *wave) setS64(i uint16, v uint64) { w.s[i], w.s[i+1] = uint32(v), uint32(v>>32) }

// blend writes the lanes of mask from src to dst.
func blend(dst, src *vec, mask uint32) {
	if mask == fullExec {
		*dst = *src
		return
	}
	for m := mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		dst[i] = src[i]
	}
}

// fail stops the wave with a fault; lane is -1 where none is to blame.
func (w *wave) fail(kind FaultKind, lane int, detail string) {
	if w.state == faulted {
		return
	}
	w.state = faulted
	inst := &w.thr.prog.insts[w.thr.inst[w.pc-1]]
	w.fault = &Fault{Kind: kind, Kernel: w.wg.l.Kernel, Instruction: inst.String(),
		PC:        w.thr.prog.base + uint64(inst.Offset),
		Workgroup: w.wg.id, Wave: w.id, Lane: lane, Detail: detail}
}

func (w *wave) failAddr(kind FaultKind, lane int, addr uint64, detail string) {
	w.fail(kind, lane, detail)
	w.fault.Address, w.fault.HasAddress = addr, true
}

// run executes until the wave stops running or its slice is used up.
func (w *wave) run() {
	ops, hits := w.thr.ops, w.wg.worker.hits
	n := w.slice
	for w.state == running {
		if n--; n < 0 {
			w.state = yielded
			break
		}
		pc := w.pc
		w.pc = pc + 1
		hits[pc]++
		ops[pc](w)
	}
	w.slice = n
}
