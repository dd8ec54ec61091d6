package quant

import (
	"math"

	"github.com/hipengine/hipengine/tensor"
)

// NVFP4 is blocks of 64 in four sub-blocks of 16: d UE4M3[4]; qs[32]. y = d*E2M1(q), formed as
// d/2 * valuesFP4[q]. Byte j (0..7) of a sub-block holds its elements j (low nibble) and j+8 (high nibble). The
// float32 scale that may stand beside such a tensor is not part of its blocks. 4.5 bits per weight.
const NVFP4 = tensor.FirstGGML + 40

func init() {
	tensor.RegisterFormat(tensor.Format{DType: NVFP4, Name: "NVFP4", Block: 64, Bytes: 36, Dequant: dequantNVFP4,
		Quant: quantNVFP4})
}

func dequantNVFP4(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[64:], src[36:] {
		for s, x := range src[:4] {
			dequantNibbles(dst[16*s:][:16], src[4+8*s:][:8], 0.5*ue4m3(x), &valuesFP4)
		}
	}
}

// ue4m3 returns the value of an unsigned E4M3 number. The top bit is ignored. 0x7F, NaN in E4M3, is 0: the code
// of a scale that a reader cannot use must not poison the block.
func ue4m3(x byte) float32 {
	exp, man := int(x>>3&15), int(x&7)
	switch {
	case x == 0x7F:
		return 0
	case exp == 0:
		return float32(man) * 0x1p-9
	}
	return float32(8+man) * math.Float32frombits(uint32(exp-10+127)<<23)
}

// quantNVFP4 maps the largest magnitude of a sub-block to about the largest E2M1, 6.
func quantNVFP4(dst []byte, src []float32) {
	var codes [16]byte
	for ; len(src) > 0; dst, src = dst[36:], src[64:] {
		for s := range 4 {
			x := src[16*s:][:16]
			dst[s] = toUE4M3(abs(signedMax(x)) / 6)
			nearestFP4(codes[:], x, 0.5*ue4m3(dst[s]))
			putNibbles(dst[4+8*s:][:8], codes[:])
		}
	}
}

// toUE4M3 rounds x, not negative, to unsigned E4M3, half up; values beyond 448, the largest, saturate.
func toUE4M3(x float32) byte {
	const largest = 0x7E
	switch {
	case !(x > 0):
		return 0
	case x >= 448:
		return largest
	case x < 0x1p-6: // subnormal: units of 2^-9
		// Seven and a half units or more stay seven: GGML does not carry into the smallest normal number.
		return byte(min(7, int(float32(x*512)+0.5)))
	}
	b := math.Float32bits(x)
	code := (b>>20 - (127-7)<<3) + b>>19&1 // three mantissa bits, and the first that falls off
	return byte(min(code, largest))
}
