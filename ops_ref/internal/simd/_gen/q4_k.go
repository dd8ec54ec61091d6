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

// addAffine adds (d*sum - dmin*mins)*dy, each step rounded, to the results of column c.
func (q *quad) addAffine(c int, sum, mins, d, dmin reg.VecVirtual) {
	asm.VCVTDQ2PS(sum, sum)
	asm.VMULPS(d, sum, sum)
	asm.VCVTDQ2PS(mins, mins)
	asm.VMULPS(dmin, mins, mins)
	asm.VSUBPS(mins, sum, sum)
	q.addTimes(c, sum, superD)
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
		for lane := range 4 { // sub-blocks j and j+2 of the four that 64 bytes hold
			j := 4*h + lane/2
			for _, sub := range []int{j, j + 2} {
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
	for v, p := range [4][2]int{{4, 3}, {2, 1}, {0, 1}, {2, 3}} {
		ws := make([]uint16, 32)
		for l := range ws {
			ws[l] = uint16(p[l/16])
		}
		words("q5Shift"+string(rune('0'+v)), ws)
	}
	lowHigh := make([]uint16, 32) // shifts that leave the low nibbles of one half of a register and the high ones of the other
	for l := range lowHigh {
		lowHigh[l] = uint16(l / 16 * 4)
	}
	words("q4LowHigh", lowHigh)
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

func (a affineK) dotAVX512(cols int) {
	q := beginColumns("dot"+a.name+times(cols)+"AVX512", "is dot"+a.name+"Row", cols)
	unpacked := asm.AllocLocal(64)
	mask, lowHigh := broadcastZ(nibbles), loadZ("q4LowHigh")
	// Copies of a zero cost nothing, and unlike VPXORD they do not count as uses of their target.
	zero := asm.ZMM()
	asm.VPXORD(zero, zero, zero)
	q.startRows()
	d, dmin, scales := q.headers(mask)
	asm.VMOVDQU64(scales, unpacked)
	sums := make([][4]reg.VecVirtual, cols)
	for r := range 4 {
		for c := range cols {
			sums[c][r] = asm.ZMM()
			asm.VMOVDQA64(zero, sums[c][r])
		}
		row := asm.ZMM()
		asm.VBROADCASTI32X4(unpacked.Offset(16*r), row)
		for h := range 2 {
			fetch(q.ahead, 4*a.size, 2*r+h, 8)
			var codes [2]reg.VecVirtual // of two sub-blocks each
			for p := range codes {
				codes[p] = asm.ZMM()
				asm.VBROADCASTI64X4(q.row(r, a.qs+64*h+32*p), codes[p])
				asm.VPSRLVW(lowHigh, codes[p], codes[p])
				if !a.high() {
					asm.VPANDD(mask, codes[p], codes[p])
					continue
				}
				bit := asm.ZMM()
				asm.VBROADCASTI64X4(q.row(r, 16), bit)
				shift := asm.VPSLLVW
				if h == 1 {
					shift = asm.VPSRLVW
				}
				shift(sym("q5Shift"+string(rune('0'+2*h+p)), 0), bit, bit)
				asm.VPANDD(sym("bit4", 0), bit, bit)
				asm.VPTERNLOGD(op.Imm(0xf8), mask, codes[p], bit) // bit |= codes & 15
				codes[p] = bit
			}
			scale := asm.ZMM()
			asm.VPSHUFB(sym("q4Scale"+string(rune('0'+h)), 0), row, scale)
			for c := range cols {
				// Sums of four products, below 2^14, become words: those of both vectors side by side in each lane.
				x, y := asm.ZMM(), asm.ZMM()
				asm.VMOVDQA64(zero, x)
				asm.VMOVDQA64(zero, y)
				asm.VPDPBUSD(q.column(c, 128*h), codes[0], x)
				asm.VPDPBUSD(q.column(c, 128*h+64), codes[1], y)
				asm.VPACKSSDW(y, x, x)
				asm.VPDPWSSD(scale, x, sums[c][r])
			}
		}
	}
	for c, s := range sums {
		sum := sum4Z(s[0], s[1], s[2], s[3])
		// Products of mins: one lane for each row.
		mins, t := asm.ZMM(), asm.ZMM()
		asm.VMOVDQU64(unpacked, mins)
		asm.VPSHUFB(sym("q4Min", 0), mins, mins)
		asm.VBROADCASTI32X4(q.column(c, superSums32), t)
		asm.VPMADDWD(t, mins, mins)
		for _, step := range []uint64{0xb1, 0x4e} {
			asm.VPSHUFD(op.Imm(step), mins, t)
			asm.VPADDD(t, mins, mins)
		}
		asm.VPERMD(mins, loadZ("laneFirst"), mins)
		q.addAffine(c, sum, mins.AsX().(reg.VecVirtual), d, dmin)
	}
	q.endBlock(a.size, superSize)
	q.endRows()
}

func (a affineK) dotAVX2() {
	q := beginQuads("dot"+a.name+"AVX2", "is dot"+a.name+"Row")
	mask := broadcastY(nibbles)
	q.startRows()
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
			fetch(q.ahead, 4*a.size, 4*r+j, 16)
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
	q.addAffine(0, sum, min, d, dmin)
	q.endBlock(a.size, superSize)
	q.endRows()
}
