package quant

import "github.com/hipengine/hipengine/tensor"

// Q2_0 is blocks of 64: d f16; qs[16], four 2-bit codes a byte, least significant first. y = (q-1)*d, q in 0..3.
// 2.25 bits per weight.
const Q2_0 = tensor.FirstGGML + 42

func init() {
	tensor.RegisterFormat(tensor.Format{DType: Q2_0, Name: "Q2_0", Block: 64, Bytes: 18, Dequant: dequantQ2_0,
		Quant: quantQ2_0})
}

func dequantQ2_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[64:], src[18:] {
		d, qs := halfAt(src), src[2:18]
		for j := range 64 {
			dst[j] = float32(int8(qs[j/4]>>(2*(j%4))&3)-1) * d
		}
	}
}

// quantQ2_0 maps the largest magnitude of a block to code 0 or 2.
func quantQ2_0(dst []byte, src []float32) {
	var codes [64]byte
	for ; len(src) > 0; dst, src = dst[18:], src[64:] {
		putScale(dst, quantTrits(codes[:], src[:64]))
		clear(dst[2:18])
		for j, c := range codes {
			dst[2+j/4] |= c << (2 * (j % 4))
		}
	}
}
