package opship

import "github.com/hipengine/hipengine/tensor/quant"

func init() {
	layouts[quant.Q8_0] = layout{block: 32, file: 34, packed: 34, repack: repackQ8_0}
}

// repackQ8_0 writes the planes of kernels/quant_q8_0.h: codes, 32 bytes a block; then d, 2 bytes.
func repackQ8_0(dst, src []byte, n int) {
	for b := range n {
		in := src[34*b:][:34]
		copy(dst[32*b:][:32], in[2:])
		copy(dst[32*n+2*b:][:2], in)
	}
}
