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
	tensor.RegisterFormat(tensor.Format{DType: NVFP4, Name: "NVFP4", Block: 64, Bytes: 36, Dequant: dequantNVFP4})
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
	exp, man := int(x>>3&15), float32(x&7)
	switch {
	case x == 0x7F:
		return 0
	case exp == 0:
		return man * 0x1p-9
	}
	return (1 + man/8) * math.Float32frombits(uint32(exp-7+127)<<23)
}
