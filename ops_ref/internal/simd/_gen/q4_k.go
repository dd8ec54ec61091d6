package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets in a super-block of quantized activations, see act.go.
const (
	superSums16 = 256
	superSums32 = 288
	superD      = 304
	superSize   = 320
)

// scaleMins returns, as 16 words, the 6-bit scales and mins of a block of Q4_K or Q5_K: s0-3, m0-3, s4-7, m4-7.
func (q *quad) scaleMins(r int) reg.VecVirtual {
	lo, hi, t, first := asm.GP64(), asm.GP64(), asm.GP64(), asm.GP64()
	asm.MOVQ(q.row(r, 4), lo)
	asm.MOVL(q.row(r, 12), hi.As32())
	asm.MOVQ(lo, first)
	asm.ANDQ(sym("low6", 0), first)
	asm.SHRQ(op.Imm(2), lo)
	asm.ANDQ(sym("high2", 0), lo)
	asm.MOVQ(hi, t)
	asm.SHLQ(op.Imm(28), t)
	asm.ORQ(hi, t)
	asm.ANDQ(sym("low4", 0), t)
	asm.ORQ(t, lo)
	packed, s := asm.XMM(), asm.YMM()
	asm.VMOVQ(first, packed)
	asm.VPINSRQ(op.Imm(1), lo, packed, packed)
	asm.VPMOVZXBW(packed, s)
	return s
}

// dAndMin returns d and dmin of four rows.
func (q *quad) dAndMin() (d, dmin reg.VecVirtual) {
	halves, all := asm.XMM(), asm.YMM()
	asm.VMOVD(q.row(0, 0), halves)
	for r := 1; r < 4; r++ {
		asm.VPINSRD(op.Imm(uint64(r)), q.row(r, 0), halves, halves)
	}
	asm.VCVTPH2PS(halves, all)
	high := asm.XMM()
	asm.VEXTRACTF128(op.Imm(1), all, high)
	d, dmin = asm.XMM(), asm.XMM()
	asm.VSHUFPS(op.Imm(0x88), high, all.AsX(), d)
	asm.VSHUFPS(op.Imm(0xdd), high, all.AsX(), dmin)
	return d, dmin
}

// addAffine adds (d*sum - dmin*mins)*dy, each step rounded, to acc.
func (q *quad) addAffine(acc, sum, mins, d, dmin reg.VecVirtual) {
	asm.VCVTDQ2PS(sum, sum)
	asm.VMULPS(d, sum, sum)
	asm.VCVTDQ2PS(mins, mins)
	asm.VMULPS(dmin, mins, mins)
	asm.VSUBPS(mins, sum, sum)
	dy := asm.XMM()
	asm.VBROADCASTSS(at(q.y, superD), dy)
	asm.VMULPS(dy, sum, sum)
	asm.VADDPS(sum, acc, acc)
}

