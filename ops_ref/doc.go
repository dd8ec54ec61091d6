// Package opsref is the reference backend: an interpreter over lowered graphs, one scalar kernel per op, each
// readable beside the formula in the op's doc comment. (The folder is ops_ref; Go package names have no
// underscores.)
//
// Every kernel is written once for float32 and float64. In float32 it is the definition that all other devices
// are compared with; in float64 it is the oracle that tells how much of a difference is rounding. Sums are
// accumulated in float64 in both. The products of float32 numbers are exact there, and other products are rounded
// by an explicit conversion, so float32 results do not depend on whether a compiler fuses multiply and add.
//
// Each output element is computed by one goroutine in a fixed order, so results do not depend on the number of
// threads, nor on what else is in the batch.
//
// With Options.Fast a device uses the kernels of the files named *_fast.go, which stand on package
// internal/simd, and the reference kernels where there is none. A run of a plan is then one run of all threads, with
// a barrier after each op, and allocates nothing. Arithmetic is float32, and activations are quantized to 8 bits
// where they meet weights in blocks that kernels multiply as integers. What was said of threads and batches holds,
// and more: a token's bits are the same in a prompt and alone, and at all levels of vector instructions. There is one
// exception: where the processor multiplies tiles of bfloat16 (AMX), steps of many tokens multiply there, quantized
// weights and their activations rounded to bfloat16, others as sums of bfloat16. The error is no larger, but the bits are
// not those of steps of few tokens and of other processors.
package opsref
