package simd

import "encoding/binary"

// convertCodes is the definition of Convert for a block that becomes one of Codes.
func (c Conversion) convertCodes(dst, src []byte) {
	le := binary.LittleEndian
	scales := (*[16]byte)(dst[codesScale:])
	half, factor := src, float32(1)
	switch c {
	case Q3_K:
		half = src[108:]
		for at := 0; at < 64; at += 8 {
			n, l := at/32, at%32
			qs, high := le.Uint64(src[32+at:]), le.Uint64(src[l:])>>(4*n)
			for t := range 4 {
				const least = (128 - 4) * 0x0101010101010101
				le.PutUint64(dst[128*n+32*t+l:],
					(qs>>(2*t)&0x0303030303030303|high>>t&0x0101010101010101<<2)+least)
			}
		}
		for j := range scales {
			scales[j] = byte(scaleQ3K(src[96:108], j))
		}
	case IQ4_XS:
		high := le.Uint16(src[2:])
		for s := range 8 {
			for i, q := range src[8+16*s:][:16] {
				dst[32*s+i], dst[32*s+16+i] = byte(iq4Values[q&15])^0x80, byte(iq4Values[q>>4])^0x80
			}
			scale := src[4+s/2]>>(4*(s&1))&15 | byte(high>>(2*s)&3<<4)
			scales[2*s], scales[2*s+1] = scale-32, scale-32
		}
	case TQ2_0:
		half = src[64:]
		for at := 0; at < 64; at += 8 {
			for t := range 4 {
				le.PutUint64(dst[at/32*128+32*t+at%32:], le.Uint64(src[at:])>>(2*t)&0x0303030303030303+
					127*0x0101010101010101)
			}
		}
		ones(scales)
	case TQ1_0:
		half = src[52:]
		tritsTQ1(dst, src)
		ones(scales)
	case IQ1_M:
		var d [2]byte
		le.PutUint16(d[:], c.indexes(dst, src, scales))
		half, factor = d[:], c.grid().factor
	default:
		c.indexes(dst, src, scales)
		factor = c.grid().factor
	}
	putFloat(dst[codesD:], halfAt(half)*factor)
}

func ones(scales *[16]byte) {
	for j := range scales {
		scales[j] = 1
	}
}

// tritsTQ1 writes the codes of a block of TQ1_0: see its definition in tensor/quant.
func tritsTQ1(dst, src []byte) {
	for _, r := range [3]struct{ first, n, trits, elem int }{{0, 32, 5, 0}, {32, 16, 5, 160}, {48, 4, 4, 240}} {
		for m, b := range src[r.first:][:r.n] {
			for n := range r.trits {
				dst[r.elem+n*r.n+m] = byte(uint16(b)*3>>8) + 127
				b *= 3
			}
		}
	}
}

// scaleQ3K returns scale j of the 12 bytes b in which Q3_K packs sixteen, -32..31: the low four bits lie as the
// nibbles of 8 bytes, the high two in the last 4 bytes.
func scaleQ3K(b []byte, j int) int8 {
	low := b[j%8] >> (4 * (j / 8)) & 15
	high := b[8+j%4] >> (2 * (j / 4)) & 3
	return int8(low|high<<4) - 32
}

// indexes writes the codes and scales of a block of a type whose codes are points of a grid. It returns the float16 d
// of IQ1_M, which lies in pieces.
func (c Conversion) indexes(dst, src []byte, scales *[16]byte) (d uint16) {
	le, g := binary.LittleEndian, c.grid()
	put := func(i int, point uint64, signs byte) { // eight codes
		minus := spreadBits(signs) * 0xff
		le.PutUint64(dst[8*i:], point^minus+minus&0x0101010101010101)
	}
	odd := func(j int, scale byte) { scales[j] = 1 + 2*scale }
	odds := func(packed []byte) { // a nibble for each sixteen elements
		for j := range scales {
			odd(j, packed[j/2]>>(4*(j&1))&15)
		}
	}
	shift := func(i int, index uint16, minus bool) { // IQ1: offsets of 1/8
		const by = 0x0101010101010101
		p := g.eight(index) + by
		if minus {
			p -= 2 * by
		}
		le.PutUint64(dst[8*i:], p)
	}
	switch c {
	case IQ3_S:
		qs, qh, signs := src[2:66], src[66:74], src[74:106]
		for i, s := range signs {
			high := uint16(qh[i/4]) >> (2 * (i % 4))
			put(i, g.four(uint16(qs[2*i])|high&1<<8, uint16(qs[2*i+1])|high>>1&1<<8), s)
		}
		for s := range 8 {
			scale := src[106+s/2] >> (4 * (s & 1)) & 15
			odd(2*s, scale)
			odd(2*s+1, scale)
		}
	case IQ3_XXS:
		for i := range 32 {
			word := le.Uint32(src[66+i/4*4:])
			put(i, g.four(uint16(src[2+2*i]), uint16(src[3+2*i])), eightSigns(byte(word>>(7*(i%4)))))
			odd(i/2, byte(word>>28))
		}
	case IQ2_XXS:
		for i := range 32 {
			word := le.Uint32(src[6+i/4*8:])
			put(i, g.eight(uint16(src[2+i/4*8+i%4])), eightSigns(byte(word>>(7*(i%4)))))
			odd(i/2, byte(word>>28))
		}
	case IQ2_XS:
		for i := range 32 {
			w := le.Uint16(src[2+2*i:])
			put(i, g.eight(w&511), eightSigns(byte(w>>9)))
		}
		odds(src[66:74])
	case IQ2_S:
		for i, s := range src[34:66] {
			put(i, g.eight(uint16(src[2+i])|uint16(src[66+i/4])>>(2*(i%4))&3<<8), s)
		}
		odds(src[74:82])
	case IQ1_S:
		for i, q := range src[2:34] {
			h := le.Uint16(src[34+i/4*2:])
			shift(i, uint16(q)|h>>(3*(i%4))&7<<8, h&0x8000 != 0)
			odd(i/2, byte(h>>12&7))
		}
	case IQ1_M:
		for i, q := range src[:32] {
			h := uint16(src[32+i/2]) >> (4 * (i & 1))
			shift(i, uint16(q)|h&7<<8, h&8 != 0)
		}
		for j := range scales {
			w := le.Uint16(src[48+j/4*2:])
			odd(j, byte(w>>(3*(j%4))&7))
			d |= w >> 12 << (4 * (j / 4)) // four times the same
		}
	}
	return d
}

// eightSigns returns the sign bits of eight elements of which the low seven bits of s hold seven: the number of those
// that are set is even.
func eightSigns(s byte) byte {
	s &= 127
	p := s ^ s>>4
	return s | byte(uint16(0x6996)>>(p&15))<<7
}
