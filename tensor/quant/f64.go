package quant

import (
	"encoding/binary"
	"math"

	"github.com/hipengine/hipengine/tensor"
)

// F64 dequantizes with one rounding to float32 (half to even; magnitudes beyond its range become infinities).
func init() {
	tensor.RegisterFormat(tensor.Format{DType: tensor.F64, Name: "F64", Block: 1, Bytes: 8,
		Dequant: func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
			}
		},
		Quant: func(dst []byte, src []float32) {
			for i, x := range src {
				binary.LittleEndian.PutUint64(dst[8*i:], math.Float64bits(float64(x)))
			}
		},
	})
}