// affineConstants writes what the kernels of Q4_K and Q5_K share.
func affineConstants() {
	for _, c := range []struct {
		name string
		v    uint64
	}{{"low6", 0x3f3f3f3f3f3f3f3f}, {"high2", 0x3030303030303030}, {"low4", 0x0f0f0f0f0f0f0f0f}} {
		asm.GLOBL(c.name, rodata)
		asm.DATA(0, op.U64(c.v))
	}
	// Of four headers at once, one to a lane: what spreads the bytes s0-3 m0-3 s4-7 m4-7 to words.
	scale := func(j int) byte { return byte(j + j/4*4) } // the byte of scale j
	for h := range 2 {
		var bs []byte
		for lane := range 4 { // sub-blocks j (low nibbles) and j+1 (high) of the 32 bytes that the lane is part of
			j := 4*h + 2*(lane/2)
			for _, sub := range []int{j, j + 1} {
				for range 4 {
					bs = append(bs, scale(sub), 0x80)
				}
			}
		}
		bytes("q4Scale"+string(rune('0'+h)), bs)
	}
	var mins []byte
	for range 4 {
		for j := range 8 {
			mins = append(mins, scale(j)+4, 0x80)
		}
	}
	bytes("q4Min", mins)
	halves := make([]uint16, 32) // the words of d of four lanes, and of dmin
	for r := range 4 {
		halves[r], halves[4+r] = uint16(8*r), uint16(8*r+1)
	}
	words("q4Halves", halves)
	var shifts []uint32
	for range 4 {
		shifts = append(shifts, 0, 0, 4, 0)
	}
	dwords("q4Shifts", shifts)
	dwords("laneFirst", []uint32{0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	// Shifts that move the bits of qh beside each vector of nibbles to bit 4: left for sub-blocks 0 to 3, right for 4 to 7.
	for v, p := range [4][2]int{{4, 2}, {3, 1}, {0, 2}, {1, 3}} {
		ws := make([]uint16, 32)
		for l := range ws {
			ws[l] = uint16(p[l/16])
		}
		words("q5Shift"+string(rune('0'+v)), ws)
	}
	var sh []byte
	for j := range 8 {
		for l := range 32 {
			sh = append(sh, byte(2*j+l&1))
		}
	}
	bytes("q4Spread", sh) // row j spreads word j of each lane over the lane
	bit4 := make([]byte, 64)
	for i := range bit4 {
		bit4[i] = 0x10
	}
	bytes("bit4", bit4)
}

// affineK is Q4_K or Q5_K: name, bytes of a block, offset of the nibbles.
type affineK struct {
	name     string
	size, qs int
}

var (
	q4K = affineK{"Q4K", 144, 16}
	q5K = affineK{"Q5K", 176, 48}
)

// high reports whether a fifth bit is at offset 16.
func (a affineK) high() bool { return a.qs == 48 }

// headers reads the first 16 bytes of the current block of four rows, one to a lane: d and dmin, and the scales and
// mins as bytes s0-3 m0-3 s4-7 m4-7.
func (q *quad) headers(low4 reg.VecVirtual) (d, dmin, scales reg.VecVirtual) {
	h := asm.ZMM()
	asm.VBROADCASTI32X4(q.row(0, 0), h)
	for r := 1; r < 4; r++ {
		asm.VINSERTI32X4(op.Imm(uint64(r)), q.row(r, 0), h, h)
	}
	index, halves := loadZ("q4Halves"), asm.ZMM()
	asm.VPERMW(h, index, halves)
	both := asm.YMM()
	asm.VCVTPH2PS(halves.AsX(), both)
	dmin = asm.XMM()
	asm.VEXTRACTF32X4(op.Imm(1), both, dmin)

	first, rest, high := asm.ZMM(), asm.ZMM(), asm.ZMM()
	asm.VPANDD_BCST(sym("low6", 0), h, first)
	asm.VPSHUFD(op.Imm(0xfc), h, rest) // dword 3 to 1 and 2
	asm.VPSRLVD(sym("q4Shifts", 0), rest, rest)
	asm.VPSRLD(op.Imm(2), h, high)
	asm.VPANDD_BCST(sym(bits54, 0), high, high)
	asm.VPTERNLOGD(op.Imm(0xf8), low4, rest, high) // high |= rest & 15
	scales = asm.ZMM()
	asm.VSHUFPS(op.Imm(0x99), high, first, scales)
	return both.AsX().(reg.VecVirtual), dmin, scales
}

func (a affineK) dotAVX512() {
	q := beginQuads("dot"+a.name+"AVX512", "is dot"+a.name+"Row")
	unpacked := asm.AllocLocal(64)
	mask, minIndex, lanes := broadcastZ(nibbles), loadZ("q4Min"), loadZ("laneFirst")
	scale := [2]reg.VecVirtual{loadZ("q4Scale0"), loadZ("q4Scale1")}
	// Copies of a zero cost nothing, and unlike VPXORD they do not count as uses of their target.
	zero := asm.ZMM()
	asm.VPXORD(zero, zero, zero)
	q.startRows()
	acc := asm.XMM()
	asm.VXORPS(acc, acc, acc)
	asm.Label("block")
	d, dmin, scales := q.headers(mask)
	asm.VMOVDQU64(scales, unpacked)
	// Products of mins: one lane for each row.
	mins, t := asm.ZMM(), asm.ZMM()
	asm.VBROADCASTI32X4(at(q.y, superSums32), t)
	asm.VPSHUFB(minIndex, scales, mins)
	asm.VPMADDWD(t, mins, mins)
	for _, step := range []uint64{0xb1, 0x4e} {
		asm.VPSHUFD(op.Imm(step), mins, t)
		asm.VPADDD(t, mins, mins)
	}
	asm.VPERMD(mins, lanes, mins)
	var act [4]reg.VecVirtual // the sub-blocks that stand beside each vector of nibbles
	for h := range 2 {
		x, y := asm.ZMM(), asm.ZMM()
		asm.VMOVDQU64(at(q.y, 128*h), x)
		asm.VMOVDQU64(at(q.y, 128*h+64), y)
		lo, hi := asm.ZMM(), asm.ZMM()
		asm.VSHUFI64X2(op.Imm(0x44), y, x, lo)
		asm.VSHUFI64X2(op.Imm(0xee), y, x, hi)
		act[2*h], act[2*h+1] = lo, hi
	}
	var sums [4]reg.VecVirtual
	for r := range 4 {
		sums[r] = asm.ZMM()
		asm.VMOVDQA64(zero, sums[r])
		row := asm.ZMM()
		asm.VBROADCASTI32X4(unpacked.Offset(16*r), row)
		for h := range 2 {
			hi, lo := asm.ZMM(), asm.ZMM()
			asm.VMOVDQU64(q.row(r, a.qs+64*h), hi)
			if a.high() {
				lo, hi = a.fiveBits(&q, r, h, hi, mask)
			} else {
				asm.VPANDD(mask, hi, lo)
				asm.VPSRLW(op.Imm(4), hi, hi)
				asm.VPANDD(mask, hi, hi)
			}
			// Sums of four products, below 2^14, become words: those of lo and hi side by side in each lane.
			x, y := asm.ZMM(), asm.ZMM()
			asm.VMOVDQA64(zero, x)
			asm.VMOVDQA64(zero, y)
			asm.VPDPBUSD(act[2*h], lo, x)
			asm.VPDPBUSD(act[2*h+1], hi, y)
			asm.VPACKSSDW(y, x, x)
			asm.VPSHUFB(scale[h], row, y)
			asm.VPDPWSSD(y, x, sums[r])
		}
	}
	sum := sum4Z(sums[0], sums[1], sums[2], sums[3])
	q.addAffine(acc, sum, mins.AsX().(reg.VecVirtual), d, dmin)
	q.endBlock(a.size, superSize)
	q.endRows(acc)
}

// fiveBits returns the codes of the low and of the high nibbles of 64 bytes.
func (a affineK) fiveBits(q *quad, r, h int, nibbles, mask reg.VecVirtual) (lo, hi reg.VecVirtual) {
	lo, hi = asm.ZMM(), asm.ZMM()
	qh := asm.ZMM()
	asm.VBROADCASTI64X4(q.row(r, 16), qh)
	shift := asm.VPSLLVW
	if h == 1 {
		shift = asm.VPSRLVW
	}
	for v, z := range []reg.VecVirtual{lo, hi} {
		shift(sym("q5Shift"+string(rune('0'+2*h+v)), 0), qh, z)
		asm.VPANDD(sym("bit4", 0), z, z)
		if v == 1 {
			asm.VPSRLW(op.Imm(4), nibbles, nibbles)
		}
		asm.VPTERNLOGD(op.Imm(0xf8), mask, nibbles, z) // z |= nibbles & 15
	}
	return lo, hi
}

func (a affineK) dotAVX2() {
	q := beginQuads("dot"+a.name+"AVX2", "is dot"+a.name+"Row")
	mask := broadcastY(nibbles)
	q.startRows()
	acc := asm.XMM()
	asm.VXORPS(acc, acc, acc)
	asm.Label("block")
	var sums, mins [4]reg.VecVirtual
	for r := range 4 {
		s := q.scaleMins(r)
		asm.VPERMQ(op.Imm(0xd8), s, s) // scales, mins
		mins[r] = asm.XMM()
		asm.VEXTRACTI128(op.Imm(1), s, mins[r])
		asm.VPMADDWD(at(q.y, superSums32), mins[r], mins[r])
		asm.VINSERTI128(op.Imm(1), s.AsX(), s, s)
		sums[r] = asm.YMM()
		for j := range 4 {
			hi, lo, scale := asm.YMM(), asm.YMM(), asm.YMM()
			asm.VMOVDQU(q.row(r, a.qs+32*j), hi)
			asm.VPAND(mask, hi, lo)
			asm.VPSRLW(op.Imm(4), hi, hi)
			asm.VPAND(mask, hi, hi)
			if a.high() {
				for v, y := range []reg.VecVirtual{lo, hi} {
					bit := asm.YMM()
					asm.VMOVDQU(q.row(r, 16), bit)
					switch n := 4 - (2*j + v); {
					case n > 0:
						asm.VPSLLW(op.Imm(uint64(n)), bit, bit)
					case n < 0:
						asm.VPSRLW(op.Imm(uint64(-n)), bit, bit)
					}
					asm.VPAND(sym("bit4", 0), bit, bit)
					asm.VPOR(bit, y, y)
				}
			}
			asm.VPMADDUBSW(at(q.y, 64*j), lo, lo)
			asm.VPMADDUBSW(at(q.y, 64*j+32), hi, hi)
			asm.VPSHUFB(sym("q4Spread", 64*j), s, scale)
			asm.VPMADDWD(scale, lo, lo)
			asm.VPSHUFB(sym("q4Spread", 64*j+32), s, scale)
			asm.VPMADDWD(scale, hi, hi)
			if j == 0 {
				asm.VPADDD(hi, lo, sums[r])
				continue
			}
			asm.VPADDD(hi, lo, lo)
			asm.VPADDD(lo, sums[r], sums[r])
		}
	}
	min := hadd4(mins[0], mins[1], mins[2], mins[3])
	sum := foldY(hadd4(sums[0], sums[1], sums[2], sums[3]))
	d, dmin := q.dAndMin()
	q.addAffine(acc, sum, min, d, dmin)
	q.endBlock(a.size, superSize)
	q.endRows(acc)
}
