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

// dotSU multiplies signed bytes with unsigned ones, dotSS with signed ones, and dotBF16 pairs of bfloat16.
func dotSU(c, a, b int)   { dot(prefixF3, 0x5e, c, a, b) }
func dotSS(c, a, b int)   { dot(prefixF2, 0x5e, c, a, b) }
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

// tiles is the loop over tiles of 16 columns that the kernels share. Registers are given out by hand. Sums of tiles
// go through memory at buf; what follows a tile's products is interleaved with the products of the next.
type tiles struct {
	n, w, a, src, srcBytes, dst, dstBytes, buf reg.Register
	step, rows                                 reg.Register // bytes between rows of activations, and of tiles in memory
}

const tilesSignature = "func(tiles int, w, a *byte, src *float32, srcBytes int, dst *float32, dstBytes int, buf *byte)"

func beginTiles(name, config string, doc string) tiles {
	begin(name, tilesSignature, doc,
		"for the products of one block of 32 rows with tiles*16 columns: dst is src and them. Columns of src and dst are",
		"srcBytes and dstBytes apart. tiles is at least 1, and buf has the bytes that the layout says.")
	t := tiles{n: reg.RAX, w: reg.RSI, a: reg.RDI, src: reg.R8, srcBytes: reg.R9, dst: reg.R10, dstBytes: reg.R11, buf: reg.RBX,
		step: reg.RCX, rows: reg.RDX}
	asm.LEAQ(sym(config, 0), t.rows)
	tileConfig(t.rows)
	asm.Load(asm.Param("tiles"), t.n)
	asm.Load(asm.Param("w"), t.w)
	asm.Load(asm.Param("a"), t.a)
	asm.Load(asm.Param("src"), t.src)
	asm.Load(asm.Param("srcBytes"), t.srcBytes)
	asm.Load(asm.Param("dst"), t.dst)
	asm.Load(asm.Param("dstBytes"), t.dstBytes)
	asm.Load(asm.Param("buf"), t.buf)
	return t
}

func (t *tiles) end() {
	tileRelease()
	end()
}

// tileKernels writes everything that needs tiles, and what makes operands for it.
func tileKernels() {
	all := [8]byte{16, 16, 16, 16, 16, 16, 16, 16}
	wide := [8]byte{64, 64, 64, 64, 64, 64, 64, 64}
	shapes("shapesK", all, wide)
	shapes("shapes32", [8]byte{16, 16, 16, 16, 16, 16, 8, 8}, [8]byte{64, 64, 64, 64, 32, 32, 64, 64})
	dwords("lowBytes", []uint32{0x00ff00ff})
	dwords("words32", []uint32{0x00200020})
	bytes("wordTwice", lanePattern(0, 1, 0, 1))
	laneNumbers()
	splitK{name: "Q4K", run: 32, size: panelQ4K, rest: panelQ4KMins, restLen: tileQ4K - planesK}.kernel()
	splitK{name: "Q6K", run: 16, size: panelQ6K, rest: panelQ6KD, restLen: tileQ6K - planesK, offset: true}.kernel()
	repackQ8_0("repackQ8_0AMX", true)
	tilesOfK("tilesQ4KAMX", "is dotQ4KRow", true)
	tilesOfK("tilesQ6KAMX", "is dotQ6KRow", false)
	tilesOf32()
	tilesOfFloats("tilesF16AMX", 2)
	tilesOfFloats("tilesBF16AMX", 1)
}
