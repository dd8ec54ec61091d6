package opship

import "github.com/hipengine/hipengine/tensor/quant"

func init() {
	layouts[quant.Q2_K] = layout{block: 256, file: 84, packed: 84, repack: repackQ2_K}
}

// repackQ2_K writes the planes of kernels/quant_q2_k.h: qs, 64 bytes a block; scales by strips, 16; d and dmin, 4.
func repackQ2_K(dst, src []byte, n int) {
	for b := range n {
		in := src[84*b:][:84]
		copy(dst[64*b:][:64], in[16:80])
		for i := range 16 {
			dst[64*n+16*b+i] = in[stripScale(i)]
		}
		copy(dst[80*n+4*b:][:4], in[80:])
	}
}

// stripScale returns which of the 16 scales of a block is number i of those by strips: of run i%4 of strip i/4.
func stripScale(i int) int { return i/8*8 + 2*(i%4) + i/4%2 }
