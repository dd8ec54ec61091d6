// Package hazard knows a fault of RDNA4 that programs must work around: the vector unit keeps scalar registers that it
// has read, and may see the kept value after the register was written anew.
//
// The rule is that of LLVM's pass AMDGPUWaitSGPRHazards. Registers count in aligned pairs. Once a vector instruction
// has read one of a pair, its registers are watched for the rest of the wave. A watched register that a scalar or
// vector instruction writes must not be read by a vector instruction, nor one that a scalar instruction writes by a
// scalar one, before one of these:
// - s_wait_alu with the field for the writer at 0: sa_sdst for scalar instructions, va_sdst for vector instructions
// and
//
//	  va_vcc for vector instructions that write VCC;
//	- a scalar load. Loads through the vector unit do not help;
//
// - for writes of the vector unit, a scalar instruction that reads any scalar register: hardware waits there until
// the
//
//	vector unit's writes have arrived. For its writes of VCC, the instruction has to read VCC.
//
// EXEC, M0, SCC and null are never kept. [State] follows one wave, [Sites] all paths of a kernel.
package hazard
