package opship

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor/quant"
)

func init() {
	layouts[quant.Q6_K] = layout{block: 256, file: 210, packed: 210, repack: repackQ6_K}
}

// repackQ6_K writes the planes of kernels/quant_q6_k.h: ql, 128 bytes a block; qh, 64 bytes, eight for each strip of
// 32 elements that share 16 bytes of ql; scales, two for each strip, and d, 18 bytes.
func repackQ6_K(dst, src []byte, n int) {
	const pairs, flip = 0x0303030303030303, 0xaaaaaaaaaaaaaaaa
	for b := range n {
		in := src[210*b:][:210]
		qh, scales := in[128:192], in[192:208]
		copy(dst[128*b:][:128], in[:128])
		high, scale := dst[128*n+64*b:][:64], dst[192*n+18*b:][:18]
		copy(scale[16:], in[208:])
		for s := range 8 {
			half, u, h := s/4, s/2%2, s%2 // of the block, of the four runs of 32, of the run
			strip := func(octet int) uint64 {
				x := binary.LittleEndian.Uint64(qh[32*half+16*h+8*octet:]) >> (2 * u)
				return x&pairs | x>>4&pairs<<2
			}
			binary.LittleEndian.PutUint64(high[8*s:], (strip(0)|strip(1)<<4)^flip)
			scale[2*s], scale[2*s+1] = scales[8*half+2*u+h], scales[8*half+2*u+h+4]
		}
	}
}
