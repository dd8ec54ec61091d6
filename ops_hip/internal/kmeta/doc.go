// Package kmeta reads what compiled kernels say of themselves, from the metadata note of AMD code objects and from
// the text of PTX files, and checks the properties that every kernel must have. The backend compares it with the
// launches when it loads an object, and tests do so for every object that ships.
//
// The layout of the note is that of LLVM's "User Guide for AMDGPU Backend", code object V3 and later.
package kmeta
