package quant

import (
	"math"

	"github.com/hipengine/hipengine/tensor"
)

// Q8_0 is blocks of 32: d f16, q int8[32]; y = d*q. 8.5 bits per weight.
const Q8_0 = tensor.FirstGGML + 8

func init() {
	tensor.RegisterFormat(tensor.Format{DType: Q8_0, Name: "Q8_0", Block: 32, Bytes: 34, Dequant: dequantQ8_0, Quant: quantQ8_0})
}

func dequantQ8_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[34:] {
		d := halfAt(src)
		for j := range 32 {
			dst[j] = d * float32(int8(src[2+j]))
		}
	}
}

// quantQ8_0 maps the largest magnitude of a block to 127. It multiplies by the float32 reciprocal, as GGML
// does: dividing rounds a few codes differently.
func quantQ8_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[34:], src[32:] {
		var amax float32
		for _, x := range src[:32] {
			amax = max(amax, float32(math.Abs(float64(x))))
		}
		d := amax / 127
		var id float32
		if d != 0 {
			id = 1 / d
		}
		putHalf(dst, d)
		for j, x := range src[:32] {
			dst[2+j] = byte(int8(math.Round(float64(x * id))))
		}
	}
}
