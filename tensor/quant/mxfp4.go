package quant

import (
	"math"

	"github.com/hipengine/hipengine/tensor"
)

// MXFP4 is blocks of 32: e E8M0; qs[16] with nibbles as in [Q4_0]. y = 2^(e-127) * E2M1(q). Formed here as
// 2^(e-128) * valuesFP4[q], whose levels are doubled to be integers. e = 255, NaN in the OCP Microscaling
// specification, is the power of two like any other, as in GGML. 4.25 bits per weight.
const MXFP4 = tensor.FirstGGML + 39

func init() {
	tensor.RegisterFormat(tensor.Format{DType: MXFP4, Name: "MXFP4", Block: 32, Bytes: 17, Dequant: dequantMXFP4,
		Quant: quantMXFP4})
}

// valuesFP4 are the sixteen values of E2M1 (sign, two exponent bits, one mantissa bit), doubled. Code 8 is
// minus zero, which the format's readers do not tell from zero.
var valuesFP4 = [16]float32{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

func dequantMXFP4(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[17:] {
		dequantNibbles(dst[:32], src[1:17], halfE8M0(src[0]), &valuesFP4)
	}
}

// halfE8M0 returns 2^(e-128), half the value of the E8M0 scale e. It is subnormal in float32 for e < 2.
func halfE8M0(e byte) float32 {
	if e < 2 {
		return math.Float32frombits(0x00200000 << e)
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

// quantMXFP4 takes the scale with which the largest magnitude falls into the last octave of E2M1, and for each
// element the nearest value.
func quantMXFP4(dst []byte, src []float32) {
	var codes [32]byte
	for ; len(src) > 0; dst, src = dst[17:], src[32:] {
		dst[0] = 0
		if m := abs(signedMax(src[:32])); m > 0 {
			_, exp := math.Frexp(float64(m)) // 2^(exp-1) <= m < 2^exp
			dst[0] = byte(max(0, exp-1-2+127))
		}
		nearestFP4(codes[:], src[:32], halfE8M0(dst[0]))
		putNibbles(dst[1:17], codes[:])
	}
}

// nearestFP4 sets codes to those of the values scale*valuesFP4 nearest to x, the lowest of equals.
func nearestFP4(codes []byte, x []float32, scale float32) {
	for j, v := range x {
		best := float32(math.Inf(1))
		codes[j] = 0
		for q, level := range valuesFP4 {
			if e := abs(float32(scale*level) - v); e < best {
				best, codes[j] = e, byte(q)
			}
		}
	}
}
