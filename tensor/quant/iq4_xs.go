package quant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor"
)

// IQ4_XS is super-blocks of 256 in eight sub-blocks of 32: d f16; high uint16; low[4]; qs[128].
// y = d*(scale-32)*valuesIQ4[q]. The 6-bit scale of sub-block s has its low four bits in nibble s of low and
// its high two at bit 2s of high; the 16 bytes of a sub-block have nibbles as in [Q4_0]. 4.25 bits per weight.
const IQ4_XS = tensor.FirstGGML + 23

func init() {
	registerWeighted(tensor.Format{DType: IQ4_XS, Name: "IQ4_XS", Block: 256, Bytes: 136, Dequant: dequantIQ4_XS},
		blockwise(256, 136, quantIQ4_XS), false)
}

func dequantIQ4_XS(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[136:] {
		d, high, low, qs := halfAt(src), binary.LittleEndian.Uint16(src[2:]), src[4:8], src[8:136]
		for s := range 8 {
			scale := low[s/2]>>(4*(s&1))&15 | byte(high>>(2*s)&3<<4)
			dequantNibbles(dst[32*s:][:32], qs[16*s:][:16], d*float32(int8(scale)-32), &valuesIQ4)
		}
	}
}

func quantIQ4_XS(block []byte, x, imatrix []float32) {
	var w [32]float32
	var fitted [8]float32
	sigma2 := 2 * sumSquares(x) / 256
	for s := range 8 {
		xs := x[32*s:][:32]
		if imatrix != nil {
			importance(w[:], imatrix[32*s:], xs, sigma2)
		} else {
			squares(w[:], xs)
		}
		fitted[s] = fitIQ4(xs, w[:])
	}
	clear(block[:8])
	low, qs := block[4:8], block[8:]
	var high uint16
	d := -signedMax(fitted[:]) / 32
	putScale(block, d)
	var id float32
	if d != 0 {
		id = 1 / d
	}
	for s := range 8 {
		scale := clampNint(id*fitted[s], -32, 31)
		var codes [32]byte
		nearestIQ4(codes[:], x[32*s:][:32], d*float32(scale)) // as GGML does, with the d before rounding
		putNibbles(qs[16*s:][:16], codes[:])
		low[s/2] |= byte(scale+32) & 15 << (4 * (s & 1))
		high |= uint16(scale+32) >> 4 << (2 * s)
	}
	binary.LittleEndian.PutUint16(block[2:], high)
}
