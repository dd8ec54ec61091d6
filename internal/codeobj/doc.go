// Package codeobj reads compiled GPU kernels: AMD code objects, which are the ELF files that clang makes (code
// object versions 4 and 5), and PTX text.
//
// [ReadMetadata] returns what an image says of its kernels, of any target: arguments, block sizes, registers and
// memory. Static checks and launches compare themselves with it. [Parse] reads a code object for execution: its
// segments, relocations and kernel descriptors, for targets gfx11 and gfx12.
//
// Input is untrusted: malformed images give errors, and sizes are checked before anything is allocated. Formats are
// those of LLVM's "User Guide for AMDGPU Backend".
package codeobj
