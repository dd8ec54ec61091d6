// Package limits computes how fast a GPU could run a kernel or a model at best, from counts and a data sheet.
//
// A bound is the time below which no implementation with these counts can go: every other cost (latency, caches,
// launches, clocks below the boost clock) comes on top. Bounds are a model, never a measurement, and are printed with
// the words of [Label]. They tell what binds, and how much is left to win; they do not tell how fast a kernel is.
//
// Four resources are bounded, each as if it alone mattered:
//
//   - memory: the bytes that must cross the memory bus at least once, at the nominal rate. Who counts them takes
//     them to be in no cache when the work starts, which is true of weights and not always of activations;
//   - issue: the wave-instructions that a SIMD can start. It starts at most one vector, one scalar and one memory
//     instruction per clock, and a transcendental function occupies its unit for 4 clocks;
//   - WMMA: the clocks that matrix instructions occupy their unit;
//   - LDS: the instructions that a SIMD can start, one per clock, and the bytes that the banks of a compute unit can
//     load and store. Conflicts of banks are left out.
//
// The package knows no device and does no I/O.
package limits
