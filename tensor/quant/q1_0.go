package quant

import "github.com/hipengine/hipengine/tensor"

// Q1_0 is blocks of 128: d f16; qs[16]. Element j is +d if bit j (least significant first) is set, else -d.
// 1.125 bits per weight.
const Q1_0 = tensor.FirstGGML + 41

func init() {
	tensor.RegisterFormat(tensor.Format{DType: Q1_0, Name: "Q1_0", Block: 128, Bytes: 18, Dequant: dequantQ1_0,
		Quant: quantQ1_0})
}

func dequantQ1_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[128:], src[18:] {
		d, qs := halfAt(src), src[2:18]
		for j := range 128 {
			dst[j] = -d
			if qs[j/8]>>(j%8)&1 != 0 {
				dst[j] = d
			}
		}
	}
}

// quantQ1_0 keeps the signs, with zero as positive, and the mean magnitude: the scale of least squared error.
func quantQ1_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[18:], src[128:] {
		clear(dst[:18])
		var sumAbs float32
		for j, x := range src[:128] {
			sumAbs += abs(x)
			if x >= 0 {
				dst[2+j/8] |= 1 << (j % 8)
			}
		}
		putScale(dst, sumAbs/128)
	}
}
