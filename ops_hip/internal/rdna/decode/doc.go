// Package decode turns RDNA3, RDNA3.5 and RDNA4 machine code into instructions.
//
// It reads instruction words and never a disassembler's text. Every
// instruction prints as LLVM 22's disassembler prints it, which is what makes
// the decoder verifiable: tests decode whole code objects, print them and
// compare line by line.
//
// The tables table_<generation>_<format>.go map opcodes to mnemonics and operand
// signatures. They were derived by the program in _gen, which asks llvm-mc-19
// and llvm-objdump-19 about every opcode of every encoding; bit positions of the
// encodings are those of AMD's RDNA3, RDNA3.5 and RDNA4 instruction set
// architecture documents. A row marked late exists on RDNA3.5 and not on RDNA3.
//
// A signature lists the operands in print order. Each is a field letter, a
// class and a width in dwords: field D is the destination, S the scalar
// destination, 0 1 2 the sources, A an address, K a 16-bit immediate, B a branch
// offset, L a literal, O an offset, M the scalar offset, N a constant in the
// data field, H a hardware register and W an immediate with a syntax of its
// own; class v is a VGPR, s an SGPR, x any 32-bit or 64-bit source, h a
// binary16 source, w a 16-bit integer
// source, c the fixed register vcc and k no
// register at all.
package decode
