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

// dAndMin returns d and dmin of four rows. wide allows registers above 15.
func (q *quad) dAndMin(wide bool) (d, dmin reg.VecVirtual) {
	halves, all := asm.XMM(), asm.YMM()
	asm.VMOVD(q.row(0, 0), halves)
	for r := 1; r < 4; r++ {
		asm.VPINSRD(op.Imm(uint64(r)), q.row(r, 0), halves, halves)
	}
	asm.VCVTPH2PS(halves, all)
	high := asm.XMM()
	if wide {
		asm.VEXTRACTF32X4(op.Imm(1), all, high)
	} else {
		asm.VEXTRACTF128(op.Imm(1), all, high)
	}
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
	word := func(j int) uint16 { // of scale j among the words of scaleMins
		if j < 4 {
			return uint16(j)
		}
		return uint16(j + 4)
	}
	// 64 bytes of qs are sub-blocks j and j+2 in the low nibbles, j+1 and j+3 in the high ones.
	for v, p := range [4][2]int{{0, 2}, {1, 3}, {4, 6}, {5, 7}} {
		ws := make([]uint16, 32)
		for l := range ws {
			ws[l] = word(p[l/16])
		}
		words("q4Scale"+string(rune('0'+v)), ws)
	}
	words("q4Min", []uint16{4, 5, 6, 7, 12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 0})

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

func (a affineK) dotAVX512() {
	q := beginQuads("dot"+a.name+"AVX512", "is dot"+a.name+"Row")
	mask := broadcastZ(nibbles)
	var scale [4]reg.VecVirtual
	for v := range scale {
		scale[v] = loadZ("q4Scale" + string(rune('0'+v)))
	}
	minIndex := asm.YMM()
	asm.VMOVDQU(sym("q4Min", 0), minIndex)
	q.startRows()
	acc := asm.XMM()
	asm.VXORPS(acc, acc, acc)
	asm.Label("block")
	var act [4]reg.VecVirtual // the sub-blocks that stand beside each vector of nibbles
	for h := range 2 {
		a, b := asm.ZMM(), asm.ZMM()
		asm.VMOVDQU64(at(q.y, 128*h), a)
		asm.VMOVDQU64(at(q.y, 128*h+64), b)
		lo, hi := asm.ZMM(), asm.ZMM()
		asm.VSHUFI64X2(op.Imm(0x44), b, a, lo)
		asm.VSHUFI64X2(op.Imm(0xee), b, a, hi)
		act[2*h], act[2*h+1] = lo, hi
	}
	var sums, mins [4]reg.VecVirtual
	for r := range 4 {
		s := q.scaleMins(r)
		mn := asm.YMM()
		asm.VPERMW(s, minIndex, mn)
		mins[r] = mn.AsX().(reg.VecVirtual)
		asm.VPMADDWD(at(q.y, superSums32), mins[r], mins[r])
		i0, i1 := asm.ZMM(), asm.ZMM()
		asm.VPXORD(i0, i0, i0)
		asm.VPXORD(i1, i1, i1)
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
			asm.VPMADDUBSW(act[2*h], lo, lo)
			asm.VPMADDUBSW(act[2*h+1], hi, hi)
			a, b := asm.ZMM(), asm.ZMM()
			asm.VPERMW(s.AsZ(), scale[2*h], a)
			asm.VPERMW(s.AsZ(), scale[2*h+1], b)
			asm.VPDPWSSD(a, lo, i0)
			asm.VPDPWSSD(b, hi, i1)
		}
		asm.VPADDD(i1, i0, i0)
		sums[r] = i0
	}
	sum := sum4Z(sums[0], sums[1], sums[2], sums[3])
	min := hadd4X(mins[0], mins[1], mins[2], mins[3])
	d, dmin := q.dAndMin(true)
	q.addAffine(acc, sum, min, d, dmin)
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
	d, dmin := q.dAndMin(false)
	q.addAffine(acc, sum, min, d, dmin)
	q.endBlock(a.size, superSize)
	q.endRows(acc)
}
