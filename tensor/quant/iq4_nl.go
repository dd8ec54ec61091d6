package quant

import "github.com/hipengine/hipengine/tensor"

// IQ4_NL is blocks of 32: d f16; qs[16] with nibbles as in [Q4_0]. y = d*valuesIQ4[q]. 4.5 bits per weight.
const IQ4_NL = tensor.FirstGGML + 20

func init() {
	tensor.RegisterFormat(tensor.Format{DType: IQ4_NL, Name: "IQ4_NL", Block: 32, Bytes: 18, Dequant: dequantIQ4_NL})
}

// valuesIQ4 are the sixteen levels of IQ4_NL and IQ4_XS, denser near zero where weights are.
var valuesIQ4 = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func dequantIQ4_NL(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[18:] {
		dequantNibbles(dst[:32], src[2:18], halfAt(src), &valuesIQ4)
	}
}

// dequantNibbles writes scale*values[q] for the nibbles of qs: byte j holds elements j and j+len(qs).
func dequantNibbles(dst []float32, qs []byte, scale float32, values *[16]float32) {
	for j, b := range qs {
		dst[j] = scale * values[b&15]
		dst[j+len(qs)] = scale * values[b>>4]
	}
}
