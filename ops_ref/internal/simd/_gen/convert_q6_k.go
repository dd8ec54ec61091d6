package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The layout of a block of Q6_K, see dot_q6_k.go of package simd.
const (
	q6KHigh   = 128
	q6KScales = 192
	q6KD      = 208
	q6KSize   = 210
)

// even writes a constant of 32 times the same byte.
func even(name string, b byte) {
	bs := make([]byte, 32)
	for i := range bs {
		bs[i] = b
	}
	bytes(name, bs)
}

// convertQ6KConstants writes the constants of conversions to Q6_K.
func convertQ6KConstants() {
	even("two2", 0x03)
	even("third", 0x04)
	even("bits45", 0x30)
	even("twentyEight", 28)
	even("thirtyTwo", 32)
	dwords("crumbShifts", []uint32{0, 2, 4, 6})
	dwords("bitShifts", []uint32{0, 1, 2, 3, 4, 5, 6, 7})
	dwords("bit0", []uint32{1, 1, 1, 1, 1, 1, 1, 1})
	var twice []byte // byte i/4 of four
	for i := range 16 {
		twice = append(twice, byte(i/4))
	}
	bytes("fourTimes", twice)
	dwords("upperPairs", []uint32{0xffff0000, 0xffff0000, 0xffff0000, 0xffff0000})
}

// three is op.Op of a two-operand vector instruction into a new vector of 32 bytes.
func three(f func(a, b, to op.Op), a op.Op, b ymm) ymm {
	to := asm.YMM()
	f(a, b, to)
	return to
}

func and(a op.Op, b ymm) ymm  { return three(func(x, y, z op.Op) { asm.VPAND(x, y, z) }, a, b) }
func or(a op.Op, b ymm) ymm   { return three(func(x, y, z op.Op) { asm.VPOR(x, y, z) }, a, b) }
func addB(a op.Op, b ymm) ymm { return three(func(x, y, z op.Op) { asm.VPADDB(x, y, z) }, a, b) }

// shift moves the bits of words by n to the left, or by -n to the right.
func shift(x ymm, n int) ymm {
	to := asm.YMM()
	switch {
	case n > 0:
		asm.VPSLLW(op.Imm(uint64(n)), x, to)
	case n < 0:
		asm.VPSRLW(op.Imm(uint64(-n)), x, to)
	default:
		return x
	}
	return to
}

// sixBitCodes writes half n of a block: four runs of 32 codes of 6 bits.
func sixBitCodes(dst reg.GPVirtual, n int, c [4]ymm) {
	low := sym("low4y", 0)
	for i := range 2 {
		asm.VMOVDQU(or(and(low, c[i]), shift(and(low, c[2+i]), 4)), at(dst, 64*n+32*i))
	}
	two := sym("two2", 0)
	qh := and(two, shift(c[0], -4))
	for t := 1; t < 4; t++ {
		qh = or(qh, shift(and(two, shift(c[t], -4)), 2*t))
	}
	asm.VMOVDQU(qh, at(dst, q6KHigh+32*n))
}

// beginConvert starts a loop over blocks.
func beginConvert(name, signature string) (dst, src, n reg.GPVirtual) {
	begin("convert"+name+"AVX2", signature, "is convert"+name+" for blocks blocks, at least 1.")
	dst, src, n = gp("dst"), gp("src"), gp("blocks")
	return dst, src, n
}

func endConvert(dst, src, n reg.GPVirtual, size int) {
	asm.ADDQ(op.Imm(uint64(size)), src)
	asm.ADDQ(op.U32(q6KSize), dst)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("block"))
	end()
}

// convertQ3K writes the conversion of Q3_K.
func convertQ3K() {
	dst, src, n := beginConvert("Q3K", "func(dst, src *byte, blocks int)")
	asm.Label("block")
	mask := asm.YMM()
	asm.VMOVDQU(at(src, 0), mask)
	for half := range 2 {
		qs := asm.YMM()
		asm.VMOVDQU(at(src, 32+32*half), qs)
		var c [4]ymm
		for t := range c {
			high := and(sym("third", 0), shift(mask, 2-(4*half+t)))
			c[t] = addB(sym("twentyEight", 0), or(high, and(sym("two2", 0), shift(qs, -2*t))))
		}
		sixBitCodes(dst, half, c)
	}
	asm.VMOVDQU(scalesQ3K(func(disp int) op.Mem { return at(src, disp) }), at(dst, q6KScales))
	d := asm.GP32()
	asm.MOVWLZX(at(src, 108), d)
	asm.MOVW(d.As16(), at(dst, q6KD))
	endConvert(dst, src, n, 110)
}

// convertIQ3S writes the conversion of IQ3_S.
func convertIQ3S() {
	dst, src, n := beginConvert("IQ3S", "func(dst, src *byte, blocks int, grid *uint32)")
	grid := gp("grid")
	asm.Label("block")
	for half := range 2 {
		var c [4]ymm
		for t := range c {
			sub := 4*half + t
			index, high, all, points := asm.YMM(), asm.YMM(), asm.YMM(), asm.YMM()
			asm.VPMOVZXBD(at(src, 2+8*sub), index)
			asm.VPBROADCASTB(at(src, 66+sub), high)
			asm.VPSRLVD(sym("bitShifts", 0), high, high)
			high = and(sym("bit0", 0), high)
			asm.VPSLLD(op.Imm(8), high, high)
			asm.VPOR(high, index, index)
			asm.VPCMPEQD(all, all, all)
			asm.VPXOR(points, points, points)
			asm.VPGATHERDD(all, op.Mem{Base: grid, Index: index, Scale: 4}, points)
			signs := asm.YMM()
			asm.VPBROADCASTD(at(src, 74+4*sub), signs)
			asm.VPSHUFB(sym("bitSpread", 0), signs, signs)
			asm.VPOR(sym("bitTest", 0), signs, signs)
			asm.VPCMPEQB(sym("ones8", 0), signs, signs) // all ones where the bit is set
			asm.VPXOR(signs, points, points)
			asm.VPSUBB(signs, points, points)
			c[t] = addB(sym("thirtyTwo", 0), points)
		}
		sixBitCodes(dst, half, c)
	}
	low, up := asm.XMM(), asm.XMM()
	asm.VPBROADCASTD(at(src, 106), low)
	asm.VPSHUFB(sym("fourTimes", 0), low, low)
	asm.VPSRLW(op.Imm(4), low, up)
	// Sub-blocks of 32 have two scales of Q6_K each: low nibbles twice, high nibbles twice.
	asm.VPAND(sym("upperPairs", 0), up, up)
	mask := asm.XMM()
	asm.VMOVDQU(sym("upperPairs", 0), mask)
	asm.VPANDN(low, mask, low)
	asm.VPOR(up, low, low)
	asm.VPAND(sym("low4y", 0), low, low)
	asm.VPADDB(low, low, low)
	asm.VPSUBB(sym("ones8", 0), low, low)
	asm.VMOVDQU(low, at(dst, q6KScales))
	d := asm.GP32()
	asm.MOVWLZX(at(src, 0), d)
	asm.MOVW(d.As16(), at(dst, q6KD))
	endConvert(dst, src, n, 110)
}
