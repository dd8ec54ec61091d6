package main

import (
	"fmt"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Conversions of types with blocks of 256 to Codes.

// even writes a constant of 32 times the same byte.
func even(name string, b byte) {
	bs := make([]byte, 32)
	for i := range bs {
		bs[i] = b
	}
	bytes(name, bs)
}

// sameWords writes a constant of 32 times the same word.
func sameWords(name string, w uint16) {
	ws := make([]uint16, 32)
	for i := range ws {
		ws[i] = w
	}
	words(name, ws)
}

// codesConstants writes the constants of conversions to Codes.
func codesConstants() {
	even("two2", 0x03)
	even("third", 0x04)
	even("bits45", 0x30)
	even("bias4", 128-4)
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
	var up, both []uint16 // bits 2s and 2s+1 to the top; to bits 4 and 5 of both bytes
	for s := range 8 {
		up, both = append(up, 1<<(14-2*s)), append(both, 0x1010)
	}
	words("iq4Up", up)
	words("iq4Both", both)
	var values []byte
	for i := range 64 {
		values = append(values, byte([]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}[i%16])^0x80)
	}
	bytes("iq4Codes", values)
	var lanes []uint32
	var shifts []uint16
	for l := range 16 {
		lanes = append(lanes, uint32([]int{0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7}[l]))
	}
	for l := range 32 {
		shifts = append(shifts, uint16(l/8%2*4))
	}
	dwords("lanesTwice", lanes)
	words("nibbleLanes", shifts)
	dwords("bias1", []uint32{0x7f7f7f7f})
	dwords("ones4", []uint32{0x01010101})
	for n, p := range []uint16{1, 3, 9, 27, 81} {
		sameWords(fmt.Sprintf("pow3x%d", n), p)
	}
	var pows []uint16
	for i := range 16 {
		pows = append(pows, []uint16{1, 3, 9, 27}[i/4])
	}
	words("pow3s", pows)
	sameWords("lowBytes", 0xff)
	sameWords("threes", 3)
	sameWords("words127", 127)
}

// conversion is the loop over blocks of a kernel.
type conversion struct {
	dst, src, n reg.GPVirtual
	size        int // bytes of a block
}

// beginConversion starts a kernel; block opens its loop.
func beginConversion(name, level, more string, size int) *conversion {
	begin("convert"+name+level, "func(dst, src *byte, blocks int"+more+")", "is convertCodes for blocks blocks of "+name+", at least 1.")
	return &conversion{gp("dst"), gp("src"), gp("blocks"), size}
}

// block opens the loop and fetches what follows: for a single token, memory is what rows wait for.
func (c *conversion) block() {
	asm.Label("block")
	for l := 0; l < c.size; l += 64 {
		asm.PREFETCHT1(at(c.src, farBytes+l))
		asm.PREFETCHT0(at(c.src, nearBytes+l))
	}
}

// d writes the float16 at disp of the block as the block's scale, times the constant of that name if there is one.
func (c *conversion) d(disp int, factor string) {
	w := asm.GP32()
	asm.MOVWLZX(at(c.src, disp), w)
	c.scale(w, factor)
}

func (c *conversion) scale(half reg.Register, factor string) {
	d := asm.XMM()
	asm.VMOVD(half, d)
	asm.VCVTPH2PS(d, d)
	if factor != "" {
		asm.VMULSS(sym(factor, 0), d, d)
	}
	asm.VMOVSS(d, at(c.dst, codesD))
}

func (c *conversion) end() {
	asm.ADDQ(op.Imm(uint64(c.size)), c.src)
	asm.ADDQ(op.U32(codesSize), c.dst)
	asm.DECQ(c.n)
	asm.JNZ(op.LabelRef("block"))
	end()
}

// op3 is a three-operand vector instruction.
type op3 func(a, b, to op.Op)

var (
	andY op3 = func(a, b, to op.Op) { asm.VPAND(a, b, to) }
	orY  op3 = func(a, b, to op.Op) { asm.VPOR(a, b, to) }
	addY op3 = func(a, b, to op.Op) { asm.VPADDB(a, b, to) }
)

// y is f of a and b in a new vector of 32 bytes.
func (f op3) y(a op.Op, b reg.VecVirtual) reg.VecVirtual {
	to := asm.YMM()
	f(a, b, to)
	return to
}

