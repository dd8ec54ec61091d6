package opship

import "github.com/hipengine/hipengine/tensor/quant"

func init() {
	layouts[quant.NVFP4] = layout{block: 64, file: 36, packed: 36, repack: repackNVFP4}
}

// repackNVFP4 writes the planes of kernels/quant_nvfp4.h: nibbles, 32 bytes a block, in the order of quant_nibbles.h;
// scales, 4.
func repackNVFP4(dst, src []byte, n int) {
	for b := range n {
		in, out := src[36*b:][:36], dst[32*b:][:32]
		copy(dst[32*n+4*b:][:4], in)
		for i := range 32 {
			pair, l := i/16, i%16 // of sub-blocks; element of each
			at := func(sub int) byte { return in[4+8*sub+l%8] >> (4 * (l / 8)) & 15 }
			out[i] = at(2*pair) | at(2*pair+1)<<4
		}
	}
}
