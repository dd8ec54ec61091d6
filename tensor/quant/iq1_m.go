package quant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor"
)

// IQ1_M is super-blocks of 256 in sixteen sub-blocks of 16: qs[32]; qh[16]; scales uint16[4]. Group i of 8
// elements has the grid index qs[i] with three more bits, and the sign of its offset, in nibble i of qh. Each
// word of scales holds four 3-bit scales and, on top, a nibble of the binary16 d. y = d*(2*scale+1)*(grid+delta)
// as in [IQ1_S]. 1.75 bits per weight.
const IQ1_M = tensor.FirstGGML + 29

func init() {
	registerWeighted(tensor.Format{DType: IQ1_M, Name: "IQ1_M", Block: 256, Bytes: 56, Dequant: dequantIQ1_M},
		blockwise(256, 56, quantIQ1_M), false)
}

func dequantIQ1_M(dst []float32, src []byte) {
	g := gridIQ1S()
	for ; len(dst) > 0; dst, src = dst[256:], src[56:] {
		qs, qh := src[:32], src[32:48]
		var words [4]uint16
		var half uint16
		for k := range words {
			words[k] = binary.LittleEndian.Uint16(src[48+2*k:])
			half |= words[k] >> 12 << (4 * k)
		}
		d := HalfToFloat(half)
		for i, q := range qs { // two groups a sub-block, eight a word of scales
			scale := d * float32(2*(words[i/8]>>(3*(i/2%4))&7)+1)
			nibble := qh[i/2] >> (4 * (i & 1))
			index := int(q) | int(nibble&7)<<8
			dequantPointIQ1(dst[8*i:], g.point(index), scale, nibble&8 != 0)
		}
	}
}

// storedIQ1_M is a factor like storedIQ2_S.
const storedIQ1_M = 1.1125

func quantIQ1_M(block []byte, x, imatrix []float32) {
	var fitted [16]ternaryFit
	var scales [16]float32
	var w [256]float32
	sigma2 := 2 * sumSquares(x) / 256
	if imatrix != nil {
		importance(w[:], imatrix, x, sigma2)
	} else {
		squares(w[:], x)
	}
	for s := range fitted {
		fitted[s] = fitTernary(x[16*s:][:16], w[16*s:][:16], 2)
		scales[s] = fitted[s].scale
	}
	var codes [16]byte
	d := quantOdd(scales[:], codes[:], 7)

	clear(block)
	qs, qh := block[:32], block[32:48]
	var words [4]uint16
	var a, b float32 // Σ w*x*l and Σ w*l² of the whole block, for the last scale
	for s, f := range fitted {
		words[s/4] |= uint16(codes[s]) << (3 * (s % 4))
		for k, p := range f.points[:2] {
			nibble := byte(p >> 8)
			if f.negative[k] {
				nibble |= 8
			}
			qs[2*s+k] = byte(p)
			qh[s] |= nibble << (4 * k)
			levels := ternaryLevels(f.negative[k])
			for i, digit := range searchIQ1S().point(int(p)) {
				j := 16*s + 8*k + i
				l := levels[digit] * float32(2*codes[s]+1)
				a += float32(w[j] * l * x[j])
				b += float32(w[j] * l * l)
			}
		}
	}
	if d == 0 {
		clear(block)
		return
	}
	if b > 0 {
		d = a / b
	}
	var half [2]byte
	putScale(half[:], d*storedIQ1_M)
	for k := range words {
		nibble := half[k/2] >> (4 * (k & 1)) & 15
		binary.LittleEndian.PutUint16(block[48+2*k:], words[k]|uint16(nibble)<<12)
	}
}
