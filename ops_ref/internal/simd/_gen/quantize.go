package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// quantize writes the two quantizers of activations. They take so little of the time that AVX2 serves for all.
func quantize() {
	mask := make([]uint32, 32)
	for i := range 16 {
		mask[i] = 0xffffffff
	}
	dwords("tailMask", mask)
	quantizeK()
	quantize32()
}

// maxBits folds the eight dwords of y, bits of magnitudes, to their maximum in all lanes.
func maxBits(y reg.VecVirtual) {
	t := asm.YMM()
	for _, step := range []uint64{0x4e, 0xb1} { // halves, pairs
		if step == 0x4e {
			asm.VPERMQ(op.Imm(step), y, t) // swaps the 128-bit lanes
			asm.VPMAXUD(t, y, y)
		}
		asm.VPSHUFD(op.Imm(step), y, t)
		asm.VPMAXUD(t, y, y)
	}
}

// scaleOf turns the largest magnitude of a block, in all lanes of y, into its scale and the factor of its codes: see
// blockScale.
func scaleOf(y reg.VecVirtual) (d, id reg.VecVirtual) {
	d, id = asm.YMM(), asm.YMM()
	c, ok := asm.YMM(), asm.YMM()
	asm.VBROADCASTSS(sym(k127, 0), c)
	asm.VDIVPS(c, y, d)
	asm.VDIVPS(y, c, id)
	// Tiny blocks become zero.
	asm.VBROADCASTSS(sym(tiny, 0), c)
	asm.VCMPPS(op.Imm(13), c, y, ok) // y >= tiny; false for NaN
	asm.VPAND(ok, d, d)
	asm.VPAND(ok, id, id)
	// Blocks with a NaN or an infinity get NaN as scale and zero as codes.
	bad := asm.YMM()
	asm.VPBROADCASTD(sym(infBits, 0), c)
	asm.VPCMPGTD(y, c, bad) // finite
	asm.VPAND(bad, id, id)
	nan := asm.YMM()
	asm.VPBROADCASTD(sym(nanBits, 0), nan)
	asm.VPANDN(nan, bad, nan)
	asm.VPAND(bad, d, d)
	asm.VPOR(nan, d, d)
	return d, id
}

// magnitudes returns the maximum of the magnitudes of n vectors at p, as bits.
func magnitudes(p reg.Register, n int, abs reg.VecVirtual) reg.VecVirtual {
	m := asm.YMM()
	asm.VPAND(at(p, 0), abs, m)
	for i := 1; i < n; i++ {
		t := asm.YMM()
		asm.VPAND(at(p, 32*i), abs, t)
		asm.VPMAXUD(t, m, m)
	}
	return m
}

// codes32 rounds 32 elements at p times id to bytes in dst, and returns them as four vectors of eight dwords. Products
// with a factor of zero are zero, whatever the element.
func codes32(p reg.Register, disp int, id reg.VecVirtual) (q [4]reg.VecVirtual) {
	zero := asm.YMM()
	asm.VXORPS(zero, zero, zero)
	live := asm.YMM()
	asm.VCMPPS(op.Imm(4), zero, id, live) // id != 0
	for i := range q {
		q[i] = asm.YMM()
		asm.VMULPS(at(p, disp+32*i), id, q[i])
		asm.VPAND(live, q[i], q[i])
		asm.VCVTPS2DQ(q[i], q[i])
	}
	return q
}

// pack32 packs four vectors of eight dwords, which it overwrites, to 32 bytes in order.
func pack32(q [4]reg.VecVirtual, order reg.VecVirtual) reg.VecVirtual {
	asm.VPACKSSDW(q[1], q[0], q[0])
	asm.VPACKSSDW(q[3], q[2], q[2])
	asm.VPACKSSWB(q[2], q[0], q[0])
	asm.VPERMD(q[0], order, q[0])
	return q[0]
}

func quantizeK() {
	dwords("packOrder", []uint32{0, 4, 1, 5, 2, 6, 3, 7})
	begin("quantizeKAVX2", "func(dst *byte, x *float32, blocks int)", "is quantizeKBlock for blocks blocks, at least 1.")
	dst, x, n := gp("dst"), gp("x"), gp("blocks")
	abs, order, bones, wones := broadcastY(absMask), asm.YMM(), asm.YMM(), asm.YMM()
	asm.VMOVDQU(sym("packOrder", 0), order)
	asm.VMOVDQU(sym(ones16, 0), wones)
	asm.VPACKSSWB(wones, wones, bones)
	asm.Label("block")
	m := magnitudes(x, 32, abs)
	maxBits(m)
	d, id := scaleOf(m)
	asm.VMOVSS(d.AsX(), at(dst, superD))
	for s := range 8 {
		y := pack32(codes32(x, 128*s, id), order)
		asm.VMOVDQU(y, at(dst, 32*s))
		// Sums of pairs, then of fours: the first and the last two dwords of each lane are four codes each.
		t := asm.YMM()
		asm.VPMADDUBSW(y, bones, t)
		asm.VPMADDWD(wones, t, t)
		asm.VPHADDD(t, t, t)
		asm.VPHADDD(t, t, t) // all dwords of a lane: the sum of its 16 codes
		h := asm.XMM()
		asm.VEXTRACTI128(op.Imm(1), t, h)
		asm.VPEXTRW(op.Imm(0), t.AsX(), at(dst, superSums16+4*s))
		asm.VPEXTRW(op.Imm(0), h, at(dst, superSums16+4*s+2))
		asm.VPADDD(t.AsX(), h, h)
		asm.VPEXTRW(op.Imm(0), h, at(dst, superSums32+2*s))
	}
	asm.ADDQ(op.U32(1024), x)
	asm.ADDQ(op.U32(superSize), dst)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("block"))
	end()
}

func quantize32() {
	begin("quantize32AVX2", "func(dst *byte, x *float32, groups int)", "is quantize32Block for groups groups of four blocks, at least 1.")
	dst, x, n := gp("dst"), gp("x"), gp("groups")
	abs, order, bones, wones := broadcastY(absMask), asm.YMM(), asm.YMM(), asm.YMM()
	asm.VMOVDQU(sym("packOrder", 0), order)
	asm.VMOVDQU(sym(ones16, 0), wones)
	asm.VPACKSSWB(wones, wones, bones)
	asm.Label("group")
	for b := range 4 {
		p := asm.GP64()
		asm.LEAQ(at(x, 128*b), p)
		m := magnitudes(p, 4, abs)
		maxBits(m)
		d, id := scaleOf(m)
		asm.VMOVSS(d.AsX(), at(dst, groupD+4*b))
		y := pack32(codes32(p, 0, id), order)
		asm.VMOVDQU(y, at(dst, 32*b))
		t := asm.YMM()
		asm.VPMADDUBSW(y, bones, t)
		asm.VPMADDWD(wones, t, t)
		asm.VPHADDD(t, t, t)
		asm.VPHADDD(t, t, t)
		h := asm.XMM()
		asm.VEXTRACTI128(op.Imm(1), t, h)
		asm.VPADDD(t.AsX(), h, h)
		asm.VMOVD(h, at(dst, groupSums+4*b))
	}
	asm.ADDQ(op.U32(512), x)
	asm.ADDQ(op.U32(groupSize), dst)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("group"))
	end()
}
