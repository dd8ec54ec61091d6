package quant

import "github.com/hipengine/hipengine/tensor"

// Q3_K is super-blocks of 256 in sixteen sub-blocks of 16: hmask[32]; qs[64]; scales[12]; d f16.
// y = d*scale*q, q in -4..3, scale in -32..31. The low two bits of q lie as in [Q2_K]; bit r of hmask[l] is the
// high bit of element l of run r (0..7) of 32. 3.4375 bits per weight.
const Q3_K = tensor.FirstGGML + 11

func init() {
	registerWeighted(tensor.Format{DType: Q3_K, Name: "Q3_K", Block: 256, Bytes: 110, Dequant: dequantQ3_K},
		blockwise(256, 110, quantQ3_K), false)
}

func dequantQ3_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[110:] {
		hmask, qs, scales, d := src[:32], src[32:96], src[96:108], halfAt(src[108:])
		for s := range 16 {
			ds := d * float32(scaleQ3_K(scales, s))
			n, r, first := s/8, s/2, 16*(s&1)
			for l := first; l < first+16; l++ {
				q := qs[32*n+l]>>(2*(r%4))&3 | hmask[l]>>r&1<<2
				dst[32*r+l] = ds * float32(int8(q)-4)
			}
		}
	}
}

// scaleQ3_K returns 6-bit scale j (0..15) of the 12 bytes b. Byte j%8 holds the low four bits of scales j%8
// (low nibble) and j%8+8 (high nibble); byte 8+j%4 holds the high two bits of four scales.
func scaleQ3_K(b []byte, j int) int8 {
	low := b[j%8] >> (4 * (j / 8)) & 15
	high := b[8+j%4] >> (2 * (j / 4)) & 3
	return int8(low|high<<4) - 32
}

func quantQ3_K(block []byte, x, imatrix []float32) {
	var codes [256]byte
	var fitted, sumW, w [16]float32
	sigma2 := 2 * sumSquares(x) / 256
	for s := range 16 {
		xs := x[16*s:][:16]
		if imatrix != nil {
			importance(w[:], imatrix[16*s:], xs, sigma2)
			sumW[s] = sum(w[:])
			fitted[s] = fitSym(xs, w[:], codes[16*s:], 4)
		} else {
			squares(w[:], xs)
			fitted[s] = fitDescent(xs, w[:], codes[16*s:], 4)
		}
	}

	hmask, qs, scales := block[:32], block[32:96], block[96:108]
	clear(hmask)
	clear(scales)
	var q [16]int8 // scales, -32..31
	var d float32
	if imatrix != nil {
		var l [16]byte
		d = fitSym(fitted[:], sumW[:], l[:], 32)
		for s, c := range l {
			q[s] = int8(c) - 32
		}
	} else {
		d = quantSigned(fitted[:], q[:], -32, 31)
	}
	d = putScale(block[108:], d)
	for s, v := range q {
		c := byte(v + 32)
		scales[s%8] |= c & 15 << (4 * (s / 8))
		scales[8+s%4] |= c >> 4 << (2 * (s / 4))
		requantSym(codes[16*s:][:16], x[16*s:], d*float32(v), 4)
	}
	for i, c := range codes {
		hmask[i%32] |= c >> 2 << (i / 32)
	}
	putCrumbs(qs, &codes)
}
