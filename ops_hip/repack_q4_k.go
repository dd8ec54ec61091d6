package opship

import "github.com/hipengine/hipengine/tensor/quant"

func init() {
	layouts[quant.Q4_K] = layout{block: 256, file: 144, packed: 148, repack: repackQ4_K}
}

// repackQ4_K writes the planes of kernels/quant_q4_k.h: qs, 128 bytes a block; scales and mins with 8 bits instead of
// 6, those of sub-blocks 2g and 2g+1 as scale, scale, min, min, and d and dmin, 20 bytes.
func repackQ4_K(dst, src []byte, n int) {
	for b := range n {
		in := src[144*b:][:144]
		copy(dst[128*b:][:128], in[16:])
		expandScales(dst[128*n+20*b:][:20], in)
	}
}

// expandScales writes the scales and mins of a block of Q4_K or Q5_K, then d and dmin, with which the block starts.
func expandScales(out, block []byte) {
	codes := block[4:16]
	copy(out[16:], block[:4])
	for j := range 2 {
		// Sub-blocks 0 to 3 have six bits in one byte; 4 to 7 four bits here and two at the top of another.
		out[4*j], out[4*j+1] = codes[2*j]&63, codes[2*j+1]&63
		out[4*j+2], out[4*j+3] = codes[4+2*j]&63, codes[5+2*j]&63
		low, next := codes[8+2*j], codes[9+2*j]
		out[8+4*j], out[9+4*j] = low&15|codes[2*j]>>6<<4, next&15|codes[2*j+1]>>6<<4
		out[10+4*j], out[11+4*j] = low>>4|codes[4+2*j]>>6<<4, next>>4|codes[5+2*j]>>6<<4
	}
}
