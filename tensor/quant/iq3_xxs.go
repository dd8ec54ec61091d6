package quant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor"
)

// IQ3_XXS is super-blocks of 256 in eight sub-blocks of 32: d f16; qs[64], a grid index for each four elements;
// signs uint32[8], each four 7-bit sign indices and, on top, the 4-bit scale. y = d*(0.5+scale)*0.5*grid.
// 3.0625 bits per weight.
const IQ3_XXS = tensor.FirstGGML + 18

func init() {
	registerWeighted(tensor.Format{DType: IQ3_XXS, Name: "IQ3_XXS", Block: 256, Bytes: 98, Dequant: dequantIQ3_XXS},
		blockwise(256, 98, quantIQ3_XXS), false)
}

func dequantIQ3_XXS(dst []float32, src []byte) {
	g := gridIQ3XXS()
	for ; len(dst) > 0; dst, src = dst[256:], src[98:] {
		d, qs := halfAt(src), src[2:66]
		for i := range 32 { // groups of 8
			word := binary.LittleEndian.Uint32(src[66+i/4*4:])
			scale := d * (0.5 + float32(word>>28)) * 0.5
			signs := paritySigns(word >> (7 * (i % 4)))
			dequantPoint(dst[8*i:], g.point(int(qs[2*i])), scale, signs)
			dequantPoint(dst[8*i+4:], g.point(int(qs[2*i+1])), scale, signs>>4)
		}
	}
}

// storedIQ3_XXS is a factor like storedIQ2_S.
const storedIQ3_XXS = 1.0125

var fitIQ3_XXS = gridFit{search: searchIQ3XXS, n: 32, parity: true, sigma: 2, tiny: 1e-8,
	steps: 15, step: 0.2, refine: refineOffGrid}

func quantIQ3_XXS(block []byte, x, imatrix []float32) {
	b := fitIQ3_XXS.block(x, imatrix)
	putScale(block, b.d*storedIQ3_XXS)
	for i, p := range b.points {
		block[2+i] = byte(p)
	}
	for s := range 8 {
		word := uint32(b.scales[s]) << 28
		for l := range 4 {
			word |= uint32(b.signs[4*s+l]&127) << (7 * l)
		}
		binary.LittleEndian.PutUint32(block[66+4*s:], word)
	}
}
