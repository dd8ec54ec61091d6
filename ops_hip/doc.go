// Package opship is the GPU backend: precompiled kernels, launched through a runtime that is found when the
// program starts. (The folder is ops_hip; Go package names have no underscores.)
//
// An op is supported by the [Kernel] that its launcher file registers. A launcher says which nodes it takes
// (Match) and turns a node into launches with fixed grids and arguments (Launch); it never touches the device.
// [Device.Compile] lowers the graph, plans memory, resolves the arguments to addresses and keeps the launches,
// which a stream then issues one by one or replays as a captured graph.
//
// Kernels follow rules that keep them portable between runtimes: no hidden arguments, block sizes known at
// compile time, no dynamic LDS, no scratch (private) memory, waves of 32 lanes. Kernels without those properties
// are refused when they are loaded.
//
// The same sources run through three runtimes, which package internal/hiprt hides: HIP on AMD GPUs (the
// product), CUDA on NVIDIA GPUs and an emulator of RDNA instructions (both for validation).
package opship
