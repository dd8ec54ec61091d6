package main

import (
	"fmt"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The names of constants in read-only data.
const (
	nibbles     = "nibbles"     // 0x0f in 4 bytes
	bits54      = "bits54"      // 0x30 in 4 bytes
	highBit     = "highBit"     // 0x80 in 4 bytes
	ones16      = "ones16"      // 16 words of 1
	absMask     = "absMask"     // 0x7fffffff
	infBits     = "infBits"     // 0x7f800000
	k127        = "k127"        // 127.0
	tiny        = "tiny"        // 2^-100
	nanBits     = "nanBits"     // a quiet NaN
	lowByte     = "lowByte"     // 0xff
	thirtyTwos  = "thirtyTwos"  // 32 in 4 bytes
	ninetySixes = "ninetySixes" // 96 in 4 bytes: from codes 32 too large to codes 128 too large
)

func constants() {
	for _, c := range []struct {
		name string
		v    uint32
	}{{nibbles, 0x0f0f0f0f}, {bits54, 0x30303030}, {highBit, 0x80808080}, {absMask, 0x7fffffff}, {infBits, 0x7f800000},
		{k127, 0x42fe0000}, {tiny, 0x0d800000}, {nanBits, 0x7fc00000}, {lowByte, 0xff}, {thirtyTwos, 0x20202020}, {ninetySixes, 0x60606060}} {
		asm.GLOBL(c.name, rodata)
		asm.DATA(0, op.U32(c.v))
	}
	w := make([]uint16, 16)
	for i := range w {
		w[i] = 1
	}
	words(ones16, w)
}

// rodata are the attributes RODATA|NOPTR of the Go assembler.
const rodata = 8 | 16

func words(name string, ws []uint16) {
	asm.GLOBL(name, rodata)
	for i, w := range ws {
		asm.DATA(2*i, op.U16(w))
	}
}

func dwords(name string, ws []uint32) {
	asm.GLOBL(name, rodata)
	for i, w := range ws {
		asm.DATA(4*i, op.U32(w))
	}
}

func bytes(name string, bs []byte) {
	asm.GLOBL(name, rodata)
	for i, b := range bs {
		asm.DATA(i, op.U8(b))
	}
}

// sym returns the memory of a constant.
func sym(name string, disp int) op.Mem {
	return op.NewDataAddr(op.NewStaticSymbol(name), disp)
}

// at returns the memory at p+disp.
func at(p reg.Register, disp int) op.Mem { return op.Mem{Base: p, Disp: disp} }

func loadZ(name string) reg.VecVirtual {
	z := asm.ZMM()
	asm.VMOVDQU64(sym(name, 0), z)
	return z
}

func broadcastZ(name string) reg.VecVirtual {
	z := asm.ZMM()
	asm.VPBROADCASTD(sym(name, 0), z)
	return z
}

func broadcastY(name string) reg.VecVirtual {
	y := asm.YMM()
	asm.VPBROADCASTD(sym(name, 0), y)
	return y
}

func gp(name string) reg.GPVirtual { return asm.Load(asm.Param(name), asm.GP64()).(reg.GPVirtual) }

// begin starts a kernel that the compiler knows to keep no pointers.
func begin(name, signature string, doc ...string) {
	asm.TEXT(name, 4 /* NOSPLIT */, signature)
	asm.Doc(append([]string{name + " " + doc[0]}, doc[1:]...)...)
	asm.Pragma("noescape")
}

func end() {
	asm.VZEROUPPER()
	asm.RET()
}

// quad is the loop over four weight rows at a time that the mat-vec kernels share.
type quad struct {
	out, w, stride, stride3, count, blocks, act reg.GPVirtual
	x, y, n                                     reg.GPVirtual // current block of row 0, of the activations, blocks left
	ahead                                       reg.GPVirtual // what to fetch next, in the order of memory

	cols         int           // columns of activations that meet each block
	step1, step3 reg.GPVirtual // from a column to the next, and to the third after it
	accs         []reg.VecVirtual
}

// farBytes and nearBytes are how far before their use the kernels fetch weights, into the second cache and from there
// into the first. Four rows at once are four streams, each of which ends after a few lines: the processor itself does
// not see that they follow one another in memory. The first cache alone has too few fetches under way to fill the
// latency of memory.
const (
	farBytes  = 16384
	nearBytes = 2048
)

// fetch fetches part i of parts of the size bytes of weights that a step reads, for a pointer that is farBytes ahead.
// The parts lie between other instructions: many fetches in a row hold up the loads that follow them.
func fetch(ahead reg.GPVirtual, size, i, parts int) {
	lines := (size + 63) / 64
	for l := lines * i / parts; l < lines*(i+1)/parts; l++ {
		asm.PREFETCHT1(at(ahead, 64*l))
		asm.PREFETCHT0(at(ahead, 64*l-farBytes+nearBytes))
	}
}

const dotSignature = "func(out *float32, w *byte, rowBytes, quads, blocks int, act *byte)"

const columnsSignature = "func(out *float32, outBytes int, w *byte, rowBytes, quads, blocks int, act *byte, actBytes int)"

func beginQuads(name, doc string) quad { return beginColumns(name, doc, 1) }

// beginColumns starts a kernel for one column of activations, or two or four at once.
func beginColumns(name, doc string, cols int) quad {
	about := []string{doc, "for 4*quads rows of rowBytes bytes, each of blocks blocks (groups of four for types with blocks of 32)."}
	signature := dotSignature
	if cols > 1 {
		signature = columnsSignature
		about = append(about, fmt.Sprintf("There are %d columns, actBytes apart; results of a column are outBytes bytes from those of the next.", cols))
	}
	begin(name, signature, append(about, "Both counts are at least 1.")...)
	q := quad{out: gp("out"), w: gp("w"), stride: gp("rowBytes"), count: gp("quads"), blocks: gp("blocks"), act: gp("act"), cols: cols}
	q.stride3 = asm.GP64()
	asm.LEAQ(op.Mem{Base: q.stride, Index: q.stride, Scale: 2}, q.stride3)
	q.ahead = asm.GP64()
	asm.LEAQ(at(q.w, farBytes), q.ahead)
	q.columnSteps()
	return q
}

// columnSteps sets up what column needs.
func (q *quad) columnSteps() {
	if q.cols > 1 {
		q.step1 = gp("actBytes")
	}
	if q.cols > 3 {
		q.step3 = asm.GP64()
		asm.LEAQ(op.Mem{Base: q.step1, Index: q.step1, Scale: 2}, q.step3)
	}
}

// addTimes adds x times the scale at disp of the activations, each step rounded, to the results of column c.
func (q *quad) addTimes(c int, x reg.VecVirtual, disp int) {
	if x.Size() == 64 {
		asm.VMULPS_BCST(q.column(c, disp), x, x)
	} else {
		dy := asm.XMM()
		asm.VBROADCASTSS(q.column(c, disp), dy)
		asm.VMULPS(dy, x, x)
	}
	asm.VADDPS(x, q.accs[c], q.accs[c])
}

// addSymmetric adds d*sum, times the scale at disp of the activations, each step rounded, to the results of column c.
func (q *quad) addSymmetric(c int, sum, d reg.VecVirtual, disp int) {
	asm.VCVTDQ2PS(sum, sum)
	asm.VMULPS(d, sum, sum)
	q.addTimes(c, sum, disp)
}

// dotCols are the numbers of columns for which there are kernels on integers.
var dotCols = []int{1, 2, 4}

// times is the part of a kernel's name that says its columns.
func times(cols int) string {
	if cols == 1 {
		return ""
	}
	return fmt.Sprintf("x%d", cols)
}

// column returns the memory at disp of the current block of activations of column c.
func (q *quad) column(c, disp int) op.Mem {
	switch c {
	case 0:
		return op.Mem{Base: q.y, Disp: disp}
	case 3:
		return op.Mem{Base: q.y, Index: q.step3, Scale: 1, Disp: disp}
	}
	return op.Mem{Base: q.y, Index: q.step1, Scale: uint8(c), Disp: disp}
}

// startRows starts the loops over rows and over blocks.
func (q *quad) startRows() {
	asm.Label("rows")
	q.x, q.y, q.n = asm.GP64(), asm.GP64(), asm.GP64()
	asm.MOVQ(q.w, q.x)
	asm.MOVQ(q.act, q.y)
	asm.MOVQ(q.blocks, q.n)
	q.accs = nil
	for range q.cols {
		acc := asm.XMM()
		asm.VXORPS(acc, acc, acc)
		q.accs = append(q.accs, acc)
	}
	asm.Label("block")
}

// row returns the memory at disp of the current block of row r.
func (q *quad) row(r, disp int) op.Mem {
	switch r {
	case 0:
		return op.Mem{Base: q.x, Disp: disp}
	case 3:
		return op.Mem{Base: q.x, Index: q.stride3, Scale: 1, Disp: disp}
	}
	return op.Mem{Base: q.x, Index: q.stride, Scale: uint8(r), Disp: disp}
}

func (q *quad) endBlock(xBytes, yBytes int) {
	asm.ADDQ(op.U32(uint32(4*xBytes)), q.ahead)
	asm.ADDQ(op.U32(uint32(xBytes)), q.x)
	asm.ADDQ(op.U32(uint32(yBytes)), q.y)
	asm.DECQ(q.n)
	asm.JNZ(op.LabelRef("block"))
}

func (q *quad) endRows() {
	asm.VMOVUPS(q.accs[0], at(q.out, 0))
	if q.cols > 1 {
		to := asm.GP64()
		asm.MOVQ(q.out, to)
		step, err := asm.Param("outBytes").Resolve()
		if err != nil {
			panic(err)
		}
		for _, acc := range q.accs[1:] {
			asm.ADDQ(step.Addr, to)
			asm.VMOVUPS(acc, at(to, 0))
		}
	}
	asm.ADDQ(op.Imm(16), q.out)
	asm.LEAQ(op.Mem{Base: q.w, Index: q.stride, Scale: 4}, q.w)
	asm.DECQ(q.count)
	asm.JNZ(op.LabelRef("rows"))
	end()
}

// pairZ returns sums of two dwords of each 128-bit lane of p and q, by turns, and overwrites both.
func pairZ(p, q reg.VecVirtual) reg.VecVirtual {
	lo := asm.ZMM()
	asm.VPUNPCKLDQ(q, p, lo)
	asm.VPUNPCKHDQ(q, p, p)
	asm.VPADDD(p, lo, lo)
	return lo
}

// lanes4Z returns, in each 128-bit lane, the sums over the lane's four dwords of a, b, c and d, which it overwrites.
func lanes4Z(a, b, c, d reg.VecVirtual) reg.VecVirtual { return lanesZ(pairZ(a, b), pairZ(c, d)) }

// lanesZ is lanes4Z of two pairs.
func lanesZ(ab, cd reg.VecVirtual) reg.VecVirtual {
	s := asm.ZMM()
	asm.VPUNPCKLQDQ(cd, ab, s)
	asm.VPUNPCKHQDQ(cd, ab, ab)
	asm.VPADDD(ab, s, s)
	return s
}

// sum4Z returns the sums of all dwords of a, b, c and d in one xmm.
func sum4Z(a, b, c, d reg.VecVirtual) reg.VecVirtual { return sumLanes(lanes4Z(a, b, c, d)) }

// sumLanes returns the sums of what the 128-bit lanes of s have at the same place.
func sumLanes(s reg.VecVirtual) reg.VecVirtual {
	h := asm.YMM()
	asm.VEXTRACTI64X4(op.Imm(1), s, h)
	asm.VPADDD(h, s.AsY(), h)
	x := asm.XMM()
	asm.VEXTRACTI32X4(op.Imm(1), h, x)
	asm.VPADDD(x, h.AsX(), x)
	return x
}

// foldY adds the upper half of the dwords of y, a register below 16, to the lower.
func foldY(y reg.VecVirtual) reg.VecVirtual {
	h := asm.XMM()
	asm.VEXTRACTI128(op.Imm(1), y, h)
	asm.VPADDD(h, y.AsX(), h)
	return h
}

// hadd4 returns the sums of the four dwords of each 128-bit lane of a, b, c and d, registers below 16.
func hadd4(a, b, c, d reg.VecVirtual) reg.VecVirtual {
	asm.VPHADDD(b, a, a)
	asm.VPHADDD(d, c, c)
	asm.VPHADDD(c, a, a)
	return a
}

// scales4 loads the float16 d at disp of the current block of four rows.
func (q *quad) scales4(disp int) reg.VecVirtual {
	d := asm.XMM()
	w := asm.GP32()
	asm.MOVWLZX(q.row(0, disp), w)
	asm.VMOVD(w, d)
	for r := 1; r < 4; r++ {
		asm.VPINSRW(op.Imm(uint64(r)), q.row(r, disp), d, d)
	}
	asm.VCVTPH2PS(d, d)
	return d
}

// prefetch is the kernel for memory that is read soon, but not by the next instructions: the second cache is its place.
func prefetch() {
	begin("prefetch", "func(p *byte, lines int)", "asks for cache lines, at least 1, to be in the second cache.")
	p, n := gp("p"), gp("lines")
	asm.Label("line")
	asm.PREFETCHT1(at(p, 0))
	asm.ADDQ(op.Imm(64), p)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("line"))
	asm.RET()
}

func pause() {
	begin("pause", "func(n int)", "tells the processor n times that a loop is waiting.")
	n := gp("n")
	asm.Label("again")
	asm.PAUSE()
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("again"))
	asm.RET()
}
