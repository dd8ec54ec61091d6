package quant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor"
)

// IQ1_M is super-blocks of 256 in sixteen sub-blocks of 16: qs[32]; qh[16]; scales uint16[4]. Group i of 8
// elements has the grid index qs[i] with three more bits, and the sign of its offset, in nibble i of qh. Each
// word of scales holds four 3-bit scales and, on top, a nibble of the binary16 d. y = d*(2*scale+1)*(grid+delta)
// as in [IQ1_S]. 1.75 bits per weight.
const IQ1_M = tensor.FirstGGML + 29

func init() {
	tensor.RegisterFormat(tensor.Format{DType: IQ1_M, Name: "IQ1_M", Block: 256, Bytes: 56, Dequant: dequantIQ1_M})
}

func dequantIQ1_M(dst []float32, src []byte) {
	g := gridIQ1S()
	for ; len(dst) > 0; dst, src = dst[256:], src[56:] {
		qs, qh := src[:32], src[32:48]
		var words [4]uint16
		var half uint16
		for k := range words {
			words[k] = binary.LittleEndian.Uint16(src[48+2*k:])
			half |= words[k] >> 12 << (4 * k)
		}
		d := HalfToFloat(half)
		for i, q := range qs { // two groups a sub-block, eight a word of scales
			scale := d * float32(2*(words[i/8]>>(3*(i/2%4))&7)+1)
			nibble := qh[i/2] >> (4 * (i & 1))
			index := int(q) | int(nibble&7)<<8
			dequantPointIQ1(dst[8*i:], g.point(index), scale, nibble&8 != 0)
		}
	}
}
