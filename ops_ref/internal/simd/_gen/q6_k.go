package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func dotQ6KAVX512() {
	for h := range 2 {
		ws := make([]uint16, 32) // of each lane: the scale of runs 0 and 1, then that of runs 2 and 3
		for l := range ws {
			ws[l] = uint16(8*h + l/8 + l%8/4*4)
		}
		words("q6Scale"+string(rune('0'+h)), ws)
	}
	left, right := make([]uint16, 32), make([]uint16, 32)
	for l := range left {
		left[l], right[l] = uint16(4-2*(l/16)), uint16(2*(l/16))
	}
	words("q6Left", left)
	words("q6Right", right)
	for _, cols := range dotCols {
		dotQ6KColumns(cols)
	}
}

func dotQ6KColumns(cols int) {
	q := beginColumns("dotQ6K"+times(cols)+"AVX512", "is dotQ6KRow", cols)
	scale := [2]reg.VecVirtual{loadZ("q6Scale0"), loadZ("q6Scale1")}
	zero := asm.ZMM()
	asm.VPXORD(zero, zero, zero)
	q.startRows()
	// Codes are 32 too large. For one column, sums start at -32 times the sum of four activations.
	var start [4]reg.VecVirtual
	for i := range start {
		start[i] = zero
		if cols == 1 {
			start[i] = asm.ZMM()
			asm.VMOVDQA64(zero, start[i])
			asm.VPDPBUSD(at(q.y, 64*i), broadcastZ(thirtyTwos), start[i])
			asm.VPSUBD(start[i], zero, start[i])
		}
	}
	sums := make([][4]reg.VecVirtual, cols)
	for r := range 4 {
		sc := asm.ZMM()
		asm.VPMOVSXBW(q.row(r, 192), sc.AsY())
		for c := range cols {
			sum := asm.ZMM()
			sums[c][r] = sum
			if cols == 1 {
				asm.VMOVDQA64(zero, sum)
				continue
			}
			asm.VPMADDWD(q.column(c, superSums16), sc.AsY(), sum.AsY())
			asm.VPSLLD(op.Imm(5), sum.AsY(), sum.AsY())
			asm.VPSUBD(sum.AsY(), zero.AsY(), sum.AsY())
		}
		for h := range 2 {
			fetch(q.ahead, 4*210, 2*r+h, 8)
			ql, qh, a, b := asm.ZMM(), asm.ZMM(), asm.ZMM(), asm.ZMM()
			asm.VMOVDQU64(q.row(r, 64*h), ql)
			asm.VBROADCASTI64X4(q.row(r, 128+32*h), qh)
			asm.VPSLLVW(sym("q6Left", 0), qh, a)
			asm.VPSRLVW(sym("q6Right", 0), qh, b)
			asm.VPANDD_BCST(sym(bits54, 0), a, a)
			asm.VPANDD_BCST(sym(bits54, 0), b, b)
			asm.VPTERNLOGD_BCST(op.Imm(0xf8), sym(nibbles, 0), ql, a) // a |= ql & 15
			asm.VPSRLW(op.Imm(4), ql, ql)
			asm.VPTERNLOGD_BCST(op.Imm(0xf8), sym(nibbles, 0), ql, b)
			s := asm.ZMM()
			asm.VPERMW(sc, scale[h], s)
			for c := range cols {
				x, y := asm.ZMM(), asm.ZMM()
				asm.VMOVDQA64(start[2*h], x)
				asm.VMOVDQA64(start[2*h+1], y)
				asm.VPDPBUSD(q.column(c, 128*h), a, x)
				asm.VPDPBUSD(q.column(c, 128*h+64), b, y)
				asm.VPACKSSDW(y, x, x) // at most 4·63·127
				asm.VPDPWSSD(s, x, sums[c][r])
			}
		}
	}
	d := q.scales4(208)
	for c, s := range sums {
		q.addSymmetric(c, sum4Z(s[0], s[1], s[2], s[3]), d, superD)
	}
	q.endBlock(210, superSize)
	q.endRows()
}

func dotQ6KAVX2() {
	var sh []byte
	for r := range 8 {
		for l := range 16 {
			sh = append(sh, byte(2*r+l/8))
		}
	}
	bytes("q6Spread", sh) // row r spreads the scales of run r over the run's words
	q := beginQuads("dotQ6KAVX2", "is dotQ6KRow")
	m15, m48 := broadcastY(nibbles), broadcastY(bits54)
	q.startRows()
	var sums [4]reg.VecVirtual
	for r := range 4 {
		sc := asm.XMM()
		asm.VMOVDQU(q.row(r, 192), sc)
		sum, off := asm.YMM(), asm.YMM()
		asm.VPMOVSXBW(sc, off)
		asm.VPMADDWD(at(q.y, superSums16), off, off)
		asm.VPSLLD(op.Imm(5), off, off)
		asm.VPXOR(sum, sum, sum)
		asm.VPSUBD(off, sum, sum)
		for run := range 8 {
			fetch(q.ahead, 4*210, 8*r+run, 32)
			n, t := run/4, run%4
			lo, hi, scale := asm.YMM(), asm.YMM(), asm.YMM()
			asm.VMOVDQU(q.row(r, 64*n+32*(t&1)), lo)
			if t >= 2 {
				asm.VPSRLW(op.Imm(4), lo, lo)
			}
			asm.VPAND(m15, lo, lo)
			asm.VMOVDQU(q.row(r, 128+32*n), hi)
			switch t {
			case 0:
				asm.VPSLLW(op.Imm(4), hi, hi)
			case 1:
				asm.VPSLLW(op.Imm(2), hi, hi)
			case 3:
				asm.VPSRLW(op.Imm(2), hi, hi)
			}
			asm.VPAND(m48, hi, hi)
			asm.VPOR(hi, lo, lo)
			asm.VPMADDUBSW(at(q.y, 32*run), lo, lo)
			asm.VPSHUFB(sym("q6Spread", 16*run), sc, scale.AsX())
			asm.VPMOVSXBW(scale.AsX(), scale)
			asm.VPMADDWD(scale, lo, lo)
			asm.VPADDD(lo, sum, sum)
		}
		sums[r] = sum
	}
	sum := foldY(hadd4(sums[0], sums[1], sums[2], sums[3]))
	q.addSymmetric(0, sum, q.scales4(208), superD)
	q.endBlock(210, superSize)
	q.endRows()
}
