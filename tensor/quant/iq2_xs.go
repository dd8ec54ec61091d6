package quant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor"
)

// IQ2_XS is super-blocks of 256 in sixteen sub-blocks of 16: d f16; qs uint16[32]; scales[8], a nibble a
// sub-block. A word is a 9-bit grid index and, above it, a 7-bit sign index. y = d*(0.5+scale)*0.25*grid.
// 2.3125 bits per weight.
const IQ2_XS = tensor.FirstGGML + 17

func init() {
	registerWeighted(tensor.Format{DType: IQ2_XS, Name: "IQ2_XS", Block: 256, Bytes: 74, Dequant: dequantIQ2_XS},
		blockwise(256, 74, quantIQ2_XS), true)
}

func dequantIQ2_XS(dst []float32, src []byte) {
	g := gridIQ2XS()
	for ; len(dst) > 0; dst, src = dst[256:], src[74:] {
		d, qs, scales := halfAt(src), src[2:66], src[66:74]
		for i := range 32 { // groups of 8
			scale := d * (0.5 + float32(scales[i/4]>>(4*(i/2&1))&15)) * 0.25
			w := binary.LittleEndian.Uint16(qs[2*i:])
			dequantPoint(dst[8*i:], g.point(int(w&511)), scale, paritySigns(uint32(w>>9)))
		}
	}
}

var fitIQ2_XS = gridFit{search: searchIQ2XS, n: 16, parity: true, sigma: 1, tiny: fitEpsilon,
	steps: 9, step: 0.1, refine: refineOffGrid}

func quantIQ2_XS(block []byte, x, imatrix []float32) {
	b := fitIQ2_XS.block(x, imatrix)
	putScale(block, b.d)
	for i, signs := range b.signs {
		binary.LittleEndian.PutUint16(block[2+2*i:], b.points[i]|uint16(signs&127)<<9)
	}
	putScales4(block[66:74], b.scales[:])
}

// putScales4 packs 4-bit scales in pairs, the first in the low nibble.
func putScales4(dst, scales []byte) {
	for i := range dst {
		dst[i] = scales[2*i] | scales[2*i+1]<<4
	}
}
