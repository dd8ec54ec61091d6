package quant

import (
	"encoding/binary"
	"math"

	"github.com/hipengine/hipengine/tensor"
)

func init() {
	tensor.RegisterFormat(tensor.Format{DType: tensor.BF16, Name: "BF16", Block: 1, Bytes: 2, Cache: true,
		Dequant: func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = BFloatToFloat(binary.LittleEndian.Uint16(src[2*i:]))
			}
		},
		Quant: func(dst []byte, src []float32) {
			for i, x := range src {
				binary.LittleEndian.PutUint16(dst[2*i:], FloatToBFloat(x))
			}
		},
	})
}

// BFloatToFloat returns the value of the bfloat16 bits b: they are the upper half of a float32, so it is exact.
func BFloatToFloat(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// FloatToBFloat rounds x to bfloat16, half to even; values that round beyond the range become infinities and
// NaN stays a (quiet) NaN.
func FloatToBFloat(x float32) uint16 {
	b := math.Float32bits(x)
	if b&0x7FFFFFFF > 0x7F800000 { // NaN: rounding could carry its payload into infinity
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7FFF + b>>16&1) >> 16)
}
