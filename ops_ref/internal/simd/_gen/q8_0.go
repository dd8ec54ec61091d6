package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// group32 are the offsets in a group of four blocks of quantized activations, see act.go.
const (
	groupD    = 128
	groupSums = 144
	groupSize = 192
)

// dot32 is a kernel for rows whose blocks are those of Q8_0, or become them on the way.
type dot32 struct {
	name, doc string
	size      int // bytes of a block

	// codes returns those of blocks 2p and 2p+1 of row r, 128 too large.
	codes func(q *quad, r, p int) reg.VecVirtual

	// scales makes float32 of what the first dwords of sixteen blocks hold.
	scales func(dw reg.VecVirtual)
}

// halfScales are scales that are float16 at the start of a block.
func halfScales(dw reg.VecVirtual) {
	half := asm.YMM()
	asm.VPMOVDW(dw, half)
	asm.VCVTPH2PS(half, dw)
}

func dotQ8_0AVX512() {
	var lanes []uint32 // lane i takes element i/4 of its 128-bit lane
	for i := range uint32(16) {
		lanes = append(lanes, i/4)
	}
	dwords("perLane", lanes)
	dwords("laneMod4", []uint32{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3})
	dwords("laneDiv4", lanes)
	for _, cols := range dotCols {
		dot32{"Q8_0", "is dotQ8_0Row", 34, func(q *quad, r, p int) reg.VecVirtual {
			w := asm.ZMM()
			asm.VBROADCASTI64X4(q.row(r, 68*p+2), w)
			asm.VINSERTI64X4(op.Imm(1), q.row(r, 68*p+36), w, w)
			asm.VPXORD_BCST(sym(highBit, 0), w, w) // q+128
			return w
		}, halfScales}.kernel(cols)
	}
}

func (k dot32) kernel(cols int) {
	q := beginColumns("dot"+k.name+times(cols)+"AVX512", k.doc, cols)
	zero := asm.ZMM()
	asm.VPXORD(zero, zero, zero)
	// index gathers the scales of four blocks of four rows: lane 4b+r is block b of row r.
	index := asm.ZMM()
	{
		rows, blocks, size := asm.ZMM(), asm.ZMM(), asm.GP32()
		asm.VPBROADCASTD(q.stride.As32(), rows)
		asm.MOVL(op.U32(uint32(k.size)), size)
		asm.VPBROADCASTD(size, blocks)
		asm.VPMULLD(sym("laneDiv4", 0), blocks, blocks)
		asm.VPMULLD(sym("laneMod4", 0), rows, rows)
		asm.VPADDD(blocks, rows, index)
	}
	q.startRows()
	// Scales first: the gather takes longest.
	all := reg.K1
	asm.KXNORW(all, all, all)
	dw := asm.ZMM()
	asm.VMOVDQA64(zero, dw) // the gather waits for what was in it
	asm.VPGATHERDD(op.Mem{Base: q.x, Index: index, Scale: 1}, all, dw)
	k.scales(dw)
	pairs := make([][2]reg.VecVirtual, cols)
	for p := range 2 {
		dots := make([][4]reg.VecVirtual, cols)
		for r := range 4 {
			fetch(q.ahead, 4*4*k.size, 4*p+r, 8)
			w := k.codes(&q, r, p)
			for c := range cols {
				dots[c][r] = asm.ZMM()
				asm.VMOVDQA64(zero, dots[c][r])
				asm.VPDPBUSD(q.column(c, 64*p), w, dots[c][r])
			}
		}
		for c, d := range dots {
			pairs[c][p] = lanes4Z(d[0], d[1], d[2], d[3]) // two lanes for each block
		}
	}
	for c, p := range pairs {
		s, t := asm.ZMM(), asm.ZMM()
		asm.VSHUFI32X4(op.Imm(0x88), p[1], p[0], s)
		asm.VSHUFI32X4(op.Imm(0xdd), p[1], p[0], t)
		asm.VPADDD(t, s, s)
		sums := asm.ZMM()
		asm.VBROADCASTI32X4(q.column(c, groupSums), sums)
		asm.VPERMILPS(sym("perLane", 0), sums, sums)
		asm.VPSLLD(op.Imm(7), sums, sums)
		asm.VPSUBD(sums, s, s) // codes were 128 too large
		asm.VCVTDQ2PS(s, s)
		asm.VMULPS(dw, s, s)
		da := asm.ZMM()
		asm.VBROADCASTF32X4(q.column(c, groupD), da)
		asm.VPERMILPS(sym("perLane", 0), da, da)
		asm.VMULPS(da, s, s)
		acc := q.accs[c]
		asm.VADDPS(s.AsX(), acc, acc)
		for b := 1; b < 4; b++ {
			lane := asm.XMM()
			asm.VEXTRACTF32X4(op.Imm(uint64(b)), s, lane)
			asm.VADDPS(lane, acc, acc)
		}
	}
	q.endBlock(4*k.size, groupSize)
	q.endRows()
}

func dotQ8_0AVX2() {
	q := beginQuads("dotQ8_0AVX2", "is dotQ8_0Row")
	ones := asm.YMM()
	asm.VMOVDQU(sym(ones16, 0), ones)
	q.startRows()
	for b := range 4 {
		a := asm.YMM()
		asm.VMOVDQU(at(q.y, 32*b), a)
		var dots [4]reg.VecVirtual
		for r := range 4 {
			fetch(q.ahead, 4*4*34, 4*b+r, 16)
			w, s := asm.YMM(), asm.YMM()
			asm.VMOVDQU(q.row(r, 34*b+2), w)
			asm.VPSIGNB(w, a, s)
			asm.VPABSB(w, w)
			asm.VPMADDUBSW(s, w, w)
			asm.VPMADDWD(ones, w, w)
			dots[r] = w
		}
		s := foldY(hadd4(dots[0], dots[1], dots[2], dots[3]))
		q.addSymmetric(0, s, q.scales4(34*b), groupD+4*b)
	}
	q.endBlock(4*34, groupSize)
	q.endRows()
}
