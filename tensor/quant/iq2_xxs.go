package quant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor"
)

// IQ2_XXS is super-blocks of 256 in eight sub-blocks of 32: d f16; qs uint32[8][2]. The first word of a
// sub-block is four grid indices, the second four 7-bit sign indices and, on top, the 4-bit scale.
// y = d*(0.5+scale)*0.25*grid. 2.0625 bits per weight.
const IQ2_XXS = tensor.FirstGGML + 16

func init() {
	registerWeighted(tensor.Format{DType: IQ2_XXS, Name: "IQ2_XXS", Block: 256, Bytes: 66, Dequant: dequantIQ2_XXS},
		blockwise(256, 66, quantIQ2_XXS), true)
}

func dequantIQ2_XXS(dst []float32, src []byte) {
	g := gridIQ2XXS()
	for ; len(dst) > 0; dst, src = dst[256:], src[66:] {
		d := halfAt(src)
		for s := range 8 {
			qs := src[2+8*s:][:8]
			signs := binary.LittleEndian.Uint32(qs[4:])
			scale := d * (0.5 + float32(signs>>28)) * 0.25
			for l, index := range qs[:4] {
				dequantPoint(dst[32*s+8*l:], g.point(int(index)), scale, paritySigns(signs>>(7*l)))
			}
		}
	}
}

var fitIQ2_XXS = gridFit{search: searchIQ2XXS, n: 32, parity: true, sigma: 1, tiny: fitEpsilon,
	steps: 6, step: 0.1, fitRange: true, refine: refineAll}

func quantIQ2_XXS(block []byte, x, imatrix []float32) {
	b := fitIQ2_XXS.block(x, imatrix)
	putScale(block, b.d)
	for s := range 8 {
		qs := block[2+8*s:][:8]
		word := uint32(b.scales[s]) << 28
		for l := range 4 {
			qs[l] = byte(b.points[4*s+l])
			word |= uint32(b.signs[4*s+l]&127) << (7 * l)
		}
		binary.LittleEndian.PutUint32(qs[4:], word)
	}
}
