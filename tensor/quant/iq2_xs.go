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
	tensor.RegisterFormat(tensor.Format{DType: IQ2_XS, Name: "IQ2_XS", Block: 256, Bytes: 74, Dequant: dequantIQ2_XS})
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
