package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemm is a tile of 32 rows by 6 columns. Registers are given out by hand: 24 of them are accumulators.
type gemm struct {
	blocks, w, a, out, outBytes reg.Register
	ws, as, sc, n, o            reg.Register
	from, fromBytes, i          reg.Register // where sums so far are, and o's place there
}

var zregs = []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11,
	reg.Z12, reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25,
	reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31}

// isum is the sum of integers of 16 rows (half h) and column c, fsum what they add up to.
func isum(h, c int) reg.VecPhysical { return zregs[h*tileColumns+c] }
func fsum(h, c int) reg.VecPhysical { return zregs[12+h*tileColumns+c] }

func beginGemm(name, doc string) gemm {
	begin(name, "func(blocks int, w, a *byte, out *float32, outBytes, set int)", doc,
		"for the products of blocks blocks of 32 rows and 6 columns, added to out, or written there if set is not 0. Columns",
		"of out are outBytes apart.")
	g := gemm{blocks: reg.RAX, w: reg.RSI, a: reg.RDI, out: reg.RDX, outBytes: reg.RCX,
		ws: reg.R9, as: reg.R10, sc: reg.R11, n: reg.R12, o: reg.R8, from: reg.RBX, fromBytes: reg.R14, i: reg.R15}
	asm.Load(asm.Param("blocks"), g.blocks)
	asm.Load(asm.Param("w"), g.w)
	asm.Load(asm.Param("a"), g.a)
	asm.Load(asm.Param("out"), g.out)
	asm.Load(asm.Param("outBytes"), g.outBytes)
	g.fromOut()
	asm.Load(asm.Param("set"), g.n)
	asm.TESTQ(g.n, g.n)
	asm.JZ(op.LabelRef("block"))
	asm.LEAQ(sym("noSums", 0), g.from)
	asm.XORQ(g.fromBytes, g.fromBytes)
	return g
}

// fromOut makes out the sums so far.
func (g *gemm) fromOut() {
	asm.MOVQ(g.out, g.from)
	asm.MOVQ(g.outBytes, g.fromBytes)
}

// steps adds the products of 4*n elements to the sums of integers.
func (g *gemm) steps(n int) {
	w0, w1 := zregs[24], zregs[25]
	for k := range n {
		asm.VMOVDQU64(at(g.ws, k*rowStep), w0)
		asm.VMOVDQU64(at(g.ws, k*rowStep+halfStep), w1)
		for c := range tileColumns {
			b := zregs[26+c%4]
			asm.VPBROADCASTD(at(g.as, k*columnStep+4*c), b)
			asm.VPDPBUSD(b, w0, isum(0, c))
			asm.VPDPBUSD(b, w1, isum(1, c))
		}
	}
}

// zero clears sums.
func zero(sum func(h, c int) reg.VecPhysical) {
	for h := range 2 {
		for c := range tileColumns {
			asm.VPXORD(sum(h, c), sum(h, c), sum(h, c))
		}
	}
}

// startAt sets the sums of integers of each column to the dword at disp of it.
func (g *gemm) startAt(base reg.Register, disp int) {
	for c := range tileColumns {
		asm.VPBROADCASTD(at(base, disp+4*c), isum(0, c))
		asm.VMOVDQA64(isum(0, c), isum(1, c))
	}
}

// scaled adds the sums of integers times the scales at g.sc to the integer totals.
func (g *gemm) scaled() {
	for h := range 2 {
		for c := range tileColumns {
			asm.VPMULLD(at(g.sc, h*halfStep), isum(h, c), isum(h, c))
			asm.VPADDD(isum(h, c), fsum(h, c), fsum(h, c))
		}
	}
}

func (g *gemm) next(wBytes, aBytes int) {
	g.fromOut()
	asm.ADDQ(op.U32(uint32(wBytes)), g.w)
	asm.ADDQ(op.U32(uint32(aBytes)), g.a)
	asm.DECQ(g.blocks)
	asm.JNZ(op.LabelRef("block"))
	end()
}

// columns calls f for each column, with g.o pointing to its results and g.i to its sums so far.
func (g *gemm) columns(f func(c int)) {
	asm.MOVQ(g.out, g.o)
	asm.MOVQ(g.from, g.i)
	for c := range tileColumns {
		f(c)
		if c < tileColumns-1 {
			asm.ADDQ(g.outBytes, g.o)
			asm.ADDQ(g.fromBytes, g.i)
		}
	}
}

// gemmConstants writes the constant of that name.
func gemmConstants() { dwords("noSums", make([]uint32, tileRows)) }

