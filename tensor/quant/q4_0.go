package quant

import "github.com/hipengine/hipengine/tensor"

// Q4_0 is blocks of 32: d f16; qs[16]. y = d*(q-8), q in 0..15. Byte j holds elements j (low nibble) and j+16
// (high nibble), as in all nibble formats of 32 elements. 4.5 bits per weight.
const Q4_0 = tensor.FirstGGML + 2

func init() {
	tensor.RegisterFormat(tensor.Format{DType: Q4_0, Name: "Q4_0", Block: 32, Bytes: 18, Dequant: dequantQ4_0})
}

func dequantQ4_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[18:] {
		d := halfAt(src)
		for j, b := range src[2:18] {
			dst[j] = d * float32(int8(b&15)-8)
			dst[j+16] = d * float32(int8(b>>4)-8)
		}
	}
}
