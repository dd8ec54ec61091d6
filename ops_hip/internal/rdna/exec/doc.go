// Package exec runs decoded RDNA instructions, one wave of 32 lanes at a time.
//
// A Program is the threaded form of a code object's text: every instruction is
// compiled once into a closure that has its operands resolved. Waits, delays
// and hints are dropped unless the checker wants them. Vector registers are
// kept as one [32]uint32 per register; an operation computes all 32 lanes and,
// when EXEC has holes, blends its result into the destination.
//
// # Arithmetic
//
// f32 and f64 addition, multiplication and fused multiply-add are correctly
// rounded (to nearest even; kernels that ask for another rounding mode fault).
// f16 and bf16 results are rounded once from an exact or sticky intermediate.
// Denormals follow the kernel descriptor's mode.
//
// # Models
//
// Where the hardware's rounding is not documented, the executor uses a model:
//
//   - v_exp, v_log, v_rcp, v_rsq, v_sqrt, v_sin and v_cos are evaluated in float64
//     and rounded once; their f32 forms flush denormal inputs and results.
//   - v_wmma with f16, bf16, fp8 and bf8 inputs sums exact products in K order in
//     float64, starting from C, and rounds once.
//   - v_dot2 adds exact products one after the other, rounding after each.
//   - Minima and maxima of signalling NaNs follow IEEE mode for v_min_f32 and
//     v_max_f32 of GFX11; other operations treat them as quiet.
//   - Workgroups run in parallel and in no defined order; the waves of a
//     workgroup run one after the other up to a barrier. Workgroups that wait for
//     each other make progress only while all of them fit the workers.
//
// # Memory
//
// Guest atomics exclude each other. Plain guest accesses are plain Go accesses:
// a kernel whose workgroups race has a Go data race as well, which the race
// detector reports; one worker runs such a kernel in a fixed order.
//
// # What is not executed
//
// Wave64, buffer and image resources, sparse matrices (v_swmmac), rounding to
// fp8, register indexing through M0, named barriers, the trap handler, and
// v_permlane64, which does nothing in wave32. Such instructions decode and print,
// and fault when they are reached.
package exec
