package opship

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor/quant"
)

func init() {
	// The planes of kernels/quant_iq*.h; d is their last.
	layouts[quant.IQ2_XXS] = layout{block: 256, file: 66, packed: 66, repack: planesOfParts(66, part{2, 64}, part{0, 2})}
	layouts[quant.IQ2_XS] = layout{block: 256, file: 74, packed: 74,
		repack: planesOfParts(74, part{2, 64}, part{66, 8}, part{0, 2})}
	layouts[quant.IQ2_S] = layout{block: 256, file: 82, packed: 82, repack: repackIQ2_S}
	layouts[quant.IQ3_XXS] = layout{block: 256, file: 98, packed: 98,
		repack: planesOfParts(98, part{2, 64}, part{66, 32}, part{0, 2})}
	layouts[quant.IQ3_S] = layout{block: 256, file: 110, packed: 110,
		repack: planesOfParts(110, part{2, 64}, part{74, 32}, part{66, 8}, part{106, 4}, part{0, 2})}
	layouts[quant.IQ1_S] = layout{block: 256, file: 50, packed: 50,
		repack: planesOfParts(50, part{2, 32}, part{34, 16}, part{0, 2})}
	layouts[quant.IQ1_M] = layout{block: 256, file: 56, packed: 58, repack: repackIQ1_M}
}

// part is consecutive bytes of a block.
type part struct{ from, size int }

// planesOfParts returns a repack that makes a plane of each part of blocks of the given size, in order.
func planesOfParts(block int, parts ...part) func(dst, src []byte, n int) {
	return func(dst, src []byte, n int) {
		for _, p := range parts {
			for b := range n {
				copy(dst[p.size*b:][:p.size], src[block*b+p.from:])
			}
			dst = dst[p.size*n:]
		}
	}
}

// repackIQ2_S writes the planes of kernels/quant_iq2_s.h: four of qs and their signs in turn, 64 bytes a block; of qh
// and scales in turn, 16; d, 2.
func repackIQ2_S(dst, src []byte, n int) {
	for b := range n {
		in := src[82*b:][:82]
		codes, more := dst[64*b:][:64], dst[64*n+16*b:][:16]
		for s := range 8 {
			copy(codes[8*s:], in[2+4*s:][:4])
			copy(codes[8*s+4:], in[34+4*s:][:4])
			more[2*s], more[2*s+1] = in[66+s], in[74+s]
		}
		copy(dst[80*n+2*b:][:2], in)
	}
}

// repackIQ1_M writes the planes of kernels/quant_iq1_m.h: qs, 32 bytes a block; qh, 16; scales, two of three bits in a
// byte, 8; d, 2.
func repackIQ1_M(dst, src []byte, n int) {
	for b := range n {
		in := src[56*b:][:56]
		copy(dst[32*b:][:32], in)
		copy(dst[32*n+16*b:][:16], in[32:48])
		var d uint16
		for i := range 4 {
			word := binary.LittleEndian.Uint16(in[48+2*i:])
			d |= word >> 12 << (4 * i)
			dst[48*n+8*b+2*i], dst[48*n+8*b+2*i+1] = byte(word&63), byte(word>>6&63)
		}
		binary.LittleEndian.PutUint16(dst[56*n+2*b:], d)
	}
}