// shiftY moves the bits of words by n to the left, or by -n to the right.
func shiftY(x reg.VecVirtual, n int) reg.VecVirtual {
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

// nibblePairs returns the eight nibbles of m, each twice, as bytes.
func nibblePairs(m op.Mem) reg.VecVirtual {
	low, up, mask := asm.XMM(), asm.XMM(), asm.XMM()
	asm.VPBROADCASTD(m, low)
	asm.VPSHUFB(sym("fourTimes", 0), low, low)
	asm.VPSRLW(op.Imm(4), low, up)
	asm.VPAND(sym("upperPairs", 0), up, up)
	asm.VMOVDQU(sym("upperPairs", 0), mask)
	asm.VPANDN(low, mask, low)
	asm.VPOR(up, low, low)
	asm.VPAND(sym("low4y", 0), low, low)
	return low
}

// odd writes 1+2x, where x are sixteen bytes, as scales.
func (c *conversion) odd(x reg.VecVirtual) {
	asm.VPADDB(x, x, x)
	asm.VPSUBB(sym("ones8", 0), x, x)
	asm.VMOVDQU(x, at(c.dst, codesScale))
}

// scalesIQ4XS returns the scales of the block of which m gives the bytes, as bytes.
func scalesIQ4XS(m func(disp int) op.Mem) reg.VecVirtual {
	low, high := nibblePairs(m(4)), asm.XMM()
	asm.VPBROADCASTW(m(2), high)
	asm.VPMULLW(sym("iq4Up", 0), high, high)
	asm.VPSRLW(op.Imm(14), high, high)
	asm.VPMULLW(sym("iq4Both", 0), high, high)
	asm.VPOR(high, low, low)
	asm.VPSUBB(sym("thirtyTwo", 0), low, low)
	return low
}

// inBlock returns the memory of the block from start on.
func (c *conversion) inBlock(start int) func(disp int) op.Mem {
	return func(disp int) op.Mem { return at(c.src, start+disp) }
}

// convertCodesAVX2 writes the conversions that level has.
func convertCodesAVX2() {
	c := beginConversion("Q3K", "AVX2", "", 110)
	c.block()
	mask := asm.YMM()
	asm.VMOVDQU(at(c.src, 0), mask)
	for half := range 2 {
		qs := asm.YMM()
		asm.VMOVDQU(at(c.src, 32+32*half), qs)
		for t := range 4 {
			high := andY.y(sym("third", 0), shiftY(mask, 2-(4*half+t)))
			code := orY.y(high, andY.y(sym("two2", 0), shiftY(qs, -2*t)))
			asm.VMOVDQU(addY.y(sym("bias4", 0), code), at(c.dst, 128*half+32*t))
		}
	}
	asm.VMOVDQU(scalesQ3K(c.inBlock(0)), at(c.dst, codesScale))
	c.d(108, "")
	c.end()

	c = beginConversion("IQ4XS", "AVX2", "", 136)
	values := asm.YMM()
	asm.VMOVDQU(sym("iq4Codes", 0), values)
	c.block()
	for s := range 8 {
		q, hi := asm.YMM(), asm.XMM()
		asm.VMOVDQU(at(c.src, 8+16*s), q.AsX())
		asm.VPSRLW(op.Imm(4), q.AsX(), hi)
		asm.VINSERTI128(op.Imm(1), hi, q, q)
		asm.VPAND(sym("low4y", 0), q, q)
		asm.VPSHUFB(q, values, q)
		asm.VMOVDQU(q, at(c.dst, 32*s))
	}
	asm.VMOVDQU(scalesIQ4XS(c.inBlock(0)), at(c.dst, codesScale))
	c.d(0, "")
	c.end()

	c = beginConversion("IQ3S", "AVX2", ", points *uint64", 110)
	points := gp("points")
	c.block()
	for s := range 8 {
		index, high, all, codes := asm.YMM(), asm.YMM(), asm.YMM(), asm.YMM()
		asm.VPMOVZXBD(at(c.src, 2+8*s), index)
		asm.VPBROADCASTB(at(c.src, 66+s), high)
		asm.VPSRLVD(sym("bitShifts", 0), high, high)
		asm.VPAND(sym("bit0", 0), high, high)
		asm.VPSLLD(op.Imm(8), high, high)
		asm.VPOR(high, index, index)
		asm.VPCMPEQD(all, all, all)
		asm.VPXOR(codes, codes, codes)
		asm.VPGATHERDD(all, op.Mem{Base: points, Index: index, Scale: 8}, codes)
		signs := asm.YMM()
		asm.VPBROADCASTD(at(c.src, 74+4*s), signs)
		asm.VPSHUFB(sym("bitSpread", 0), signs, signs)
		asm.VPOR(sym("bitTest", 0), signs, signs)
		asm.VPCMPEQB(sym("ones8", 0), signs, signs) // all ones where the bit is set
		asm.VPXOR(signs, codes, codes)
		asm.VPSUBB(signs, codes, codes)
		asm.VMOVDQU(codes, at(c.dst, 32*s))
	}
	c.odd(nibblePairs(at(c.src, 106)))
	c.d(0, "")
	c.end()
}

// convertCodesAVX512 writes the conversions of types without a grid.
func convertCodesAVX512() {
	c := beginConversion("Q3K", "AVX512", "", 110)
	four, least, two := broadcastZ("fours"), broadcastZ("bias4"), broadcastZ(low2)
	c.block()
	mask := asm.ZMM()
	asm.VBROADCASTI64X4(at(c.src, 0), mask)
	for half := range 2 {
		qs := asm.ZMM()
		asm.VBROADCASTI64X4(at(c.src, 32+32*half), qs)
		for p := range 2 {
			z, k := asm.ZMM(), asm.K()
			asm.VPSRLVW(sym(fmt.Sprintf("q3Crumbs%d", p), 0), qs, z)
			asm.VPANDD(two, z, z)
			asm.VPADDB(least, z, z)
			asm.VPTESTMB(sym(fmt.Sprintf("q3Mask%d", 2*half+p), 0), mask, k)
			asm.VPADDB(four, z, k, z)
			asm.VMOVDQU64(z, at(c.dst, 128*half+64*p))
		}
	}
	asm.VMOVDQU(scalesQ3K(c.inBlock(0)), at(c.dst, codesScale))
	c.d(108, "")
	c.end()

	c = beginConversion("IQ4XS", "AVX512", "", 136)
	values, lanes, shifts, low := loadZ("iq4Codes"), loadZ("lanesTwice"), loadZ("nibbleLanes"), broadcastZ(nibbles)
	c.block()
	for i := range 4 {
		z := asm.ZMM()
		asm.VMOVDQU(at(c.src, 8+32*i), z.AsY())
		asm.VPERMD(z, lanes, z)
		asm.VPSRLVW(shifts, z, z)
		asm.VPANDD(low, z, z)
		asm.VPSHUFB(z, values, z)
		asm.VMOVDQU64(z, at(c.dst, 64*i))
	}
	asm.VMOVDQU(scalesIQ4XS(c.inBlock(0)), at(c.dst, codesScale))
	c.d(0, "")
	c.end()

	c = beginConversion("TQ2_0", "AVX512", "", 66)
	two, least = broadcastZ(low2), broadcastZ("bias1")
	one := asm.XMM()
	asm.VPBROADCASTD(sym("ones4", 0), one)
	c.block()
	for half := range 2 {
		qs := asm.ZMM()
		asm.VBROADCASTI64X4(at(c.src, 32*half), qs)
		for p := range 2 {
			z := asm.ZMM()
			asm.VPSRLVW(sym(fmt.Sprintf("q3Crumbs%d", p), 0), qs, z)
			asm.VPANDD(two, z, z)
			asm.VPADDB(least, z, z)
			asm.VMOVDQU64(z, at(c.dst, 128*half+64*p))
		}
	}
	asm.VMOVDQU(one, at(c.dst, codesScale))
	c.d(64, "")
	c.end()

	c = beginConversion("TQ1_0", "AVX512", "", 54)
	lows, threes, bias := loadZ("lowBytes"), loadZ("threes"), loadZ("words127")
	one = asm.XMM()
	asm.VPBROADCASTD(sym("ones4", 0), one)
	c.block()
	// trits writes the first trits of n bytes, in the words of x, times the powers of pow.
	trits := func(x, pow reg.VecVirtual, n int, to op.Mem) {
		z := asm.ZMM()
		asm.VPMULLW(pow, x, z)
		asm.VPANDD(lows, z, z)
		asm.VPMULLW(threes, z, z)
		asm.VPSRLW(op.Imm(8), z, z)
		asm.VPADDW(bias, z, z)
		if n == 32 {
			asm.VPMOVWB(z, to)
		} else {
			asm.VPMOVWB(z.AsY(), to)
		}
	}
	x, y := asm.ZMM(), asm.ZMM()
	asm.VPMOVZXBW(at(c.src, 0), x)
	asm.VPMOVZXBW(at(c.src, 32), y.AsY())
	for n := range 5 {
		pow := loadZ(fmt.Sprintf("pow3x%d", n))
		trits(x, pow, 32, at(c.dst, 32*n))
		trits(y, pow, 16, at(c.dst, 160+16*n))
	}
	last, pows := asm.ZMM(), asm.ZMM()
	asm.VPBROADCASTD(at(c.src, 48), last.AsX())
	asm.VPMOVZXBW(last.AsX(), last.AsY())
	asm.VMOVDQU(sym("pow3s", 0), pows.AsY())
	trits(last, pows, 16, at(c.dst, 240))
	asm.VMOVDQU(one, at(c.dst, codesScale))
	c.d(52, "")
	c.end()
}
