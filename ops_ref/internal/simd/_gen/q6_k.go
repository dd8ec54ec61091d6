package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// addSymmetric adds d*sum*dy, each step rounded, to acc.
func (q *quad) addSymmetric(acc, sum, d reg.VecVirtual) {
	asm.VCVTDQ2PS(sum, sum)
	asm.VMULPS(d, sum, sum)
	dy := asm.XMM()
	asm.VBROADCASTSS(at(q.y, superD), dy)
	asm.VMULPS(dy, sum, sum)
	asm.VADDPS(sum, acc, acc)
}

func dotQ6KAVX512() {
	for v := range 4 {
		ws := make([]uint16, 32)
		for l := range ws {
			ws[l] = uint16(4*v + l/8)
		}
		words("q6Scale"+string(rune('0'+v)), ws)
	}
	left, right := make([]uint16, 32), make([]uint16, 32)
	for l := range left {
		left[l], right[l] = uint16(4-2*(l/16)), uint16(2*(l/16))
	}
	words("q6Left", left)
	words("q6Right", right)
	q := beginQuads("dotQ6KAVX512", "is dotQ6KRow")
	var scale [4]reg.VecVirtual
	for v := range scale {
		scale[v] = loadZ("q6Scale" + string(rune('0'+v)))
	}
	shl, shr := loadZ("q6Left"), loadZ("q6Right")
	m15, m48 := broadcastZ(nibbles), broadcastZ(bits54)
	q.startRows()
	acc := asm.XMM()
	asm.VXORPS(acc, acc, acc)
	asm.Label("block")
	var act [4]reg.VecVirtual
	for i := range act {
		act[i] = asm.ZMM()
		asm.VMOVDQU64(at(q.y, 64*i), act[i])
	}
	var sums [4]reg.VecVirtual
	for r := range 4 {
		sc := asm.YMM()
		asm.VPMOVSXBW(q.row(r, 192), sc)
		i0, i1, off := asm.ZMM(), asm.ZMM(), asm.YMM()
		asm.VPXORD(i0, i0, i0)
		asm.VPXORD(i1, i1, i1)
		for h := range 2 {
			ql, qh, a, b := asm.ZMM(), asm.ZMM(), asm.ZMM(), asm.ZMM()
			asm.VMOVDQU64(q.row(r, 64*h), ql)
			asm.VBROADCASTI64X4(q.row(r, 128+32*h), qh)
			asm.VPSLLVW(shl, qh, a)
			asm.VPSRLVW(shr, qh, b)
			asm.VPANDD(m48, a, a)
			asm.VPANDD(m48, b, b)
			asm.VPTERNLOGD(op.Imm(0xf8), m15, ql, a) // a |= ql & 15
			asm.VPSRLW(op.Imm(4), ql, ql)
			asm.VPTERNLOGD(op.Imm(0xf8), m15, ql, b)
			asm.VPMADDUBSW(act[2*h], a, a)
			asm.VPMADDUBSW(act[2*h+1], b, b)
			sa, sb := asm.ZMM(), asm.ZMM()
			asm.VPERMW(sc.AsZ(), scale[2*h], sa)
			asm.VPERMW(sc.AsZ(), scale[2*h+1], sb)
			asm.VPDPWSSD(sa, a, i0)
			asm.VPDPWSSD(sb, b, i1)
		}
		asm.VPMADDWD(at(q.y, superSums16), sc, off) // codes are 32 too large
		asm.VPSLLD(op.Imm(5), off, off)
		asm.VPADDD(i1, i0, i0)
		asm.VPSUBD(off.AsZ(), i0, i0)
		sums[r] = i0
	}
	sum := sum4Z(sums[0], sums[1], sums[2], sums[3])
	q.addSymmetric(acc, sum, q.scales4(208))
	q.endBlock(210, superSize)
	q.endRows(acc)
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
	acc := asm.XMM()
	asm.VXORPS(acc, acc, acc)
	asm.Label("block")
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
	q.addSymmetric(acc, sum, q.scales4(208))
	q.endBlock(210, superSize)
	q.endRows(acc)
}
