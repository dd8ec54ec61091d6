package quant

import "github.com/hipengine/hipengine/tensor"

// Q8_1 is blocks of 32: d, s f16; q int8[32]. y = d*q; s = d*Σq lets a dot product with a format that has a
// minimum skip the sum. It is a format of activations: no model file stores it.
const Q8_1 = tensor.FirstGGML + 9

func init() {
	tensor.RegisterFormat(tensor.Format{DType: Q8_1, Name: "Q8_1", Block: 32, Bytes: 36, Dequant: dequantQ8_1,
		Quant: quantQ8_1, Activation: true})
}

func dequantQ8_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[36:] {
		d := halfAt(src)
		for j := range 32 {
			dst[j] = d * float32(int8(src[4+j]))
		}
	}
}

// quantQ8_1 is quantQ8_0 with the sum beside it.
func quantQ8_1(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[36:], src[32:] {
		d := quantInt8(dst[4:36], src[:32])
		sum := 0
		for _, q := range dst[4:36] {
			sum += int(int8(q))
		}
		putScale(dst, d)
		putScale(dst[2:], float32(sum)*d)
	}
}
