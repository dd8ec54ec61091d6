package main

import (
	"fmt"
	"math"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	softmaxSignature = "func(s *float32, n int, from, to *int32, scale float32, top, sum *float32)"
	softmaxDoc       = "is softmaxColumn for the columns of a panel of n rows, a positive multiple of 8."
)

// param returns the memory of a parameter.
func param(name string) op.Mem {
	addr, err := asm.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return addr.Addr
}

// expBelow is exp32 of package simd for 16 numbers that are not above its range, and overwrites x.
func expBelow(x reg.VecVirtual) reg.VecVirtual {
	t, in := asm.ZMM(), asm.K()
	asm.VCMPPS_BCST(op.Imm(21), eight(expLow), x, in) // not below the range
	asm.VMULPS_BCST(eight(log2E), x, t)
	asm.VRNDSCALEPS(op.Imm(8), t, t) // to nearest even
	asm.VFNMADD231PS_BCST(eight(ln2High), t, x)
	asm.VFNMADD231PS_BCST(eight(ln2Low), t, x)
	p, r := asm.ZMM(), asm.ZMM()
	asm.VBROADCASTSS(eight(expPoly[0]), p)
	for _, c := range expPoly[1:] {
		asm.VFMADD213PS_BCST(eight(c), x, p)
	}
	asm.VMULPS(x, x, r)
	asm.VFMADD213PS(x, r, p) // p*r² + r
	asm.VADDPS_BCST(eight(1), p, p)
	asm.VSCALEFPS_Z(t, p, in, p)
	return p
}

// softmaxPanel512 has two vectors of queries.
func softmaxPanel512() {
	begin("softmaxPanelAVX512", softmaxSignature, softmaxDoc)
	s, n, from, to, top, sum := gp("s"), gp("n"), gp("from"), gp("to"), gp("top"), gp("sum")
	scale, none, j, one := asm.ZMM(), asm.ZMM(), asm.ZMM(), asm.ZMM()
	asm.VBROADCASTSS(param("scale"), scale)
	asm.VBROADCASTSS(eight(float32(math.Inf(-1))), none)
	asm.VPXORD(j, j, j)
	asm.VPBROADCASTD(eight(math.Float32frombits(1)), one)
	var first, last, most [2]reg.VecVirtual
	for h := range 2 {
		first[h], last[h], most[h] = asm.ZMM(), asm.ZMM(), asm.ZMM()
		asm.VMOVDQU32(at(from, 64*h), first[h])
		asm.VMOVDQU32(at(to, 64*h), last[h])
		asm.VMOVAPS(none, most[h])
	}
	p, left := asm.GP64(), asm.GP64()
	asm.MOVQ(s, p)
	asm.MOVQ(n, left)
	asm.Label("scale")
	for h := range 2 {
		x, before, seen := asm.ZMM(), asm.K(), asm.K()
		asm.VMULPS(at(p, 64*h), scale, x)
		asm.VPCMPD(op.Imm(5), first[h], j, before)      // j >= first
		asm.VPCMPD(op.Imm(1), last[h], j, before, seen) // and j < last
		asm.VBLENDMPS(x, none, seen, x)
		asm.VMAXPS(x, most[h], most[h])
		asm.VMOVUPS(x, at(p, 64*h))
	}
	asm.VPADDD(one, j, j)
	asm.ADDQ(op.U32(panelRow), p)
	asm.DECQ(left)
	asm.JNZ(op.LabelRef("scale"))
	for h := range 2 {
		asm.VMOVUPS(most[h], at(top, 64*h))
		asm.MOVQ(s, p)
		asm.MOVQ(n, left)
		var acc [8]reg.VecVirtual
		for i := range acc {
			acc[i] = asm.ZMM()
			asm.VPXORD(acc[i], acc[i], acc[i])
		}
		label := fmt.Sprintf("exp%d", h)
		asm.Label(label)
		for i := range acc {
			x := asm.ZMM()
			asm.VMOVUPS(at(p, i*panelRow+64*h), x)
			asm.VSUBPS(most[h], x, x)
			x = expBelow(x)
			asm.VMOVUPS(x, at(p, i*panelRow+64*h))
			asm.VADDPS(x, acc[i], acc[i])
		}
		asm.ADDQ(op.U32(8*panelRow), p)
		asm.SUBQ(op.Imm(8), left)
		asm.JNZ(op.LabelRef(label))
		asm.VMOVUPS(eightSums(acc), at(sum, 64*h))
	}
	end()
}

// eightSums adds what ExpSum has in eight partial sums, in its order.
func eightSums(s [8]reg.VecVirtual) reg.VecVirtual {
	for i := range 4 {
		asm.VADDPS(s[i+4], s[i], s[i])
	}
	asm.VADDPS(s[2], s[0], s[0])
	asm.VADDPS(s[3], s[1], s[1])
	asm.VADDPS(s[1], s[0], s[0])
	return s[0]
}

// softmaxPanel2 takes eight queries at a time.
func softmaxPanel2() {
	begin("softmaxPanelAVX2", softmaxSignature, softmaxDoc)
	s, n, from, to, top, sum := gp("s"), gp("n"), gp("from"), gp("to"), gp("top"), gp("sum")
	column := asm.GP64()
	asm.MOVQ(op.U32(panelQueries/8), column)
	asm.Label("column")
	scale, none, j, first, last, most := asm.YMM(), asm.YMM(), asm.YMM(), asm.YMM(), asm.YMM(), asm.YMM()
	asm.VBROADCASTSS(param("scale"), scale)
	asm.VMOVUPS(eight(float32(math.Inf(-1))), none)
	asm.VPXOR(j, j, j)
	asm.VMOVDQU(at(from, 0), first)
	asm.VMOVDQU(at(to, 0), last)
	asm.VMOVAPS(none, most)
	p, left := asm.GP64(), asm.GP64()
	asm.MOVQ(s, p)
	asm.MOVQ(n, left)
	asm.Label("scale")
	x, before, seen := mul(scale, at(p, 0)), asm.YMM(), asm.YMM()
	asm.VPCMPGTD(j, first, before) // first > j
	asm.VPCMPGTD(j, last, seen)    // last > j
	asm.VPANDN(seen, before, seen)
	asm.VBLENDVPS(seen, x, none, x)
	asm.VMAXPS(x, most, most)
	asm.VMOVUPS(x, at(p, 0))
	asm.VPADDD(eight(math.Float32frombits(1)), j, j)
	asm.ADDQ(op.U32(panelRow), p)
	asm.DECQ(left)
	asm.JNZ(op.LabelRef("scale"))
	asm.VMOVUPS(most, at(top, 0))
	var acc [8]reg.VecVirtual
	for i := range acc {
		acc[i] = asm.YMM()
		asm.VPXOR(acc[i], acc[i], acc[i])
	}
	asm.MOVQ(s, p)
	asm.MOVQ(n, left)
	asm.Label("exp")
	for i := range acc {
		e := exp(sub(load(at(p, i*panelRow)), most))
		asm.VMOVUPS(e, at(p, i*panelRow))
		asm.VADDPS(e, acc[i], acc[i])
	}
	asm.ADDQ(op.U32(8*panelRow), p)
	asm.SUBQ(op.Imm(8), left)
	asm.JNZ(op.LabelRef("exp"))
	asm.VMOVUPS(eightSums(acc), at(sum, 0))
	for _, r := range []reg.GPVirtual{s, from, to, top, sum} {
		asm.ADDQ(op.Imm(32), r)
	}
	asm.DECQ(column)
	asm.JNZ(op.LabelRef("column"))
	end()
}
