package main

import (
	"fmt"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Conversions of types whose codes are points of a grid. The grid lies in memory as words, see grids.go of package simd:
// permutations of 64 words look up 32 indexes at once, and the bits of an index above the sixth choose among their
// results.

// gridConstants writes the constants of these conversions.
func gridConstants() {
	for bit := 6; bit < 11; bit++ {
		sameWords(fmt.Sprintf("bit%d", bit), 1<<bit)
	}
	for _, size := range []int{4, 8} { // elements of a point: each word as often as its dwords or qwords have words
		n := size / 2
		shifts := make([]uint16, 32)
		for l := range shifts {
			shifts[l] = uint16(l % n * 8 / n)
		}
		words(fmt.Sprintf("points%dShifts", size), shifts)
		for part := range n {
			index := make([]uint16, 32)
			for l := range index {
				index[l] = uint16(32/n*part + l/n)
			}
			words(fmt.Sprintf("points%dPart%d", size, part), index)
		}
	}
	for h := range 2 {
		var each []uint32 // dwords of four sub-blocks, four times each
		for l := range 16 {
			each = append(each, uint32(4*h+l/4))
		}
		dwords(fmt.Sprintf("fourEach%d", h), each)
	}
	var sevens []uint32
	var fours, threes, twos []uint16
	for l := range 32 {
		fours = append(fours, uint16(l/4))
		threes = append(threes, uint16(l%4*3))
		twos = append(twos, uint16(8-2*(l%4)))
		if l < 16 {
			sevens = append(sevens, uint32(l%4*7))
		}
	}
	dwords("sevens", sevens)
	words("fourWords", fours)
	words("threeShifts", threes)
	words("twoShifts", twos)
	even("seven7", 0x7f)
	var parity []byte // of nibbles, as the highest bit
	for i := range 32 {
		parity = append(parity, byte(uint16(0x6996)>>(i%16))<<7)
	}
	bytes("parity", parity)
	sameWords("ninth", 0x100)
	sameWords("below512", 0x1ff)
	sameWords("bits89", 0x300)
	sameWords("bits8to10", 0x700)
	sameWords("bit3", 8)
	dwords("nibbleWords", []uint32{0x000f000f})
	dwords("quarter", []uint32{0x3e800000})
	dwords("eighth", []uint32{0x3e000000})
	dwords("twos4", []uint32{0x02020202})
	even("seven", 7)
}

// gridConversion is a conversion with a grid.
type gridConversion struct {
	*conversion
	size         int // elements of a point
	points       int
	words        reg.GPVirtual
	values       reg.VecVirtual
	shifts, mask reg.VecVirtual
	zero         reg.VecVirtual
}

// beginGrid starts a kernel for blocks of bytes bytes with so many points of size elements.
func beginGrid(name string, bytes, size, points int) *gridConversion {
	c := &gridConversion{conversion: beginConversion(name, "AVX512", ", words *uint16, values *byte", bytes), size: size,
		points: points, words: gp("words"), values: asm.ZMM(), zero: asm.ZMM()}
	asm.VBROADCASTI32X4(at(gp("values"), 0), c.values)
	asm.VPXORD(c.zero, c.zero, c.zero)
	c.shifts = loadZ(fmt.Sprintf("points%dShifts", size))
	c.mask = broadcastZ(map[int]string{4: nibbles, 8: low2}[size])
	c.block()
	return c
}

// lookup returns the words of points that 32 indexes name.
func (c *gridConversion) lookup(index reg.VecVirtual) reg.VecVirtual {
	bits := map[int]reg.Register{}
	for bit := 6; 1<<bit < c.points; bit++ {
		k := asm.K()
		asm.VPTESTMW(sym(fmt.Sprintf("bit%d", bit), 0), index, k)
		bits[bit] = k
	}
	var among func(first, n int) reg.VecVirtual
	among = func(first, n int) reg.VecVirtual {
		if n == 64 {
			low, z := asm.ZMM(), asm.ZMM()
			asm.VMOVDQU64(at(c.words, 2*first), low)
			asm.VMOVDQA64(index, z)
			asm.VPERMI2W(at(c.words, 2*first+64), low, z)
			return z
		}
		a, b := among(first, n/2), among(first+n/2, n/2)
		bit := 6
		for 128<<(bit-6) < n {
			bit++
		}
		asm.VMOVDQU16(b, bits[bit], a)
		return a
	}
	return among(0, c.points)
}

// codes returns 64 codes of points: part of those whose words are given.
func (c *gridConversion) codes(words reg.VecVirtual, part int) reg.VecVirtual {
	z := asm.ZMM()
	asm.VPERMW(words, loadZ(fmt.Sprintf("points%dPart%d", c.size, part)), z)
	asm.VPSRLVW(c.shifts, z, z)
	asm.VPANDD(c.mask, z, z)
	asm.VPSHUFB(z, c.values, z)
	return z
}

// signed writes the codes of all points that words name as codes from element first on, with the signs of which m gives
// the bytes.
func (c *gridConversion) signed(words reg.VecVirtual, first int, m func(disp int) op.Mem) {
	for part := range c.size / 2 {
		z, k, at0 := c.codes(words, part), asm.K(), first+64*part
		asm.KMOVQ(m(at0/8), k)
		asm.VPSUBB(z, c.zero, k, z)
		asm.VMOVDQU64(z, at(c.dst, at0))
	}
}

// evenSigns completes 32 times seven signs, see eightSigns, and returns where they are.
func (c *gridConversion) evenSigns(s reg.VecVirtual, local op.Mem) func(disp int) op.Mem {
	high, table, p := asm.YMM(), asm.YMM(), asm.YMM()
	asm.VPAND(sym("seven7", 0), s, s)
	asm.VMOVDQU(sym("parity", 0), table)
	asm.VPSRLW(op.Imm(4), s, high)
	asm.VPAND(sym("low4y", 0), s, p)
	asm.VPAND(sym("low4y", 0), high, high)
	asm.VPSHUFB(p, table, p)
	asm.VPSHUFB(high, table, high)
	asm.VPXOR(high, p, p)
	asm.VPOR(p, s, s)
	asm.VMOVDQU(s, local)
	return func(disp int) op.Mem { return local.Offset(disp) }
}

// signWords takes apart the eight dwords of four times seven signs and a scale: it writes the scales, and returns where
// the signs are.
func (c *gridConversion) signWords(w reg.VecVirtual, local op.Mem) func(disp int) op.Mem {
	var half [2]reg.VecVirtual
	for h := range half {
		z := asm.ZMM()
		asm.VPERMD(w.AsZ(), loadZ(fmt.Sprintf("fourEach%d", h)), z)
		asm.VPSRLVD(sym("sevens", 0), z, z)
		half[h] = asm.YMM()
		asm.VPMOVDB(z, half[h].AsX())
	}
	asm.VINSERTI128(op.Imm(1), half[1].AsX(), half[0], half[0])
	scales := asm.XMM()
	asm.VPSRLD(op.Imm(28), w, w)
	asm.VPMOVDW(w, scales)
	asm.VPACKUSWB(scales, scales, scales)
	asm.VPUNPCKLBW(scales, scales, scales)
	c.odd(scales)
	return c.evenSigns(half[0], local)
}

// sixteenScales writes the sixteen nibbles at disp as scales.
func (c *gridConversion) sixteenScales(disp int) {
	low, up := asm.XMM(), asm.XMM()
	asm.VMOVQ(at(c.src, disp), low)
	asm.VPSRLW(op.Imm(4), low, up)
	asm.VPUNPCKLBW(up, low, low)
	asm.VPAND(sym("low4y", 0), low, low)
	c.odd(low)
}

// bytesAsWords returns n bytes at disp of the block as words.
func (c *gridConversion) bytesAsWords(disp int) reg.VecVirtual {
	z := asm.ZMM()
	asm.VPMOVZXBW(at(c.src, disp), z)
	return z
}

// ternary writes the codes of the 32 points of index, of IQ1: less of an offset of 1, or more where minus has a bit.
func (c *gridConversion) ternary(index reg.VecVirtual, minus reg.Register) {
	words, one, two := c.lookup(index), broadcastZ("ones4"), broadcastZ("twos4")
	for part := range 4 {
		z, k := c.codes(words, part), asm.K()
		asm.VPADDB(one, z, z)
		asm.KSHIFTRD(op.Imm(uint64(8*part)), minus, k)
		asm.VPSUBQ(two, z, k, z)
		asm.VMOVDQU64(z, at(c.dst, 64*part))
	}
}

// gridConversions writes the conversions with grids.
func gridConversions() {
	gridConstants()

	c := beginGrid("IQ3S", 110, 4, 512)
	for h := range 2 {
		index, k := c.bytesAsWords(2+32*h), asm.K()
		asm.KMOVD(at(c.src, 66+4*h), k)
		asm.VPADDW(loadZ("ninth"), index, k, index)
		c.signed(c.lookup(index), 128*h, c.inBlock(74))
	}
	c.odd(nibblePairs(at(c.src, 106)))
	c.d(0, "")
	c.end()

	c = beginGrid("IQ3XXS", 98, 4, 256)
	local := asm.AllocLocal(32)
	w := asm.YMM()
	asm.VMOVDQU(at(c.src, 66), w)
	signs := c.signWords(w, local)
	for h := range 2 {
		c.signed(c.lookup(c.bytesAsWords(2+32*h)), 128*h, signs)
	}
	c.d(0, "quarter")
	c.end()

	c = beginGrid("IQ2XXS", 66, 8, 256)
	local = asm.AllocLocal(32)
	z, index := asm.ZMM(), asm.ZMM()
	w = asm.YMM()
	asm.VMOVDQU64(at(c.src, 2), z)
	asm.VPMOVQD(z, index.AsY())
	asm.VPMOVZXBW(index.AsY(), index)
	asm.VPSRLQ(op.Imm(32), z, z)
	asm.VPMOVQD(z, w)
	c.signed(c.lookup(index), 0, c.signWords(w, local))
	c.d(0, "eighth")
	c.end()

	c = beginGrid("IQ2XS", 74, 8, 512)
	local = asm.AllocLocal(32)
	z, index = asm.ZMM(), asm.ZMM()
	w = asm.YMM()
	asm.VMOVDQU64(at(c.src, 2), z)
	asm.VPANDD(sym("below512", 0), z, index)
	asm.VPSRLW(op.Imm(9), z, z)
	asm.VPMOVWB(z, w)
	c.signed(c.lookup(index), 0, c.evenSigns(w, local))
	c.sixteenScales(66)
	c.d(0, "eighth")
	c.end()

	c = beginGrid("IQ2S", 82, 8, 1024)
	index, high := c.bytesAsWords(2), asm.ZMM()
	asm.VPMOVZXBW(at(c.src, 66), high.AsX())
	asm.VPERMW(high, loadZ("fourWords"), high)
	asm.VPSLLVW(sym("twoShifts", 0), high, high)
	asm.VPANDD(sym("bits89", 0), high, high)
	asm.VPORD(high, index, index)
	c.signed(c.lookup(index), 0, c.inBlock(34))
	c.sixteenScales(74)
	c.d(0, "eighth")
	c.end()

	c = beginGrid("IQ1S", 50, 8, 2048)
	index, high = c.bytesAsWords(2), asm.ZMM()
	h, scales, minus := asm.XMM(), asm.XMM(), asm.K()
	asm.VMOVDQU(at(c.src, 34), h)
	asm.VPERMW(h.AsZ(), loadZ("fourWords"), high)
	asm.VPMOVW2M(high, minus)
	asm.VPSRLVW(sym("threeShifts", 0), high, high)
	asm.VPSLLW(op.Imm(8), high, high)
	asm.VPANDD(sym("bits8to10", 0), high, high)
	asm.VPORD(high, index, index)
	c.ternary(index, minus)
	asm.VPSRLW(op.Imm(12), h, scales)
	asm.VPACKUSWB(scales, scales, scales)
	asm.VPUNPCKLBW(scales, scales, scales)
	asm.VPAND(sym("seven", 0), scales, scales)
	c.odd(scales)
	c.d(0, "eighth")
	c.end()

	c = beginGrid("IQ1M", 56, 8, 2048)
	index, high, minus = c.bytesAsWords(0), asm.ZMM(), asm.K()
	up := asm.ZMM()
	asm.VPMOVZXBD(at(c.src, 32), high)
	asm.VPSLLD(op.Imm(12), high, up)
	asm.VPORD(up, high, high)
	asm.VPANDD_BCST(sym("nibbleWords", 0), high, high)
	asm.VPTESTMW(sym("bit3", 0), high, minus)
	asm.VPSLLW(op.Imm(8), high, high)
	asm.VPANDD(sym("bits8to10", 0), high, high)
	asm.VPORD(high, index, index)
	c.ternary(index, minus)
	wide, fours := asm.ZMM(), asm.YMM()
	asm.VMOVQ(at(c.src, 48), wide.AsX())
	asm.VMOVDQU(sym("fourWords", 0), fours)
	asm.VPERMW(wide.AsY(), fours, wide.AsY())
	asm.VPSRLVW(sym("threeShifts", 0), wide.AsY(), wide.AsY())
	asm.VPMOVWB(wide.AsY(), wide.AsX())
	asm.VPAND(sym("seven", 0), wide.AsX(), wide.AsX())
	c.odd(wide.AsX().(reg.VecVirtual))
	half := asm.GP64()
	asm.XORQ(half, half)
	for i := range 4 {
		part := asm.GP64()
		asm.MOVWLZX(at(c.src, 48+2*i), part.As32())
		asm.SHRL(op.Imm(12), part.As32())
		asm.SHLL(op.Imm(uint64(4*i)), part.As32())
		asm.ORQ(part, half)
	}
	c.scale(half.As32(), "eighth")
	c.end()
}
