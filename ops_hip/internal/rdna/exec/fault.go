package exec

import (
	"fmt"
	"strings"
)

// FaultKind classifies a fault.
type FaultKind uint8

// Kinds of faults. Those from PoisonRead on are raised by checks alone.
const (
	UnknownInstruction FaultKind = iota // bytes that are no instruction of the target
	Unsupported                         // an instruction or mode without an executor
	BadJump                             // a jump to an address that is no instruction
	OutOfBounds                         // an access outside every allocation, LDS or scratch
	Misaligned                          // an access that is not aligned to its element
	ReadOnlyWrite                       // a store or atomic to a read-only allocation
	Budget                              // more instructions than the launch allows
	Trap                                // s_trap
	Deadlock                            // no wave of a workgroup can run
	PartialExec                         // a matrix or permlane instruction with inactive lanes
	BadFragment                         // a matrix operand whose copy in the upper lanes differs
	PoisonRead                          // a read of a register or of LDS that nothing wrote
	LDSRace                             // unordered LDS accesses of two waves
	PendingRead                         // use of a register whose memory instruction has not been waited for
	// read of a scalar register that GFX12 may still see as it was before its last write
	StaleSGPR
)

var faultNames = [...]string{"unknown instruction", "unsupported instruction", "bad jump", "out of bounds",
	"misaligned",
	"write to read-only memory", "instruction budget exceeded", "trap", "deadlock", "partial EXEC",
	"matrix operand without its copy", "read of unwritten data", "LDS race", "missing wait", "missing s_wait_alu"}

// String returns the kind in words.
func (k FaultKind) String() string {
	if int(k) < len(faultNames) {
		return faultNames[k]
	}
	return fmt.Sprintf("FaultKind(%d)", uint8(k))
}

// Fault is the error of a kernel that did something that hardware would answer
// with a memory fault, wrong results or a hang.
type Fault struct {
	Kind        FaultKind
	Kernel      string
	Instruction string // as llvm-objdump prints it
	PC          uint64 // virtual address in the code object
	Workgroup   [3]uint32
	Wave        int    // wave of the workgroup
	Lane        int    // -1 where no lane is to blame
	Address     uint64 // of the access; meaningful where HasAddress is set
	HasAddress  bool
	Detail      string
}

// Error implements error.
func (f *Fault) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rdna: kernel %q: %v at pc %#x %q, workgroup (%d,%d,%d), wave %d", f.Kernel, f.Kind, f.PC,
		f.Instruction,
		f.Workgroup[0], f.Workgroup[1], f.Workgroup[2], f.Wave)
	if f.Lane >= 0 {
		fmt.Fprintf(&b, ", lane %d", f.Lane)
	}
	if f.HasAddress {
		fmt.Fprintf(&b, ", address %#x", f.Address)
	}
	if f.Detail != "" {
		b.WriteString(": " + f.Detail)
	}
	return b.String()
}
