package simd

import (
	"encoding/binary"
	"sync"

	"github.com/hipengine/hipengine/tensor/quant"
)

// convertQ3K is the definition of Convert for a block of Q3_K.
func convertQ3K(dst, src []byte) {
	le := binary.LittleEndian
	for at := 0; at < 64; at += 8 {
		n, l := at/32, at%32
		qs, high := le.Uint64(src[32+at:]), le.Uint64(src[l:])>>(4*n)
		var c [4]uint64 // codes of Q6_K are 32 too large, those of Q3_K 4
		for t := range c {
			c[t] = (qs>>(2*t)&0x0303030303030303 | high>>t&0x0101010101010101<<2) + 0x1c1c1c1c1c1c1c1c
		}
		sixBitCodes(dst, n, l, &c)
	}
	for j := range 16 {
		dst[192+j] = byte(scaleQ3K(src[96:108], j))
	}
	copy(dst[208:210], src[108:])
}

// scaleQ3K returns scale j of the 12 bytes b in which Q3_K packs sixteen, -32..31: the low four bits lie as the
// nibbles of 8 bytes, the high two in the last 4 bytes.
func scaleQ3K(b []byte, j int) int8 {
	low := b[j%8] >> (4 * (j / 8)) & 15
	high := b[8+j%4] >> (2 * (j / 4)) & 3
	return int8(low|high<<4) - 32
}

// convertIQ3S is the definition of Convert for a block of IQ3_S.
func convertIQ3S(dst, src []byte) {
	grid := gridIQ3S()
	qs, qh, signs, scales := src[2:66], src[66:74], src[74:106], src[106:110]
	for at := 0; at < 64; at += 8 {
		n, l := at/32, at%32
		var c [4]uint64
		for t := range c {
			sub := 4*n + t
			first, second := int(qs[8*sub+l/4]), int(qs[8*sub+l/4+1])
			bits := int(qh[sub]) >> (l / 4)
			points := uint64(grid[first|bits&1<<8]) | uint64(grid[second|bits>>1&1<<8])<<32
			minus := spreadBits(signs[4*sub+l/8]) * 0xff
			const zero = 0x2020202020202020
			c[t] = (zero+points)&^minus | (zero-points)&minus
		}
		sixBitCodes(dst, n, l, &c)
	}
	for sub := range 8 {
		scale := 1 + 2*(scales[sub/2]>>(4*(sub&1))&15)
		dst[192+2*sub], dst[193+2*sub] = scale, scale
	}
	copy(dst[208:210], src)
}

// sixBitCodes writes eight codes of each of the four runs of half n of a block of Q6_K, from element l of a run on.
func sixBitCodes(dst []byte, n, l int, c *[4]uint64) {
	const low = 0x0f0f0f0f0f0f0f0f
	put := binary.LittleEndian.PutUint64
	put(dst[64*n+l:], c[0]&low|c[2]&low<<4)
	put(dst[64*n+32+l:], c[1]&low|c[3]&low<<4)
	var high uint64
	for t, v := range c {
		high |= v >> 4 & 0x0303030303030303 << (2 * t)
	}
	put(dst[128+32*n+l:], high)
}

// gridIQ3S holds the magnitudes of four elements for each index of IQ3_S, as bytes. It reads them from blocks that
// name all indexes.
var gridIQ3S = sync.OnceValue(func() *[512]uint32 {
	f, _ := quant.IQ3_S.Format()
	var grid [512]uint32
	block, x := make([]byte, f.Bytes), make([]float32, f.Block)
	for first := 0; first < len(grid); first += len(x) / 4 {
		binary.LittleEndian.PutUint16(block, 0x3c00) // a scale of 1
		for i := range len(x) / 4 {
			block[2+i] = byte(first + i)
			block[66+i/8] = byte(0xff * (first >> 8))
		}
		f.Dequant(x, block)
		for i, v := range x {
			grid[first+i/4] |= uint32(v) << (8 * (i % 4))
		}
	}
	return &grid
})
