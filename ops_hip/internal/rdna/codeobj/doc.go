// Package codeobj reads AMDGPU code objects: the ELF files that clang makes for
// gfx11 and gfx12 targets (code object versions 4 and 5).
//
// It loads segments, applies relocations and exposes the kernel descriptors and
// the kernel metadata of the note section, both for execution and for static
// checks such as "no scratch, no spills, arguments match the launch struct".
// Input is untrusted: malformed files give errors and sizes are checked before
// anything is allocated. Formats are those of LLVM's "User Guide for AMDGPU
// Backend".
package codeobj
