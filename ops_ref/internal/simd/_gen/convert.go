package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// convert writes the conversions of types with blocks of 32, a float16 scale and no minimum to Q8_0.
func convert() {
	const signature = "func(dst, src *byte, blocks int)"
	even("eight8", 8)
	even("low4y", 0x0f)
	even("high4y", 0xf0)
	// Q5_0: byte i of the result takes byte i/8 of the bits, of which it tests bit i%8.
	var spread, test []byte
	for i := range 32 {
		spread = append(spread, byte(i/8))
		test = append(test, ^byte(1<<(i%8)))
	}
	bytes("bitSpread", spread)
	bytes("bitTest", test)
	table := []int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	var nl []byte
	for i := range 32 {
		nl = append(nl, byte(table[i%16]))
	}
	bytes("iq4Values", nl)
	even("ones8", 0xff)
	var fp4 []byte
	for i := range 32 {
		fp4 = append(fp4, byte([]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}[i%16]))
	}
	bytes("fp4Values", fp4)

	for _, c := range []struct {
		name     string
		qs, size int
		codes    func(q ymm, src reg.GPVirtual) ymm
	}{
		{"Q4_0", 2, 18, func(q ymm, _ reg.GPVirtual) ymm {
			asm.VPSUBB(sym("eight8", 0), q, q)
			return q
		}},
		{"Q5_0", 6, 22, func(q ymm, src reg.GPVirtual) ymm {
			b := asm.YMM()
			asm.VPBROADCASTD(at(src, 2), b)
			asm.VPSHUFB(sym("bitSpread", 0), b, b)
			asm.VPOR(sym("bitTest", 0), b, b)
			asm.VPCMPEQB(sym("ones8", 0), b, b) // all ones where the bit is set
			// q - 16 without the bit: the upper nibble of the byte is all ones; with it, it is zero.
			asm.VPANDN(sym("high4y", 0), b, b)
			asm.VPOR(b, q, q)
			return q
		}},
		{"MXFP4", 1, 17, func(q ymm, _ reg.GPVirtual) ymm {
			t := asm.YMM()
			asm.VMOVDQU(sym("fp4Values", 0), t)
			asm.VPSHUFB(q, t, t)
			return t
		}},
		{"IQ4_NL", 2, 18, func(q ymm, _ reg.GPVirtual) ymm {
			t := asm.YMM()
			asm.VMOVDQU(sym("iq4Values", 0), t)
			asm.VPSHUFB(q, t, t)
			return t
		}},
	} {
		begin("convert"+c.name+"AVX2", signature, "is convertBlock for blocks blocks of "+c.name+", at least 1, but for the scales of MXFP4.")
		dst, src, n := gp("dst"), gp("src"), gp("blocks")
		asm.Label("block")
		asm.PREFETCHT1(at(src, farBytes))
		asm.PREFETCHT0(at(src, nearBytes))
		q, hi, d := asm.YMM(), asm.XMM(), asm.GP32()
		asm.VMOVDQU(at(src, c.qs), q.AsX())
		asm.VPSRLW(op.Imm(4), q.AsX(), hi)
		asm.VINSERTI128(op.Imm(1), hi, q, q)
		asm.VPAND(sym("low4y", 0), q, q)
		asm.MOVWLZX(at(src, 0), d)
		asm.MOVW(d.As16(), at(dst, 0))
		asm.VMOVDQU(c.codes(q, src), at(dst, 2))
		asm.ADDQ(op.Imm(uint64(c.size)), src)
		asm.ADDQ(op.Imm(34), dst)
		asm.DECQ(n)
		asm.JNZ(op.LabelRef("block"))
		end()
	}
}

// expand writes the step from codes and scales to float32.
func expand() {
	begin("expandAVX2", "func(dst *float32, codes *byte, subs int, steps, mins *float32)",
		"is expand for subs sub-blocks, at least 1.")
	dst, codes, n, steps, mins := gp("dst"), gp("codes"), gp("subs"), gp("steps"), gp("mins")
	asm.Label("sub")
	step, least := asm.YMM(), asm.YMM()
	asm.VBROADCASTSS(at(steps, 0), step)
	asm.VBROADCASTSS(at(mins, 0), least)
	for h := range 2 {
		y := asm.YMM()
		asm.VPMOVZXBD(at(codes, 8*h), y)
		asm.VCVTDQ2PS(y, y)
		asm.VMULPS(step, y, y)
		asm.VADDPS(least, y, y)
		asm.VMOVUPS(y, at(dst, 32*h))
	}
	asm.ADDQ(op.Imm(64), dst)
	asm.ADDQ(op.Imm(16), codes)
	asm.ADDQ(op.Imm(4), steps)
	asm.ADDQ(op.Imm(4), mins)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("sub"))
	end()
}
