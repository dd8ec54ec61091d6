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
// The fast device of the same processor is package cpu, which falls back to these kernels.
package opsref
