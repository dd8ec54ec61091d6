// Package cpu is the fast device of the processor. Its kernels stand on package simd; ops that have none here run
// with the kernels of package opsref. A run of a plan is one run of all threads, with a barrier after each op, and
// allocates nothing.
//
// Arithmetic is float32, and activations are quantized to 8 bits where they meet weights in blocks that kernels
// multiply as integers. As with the reference, results depend neither on the number of threads nor on what else is in
// the batch; and more: a token's bits are the same in a prompt and alone, and at all levels of vector instructions.
// There is one exception: where the processor multiplies tiles of bfloat16 (AMX), steps of many tokens multiply
// there, quantized weights and their activations rounded to bfloat16, others as sums of bfloat16. The error is no
// larger, but the bits are not those of steps of few tokens and of other processors; graphs that demand the same bits
// (ops.Graph.Invariant) are computed without tiles.
package cpu
