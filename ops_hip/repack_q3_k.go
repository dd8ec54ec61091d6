package opship

import "github.com/hipengine/hipengine/tensor/quant"

func init() {
	layouts[quant.Q3_K] = layout{block: 256, file: 110, packed: 114, repack: repackQ3_K}
}

// repackQ3_K writes the planes of kernels/quant_q3_k.h: qs, 64 bytes a block; flipped high bits by strips, 32; scales
// by strips as signed bytes, 16; d, 2.
func repackQ3_K(dst, src []byte, n int) {
	for b := range n {
		in := src[110*b:][:110]
		hmask, scales := in[:32], in[96:108]
		copy(dst[64*b:][:64], in[32:96])
		high := dst[64*n+32*b:][:32]
		clear(high)
		for e := range 256 {
			half, j, h, l := e/128, e/32%4, e/16%2, e%16
			bit := ^hmask[16*h+l] >> (4*half + j) & 1
			high[8*(2*half+h)+4*(j/2)+l%4] |= bit << (4*(j%2) + l/4)
		}
		for i := range 16 {
			s := stripScale(i)
			low, top := scales[s%8]>>(4*(s/8))&15, scales[8+s%4]>>(2*(s/4))&3
			dst[96*n+16*b+i] = low | top<<4 - 32
		}
		copy(dst[112*n+2*b:][:2], in[108:])
	}
}
