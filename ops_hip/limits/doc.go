// Package limits computes how fast a GPU could run a kernel or a model at best, from counts and a data sheet.
//
// A bound is the time below which no implementation with these counts can go, if the assumptions hold that the fields
// of [GPU] and the constants name: what is left out (conflicts of banks, caches that miss, clocks below the boost
// clock) comes on top. Bounds are a model, never a measurement, and are printed with the words of [Label]. They tell
// what binds, and how much is left to win; they do not tell how fast a kernel is.
//
// Five resources are bounded, each as if it alone mattered:
//
//   - memory: the bytes that must cross the memory bus at least once, at the nominal rate. Who counts them takes
//     them to be in no cache when the work starts, which is true of weights and not always of activations;
//   - issue: the wave-instructions that a SIMD can start. It starts at most one of each kind per clock: vector, scalar,
//     scalar load, branch, memory. Transcendental functions, products of integers of 32 bits and doubles take several
//
// clocks of vector units, and matrix instructions take the same units on RDNA3. Where that is not known, both times
// are
//
//	  given: with full overlap and without any;
//	- L0: the bytes that lanes load, whoever holds them, through the vector cache of a compute unit;
//	- LDS: the instructions that a SIMD can start, one per clock, and the bytes that the banks of a compute unit can
//	  load and store;
//	- latency: the chains of loads that wait for each other, of the waves that registers and LDS let run at once.
//
// The time of a launch is that of the resource which binds; that of a plan is the sum over its launches, and the time
// from one launch to the next for each.
//
// The package knows no device and does no I/O.
package limits