func gemmQ4K() {
	g := beginGemm("gemmQ4KAVX512", "is dotQ4KRow")
	asm.Label("block")
	zero(fsum)
	asm.MOVQ(g.w, g.ws)
	asm.MOVQ(g.a, g.as)
	asm.LEAQ(at(g.w, panelQ4KScales), g.sc)
	asm.MOVQ(op.U32(8), g.n)
	asm.Label("sub")
	zero(isum)
	g.steps(8)
	g.scaled()
	asm.ADDQ(op.U32(8*rowStep), g.ws)
	asm.ADDQ(op.U32(8*columnStep), g.as)
	asm.ADDQ(op.U32(rowStep), g.sc)
	asm.DECQ(g.n)
	asm.JNZ(op.LabelRef("sub"))
	g.columns(func(c int) {
		for h := range 2 {
			m := zregs[4*h+c%4] // sums of integers are free
			asm.VPXORD(m, m, m)
			for p := range 4 {
				w := zregs[24+p]
				asm.VMOVDQU64(at(g.w, panelQ4KMins+p*rowStep+h*halfStep), w)
				asm.VPDPWSSD_BCST(at(g.a, colsKSum32+p*columnStep+4*c), w, m)
			}
			s := fsum(h, c)
			asm.VCVTDQ2PS(s, s)
			asm.VMULPS(at(g.w, panelQ4KD+h*halfStep), s, s)
			asm.VCVTDQ2PS(m, m)
			asm.VMULPS(at(g.w, panelQ4KDmin+h*halfStep), m, m)
			asm.VSUBPS(m, s, s)
			asm.VMULPS_BCST(at(g.a, colsKD+4*c), s, s)
			asm.VADDPS(at(g.i, h*halfStep), s, s)
			asm.VMOVUPS(s, at(g.o, h*halfStep))
		}
	})
	g.next(panelQ4K, colsK)
}

func gemmQ6K() {
	g := beginGemm("gemmQ6KAVX512", "is dotQ6KRow")
	asm.Label("block")
	zero(fsum)
	asm.MOVQ(g.w, g.ws)
	asm.MOVQ(g.a, g.as)
	asm.LEAQ(at(g.w, panelQ6KScales), g.sc)
	neg := reg.R13
	asm.LEAQ(at(g.a, colsKNeg16), neg)
	asm.MOVQ(op.U32(16), g.n)
	asm.Label("sub")
	g.startAt(neg, 0)
	g.steps(4)
	g.scaled()
	asm.ADDQ(op.U32(4*rowStep), g.ws)
	asm.ADDQ(op.U32(4*columnStep), g.as)
	asm.ADDQ(op.U32(rowStep), g.sc)
	asm.ADDQ(op.U32(columnStep), neg)
	asm.DECQ(g.n)
	asm.JNZ(op.LabelRef("sub"))
	g.columns(func(c int) {
		for h := range 2 {
			s := fsum(h, c)
			asm.VCVTDQ2PS(s, s)
			asm.VMULPS(at(g.w, panelQ6KD+h*halfStep), s, s)
			asm.VMULPS_BCST(at(g.a, colsKD+4*c), s, s)
			asm.VADDPS(at(g.i, h*halfStep), s, s)
			asm.VMOVUPS(s, at(g.o, h*halfStep))
		}
	})
	g.next(panelQ6K, colsK)
}

func gemmQ8_0() {
	g := beginGemm("gemmQ8_0AVX512", "is dotQ8_0Row")
	asm.Label("block") // once: sums stay in registers
	g.columns(func(c int) {
		for h := range 2 {
			asm.VMOVUPS(at(g.i, h*halfStep), fsum(h, c))
		}
	})
	asm.Label("group")
	asm.MOVQ(g.w, g.ws)
	asm.MOVQ(g.a, g.as)
	asm.LEAQ(at(g.w, panelQ8_0D), g.sc)
	neg := reg.R13
	asm.LEAQ(at(g.a, cols32Neg), neg)
	asm.MOVQ(op.U32(4), g.n)
	asm.Label("sub")
	g.startAt(neg, 0)
	g.steps(8)
	for h := range 2 {
		for c := range tileColumns {
			s := isum(h, c)
			asm.VCVTDQ2PS(s, s)
			asm.VMULPS(at(g.sc, h*halfStep), s, s)
			asm.VMULPS_BCST(at(neg, cols32D-cols32Neg+4*c), s, s)
			asm.VADDPS(s, fsum(h, c), fsum(h, c))
		}
	}
	asm.ADDQ(op.U32(8*rowStep), g.ws)
	asm.ADDQ(op.U32(8*columnStep), g.as)
	asm.ADDQ(op.U32(rowStep), g.sc)
	asm.ADDQ(op.U32(columnStep), neg)
	asm.DECQ(g.n)
	asm.JNZ(op.LabelRef("sub"))
	asm.ADDQ(op.U32(panelQ8_0), g.w)
	asm.ADDQ(op.U32(cols32), g.a)
	asm.DECQ(g.blocks)
	asm.JNZ(op.LabelRef("group"))
	g.columns(func(c int) {
		for h := range 2 {
			asm.VMOVUPS(fsum(h, c), at(g.o, h*halfStep))
		}
	})
	end()
}
