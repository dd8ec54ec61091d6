package main

import (
	asm "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Instructions on tiles (Intel AMX), of which the assembler knows none: they are written as bytes. A tile is a matrix
// of up to 16 rows of 64 bytes. The kernels keep sums in tiles 0 to 3, activations in 4 and 5 and weights in 6 and 7,
// so that a product need not wait for its operands to be read.
const (
	tileRow  = 64
	tileSize = 16 * tileRow
)

const (
	highWord = "highWord" // 0xffff0000
	halfWord = "halfWord" // 0x8000
)

// The implied prefixes of VEX.
const (
	prefixNone = iota
	prefix66
	prefixF3
	prefixF2
)

func emit(bs ...byte) {
	for _, b := range bs {
		asm.Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []op.Op{op.U8(b)}})
	}
}

// vex38 writes VEX.128.W0 0F38 and the opcode. r, x and b are the numbers of registers that ModRM and SIB extend, v is
// that of the third operand.
func vex38(prefix, v, x, b int, opcode byte) {
	emit(0xc4, byte(0x82|(1-x>>3)<<6|(1-b>>3)<<5), byte((15-v)<<3|prefix), opcode)
}

func number(r reg.Register) int { return int(r.(reg.Physical).PhysicalIndex()) }

// tileMem writes an instruction on tile t and its rows at base+disp, one every stride bytes.
func tileMem(prefix int, opcode byte, t int, base reg.Register, disp int, stride reg.Register) {
	b, x := number(base), number(stride)
	vex38(prefix, 0, x, b, opcode)
	emit(byte(0x84|t<<3), byte(x&7<<3|b&7), byte(disp), byte(disp>>8), byte(disp>>16), byte(disp>>24))
}

func tileLoad(t int, base reg.Register, disp int, stride reg.Register) {
	tileMem(prefixF2, 0x4b, t, base, disp, stride)
}

func tileStore(t int, base reg.Register, disp int, stride reg.Register) {
	tileMem(prefixF3, 0x4b, t, base, disp, stride)
}

func tileZero(t int) {
	vex38(prefixF2, 0, 0, 0, 0x49)
	emit(byte(0xc0 | t<<3))
}

// tileConfig reads the shapes of tiles at p.
func tileConfig(p reg.Register) {
	vex38(prefixNone, 0, 0, number(p), 0x49)
	emit(byte(number(p) & 7))
}

// tileRelease gives the tiles back: the kernel need not save them any more.
func tileRelease() {
	vex38(prefixNone, 0, 0, 0, 0x49)
	emit(0xc0)
}

// dot adds the product of tiles a and b to tile c.
func dot(prefix int, opcode byte, c, a, b int) {
	vex38(prefix, b, 0, 0, opcode)
	emit(byte(0xc0 | c<<3 | a))
}

// dotBF16 multiplies pairs of bfloat16.
func dotBF16(c, a, b int) { dot(prefixF3, 0x5c, c, a, b) }

// shapes writes the configuration that gives tile i rows[i] rows of columns[i] bytes.
func shapes(name string, rows, columns [8]byte) {
	bs := make([]byte, 64)
	bs[0] = 1 // the palette
	for i := range 8 {
		bs[16+2*i] = columns[i]
		bs[48+i] = rows[i]
	}
	bytes(name, bs)
}

// tileKernels writes everything that needs tiles, and what makes operands for it.
func tileKernels() {
	shapes("allTiles", [8]byte{16, 16, 16, 16, 16, 16, 16, 16}, [8]byte{64, 64, 64, 64, 64, 64, 64, 64})
	dwords(highWord, []uint32{0xffff0000})
	dwords(halfWord, []uint32{0x8000})
	dwords(nanBits, []uint32{0x7fc00000})
	dwords(lowByte, []uint32{0xff})
	for _, n := range []int{1, 2, 3} {
		packFloats(n)
	}
	for i, name := range []string{"BF16", "F16", "F32"} {
		repackFloats("repack"+name+"AMX", i+1)
	}
	for _, p := range floatProducts {
		p.kernel()
	}
	roundings()
	packValues()
	packWeights()
}
