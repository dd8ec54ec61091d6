package opship

import "github.com/hipengine/hipengine/tensor/quant"

func init() {
	layouts[quant.Q5_K] = layout{block: 256, file: 176, packed: 180, repack: repackQ5_K}
}

// repackQ5_K writes the planes of kernels/quant_q5_k.h: those of Q4_K, then high bits, 32 bytes a block.
func repackQ5_K(dst, src []byte, n int) {
	for b := range n {
		in := src[176*b:][:176]
		copy(dst[128*b:][:128], in[48:])
		expandScales(dst[128*n+20*b:][:20], in)
		qh := in[16:48]
		for d := range 8 { // dwords
			s, h := d&6, d%2
			spreadFifth(dst[148*n+32*b+4*d:][:4], func(e int) byte { return qh[16*h+e%16] >> (s + e/16) & 1 })
		}
	}
}
