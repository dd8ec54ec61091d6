// Package hiprt is one small interface to GPU runtimes and its implementations: "hip" binds libamdhip64, "cuda"
// binds libcuda; both are opened when the program starts to use them, without cgo. "kfd" drives AMD GPUs through the
// kernel's /dev/kfd with no library at all. An emulator registers itself as "emu".
//
// Facts about both APIs come from their public headers (hip_runtime_api.h, cuda.h); the prototype of each bound
// function is part of the binding, and a test compares it with every call. Handles are distinct types. Nothing on
// the Go heap is handed to a call that may use it after returning.
//
// The build tag nogpu leaves out hip and cuda, which need a dynamic linker, so that the program is static; kfd stays.
package hiprt
