package opship

import "github.com/hipengine/hipengine/tensor/quant"

func init() {
	layouts[quant.IQ4_XS] = layout{block: 256, file: 136, packed: 138, repack: repackIQ4_XS}
}

// repackIQ4_XS writes the planes of kernels/quant_iq4_xs.h: qs, 128 bytes a block; scales as signed bytes, 8; d, 2.
func repackIQ4_XS(dst, src []byte, n int) {
	for b := range n {
		in := src[136*b:][:136]
		copy(dst[128*b:][:128], in[8:])
		for s := range 8 {
			high := (uint(in[2]) | uint(in[3])<<8) >> (2 * s) & 3
			dst[128*n+8*b+s] = in[4+s/2]>>(4*(s%2))&15 | byte(high<<4) - 32
		}
		copy(dst[136*n+2*b:][:2], in)
	}
}
