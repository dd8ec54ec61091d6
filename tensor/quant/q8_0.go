package quant

import (
	"math"

	"github.com/hipengine/hipengine/tensor"
)

// Q8_0 is blocks of 32: d f16, q int8[32]; y = d*q. 8.5 bits per weight.
const Q8_0 = tensor.FirstGGML + 8

func init() {
	tensor.RegisterFormat(tensor.Format{DType: Q8_0, Name: "Q8_0", Block: 32, Bytes: 34, Dequant: dequantQ8_0,
		Quant: quantQ8_0, Cache: true})
}

func dequantQ8_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[34:] {
		d := halfAt(src)
		for j := range 32 {
			dst[j] = d * float32(int8(src[2+j]))
		}
	}
}

func quantQ8_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[34:], src[32:] {
		putScale(dst, quantInt8(dst[2:34], src[:32]))
	}
}

// quantInt8 maps the largest magnitude of x to 127, rounding half away from zero, and returns the scale. It
// multiplies by the float32 reciprocal, as GGML does: dividing rounds a few codes differently.
func quantInt8(codes []byte, x []float32) (d float32) {
	d = abs(signedMax(x)) / 127
	var id float32
	if d != 0 {
		id = 1 / d
	}
	for j, v := range x {
		// The clamp is for subnormal d, of which 1/d is infinite.
		q := max(-127, min(127, math.Round(float64(v*id))))
		if q != q { // 0 times infinity
			q = 0
		}
		codes[j] = byte(int8(q))
	}
	return d
}
