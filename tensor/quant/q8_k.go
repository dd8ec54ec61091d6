package quant

import (
	"encoding/binary"
	"math"

	"github.com/hipengine/hipengine/tensor"
)

// Q8_K is super-blocks of 256: d float32; q int8[256]; sums int16[16], the sums of q over runs of 16. y = d*q.
// It is the format of activations beside the types with super-blocks: no model file stores it.
const Q8_K = tensor.FirstGGML + 15

func init() {
	tensor.RegisterFormat(tensor.Format{DType: Q8_K, Name: "Q8_K", Block: 256, Bytes: 292, Dequant: dequantQ8_K,
		Quant: quantQ8_K, Activation: true})
}

func dequantQ8_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[292:] {
		d := math.Float32frombits(binary.LittleEndian.Uint32(src))
		for j, b := range src[4:260] {
			dst[j] = d * float32(int8(b))
		}
	}
}

// quantQ8_K maps the element of largest magnitude of a super-block, with its sign, to -127.
func quantQ8_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[292:], src[256:] {
		clear(dst[:292])
		m := signedMax(src[:256])
		if m == 0 {
			continue
		}
		iscale := -127 / m
		for j, x := range src[:256] {
			q := int8(clampNint(iscale*x, -127, 127))
			dst[4+j] = byte(q)
			sum := dst[260+j/16*2:]
			binary.LittleEndian.PutUint16(sum, binary.LittleEndian.Uint16(sum)+uint16(q))
		}
		// At the end of the range of float32, 127 rounded steps could be infinite.
		const largest = math.MaxFloat32 / 127 * (1 - 0x1p-23)
		d := max(-largest, min(largest, 1/iscale))
		binary.LittleEndian.PutUint32(dst, math.Float32bits(d))
	}
}
