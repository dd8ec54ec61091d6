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
	tensor.RegisterFormat(tensor.Format{DType: IQ3_XXS, Name: "IQ3_XXS", Block: 256, Bytes: 98, Dequant: dequantIQ3_XXS})
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
