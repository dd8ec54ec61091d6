package quant

import "github.com/hipengine/hipengine/tensor"

// Q3_K is super-blocks of 256 in sixteen sub-blocks of 16: hmask[32]; qs[64]; scales[12]; d f16.
// y = d*scale*q, q in -4..3, scale in -32..31. The low two bits of q lie as in [Q2_K]; bit r of hmask[l] is the
// high bit of element l of run r (0..7) of 32. 3.4375 bits per weight.
const Q3_K = tensor.FirstGGML + 11

func init() {
	tensor.RegisterFormat(tensor.Format{DType: Q3_K, Name: "Q3_K", Block: 256, Bytes: 110, Dequant: dequantQ3_K})
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
