package quant

import (
	"encoding/binary"
	"math"

	"github.com/hipengine/hipengine/tensor"
)

func init() {
	tensor.RegisterFormat(tensor.Format{DType: tensor.F32, Name: "F32", Block: 1, Bytes: 4, Cache: true,
		Dequant: func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
			}
		},
		Quant: func(dst []byte, src []float32) {
			for i, x := range src {
				binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(x))
			}
		},
	})
}
