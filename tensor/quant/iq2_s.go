package quant

import "github.com/hipengine/hipengine/tensor"

// IQ2_S is super-blocks of 256 in sixteen sub-blocks of 16: d f16; qs[32]; signs[32]; qh[8]; scales[8], a
// nibble a sub-block. Group i of 8 elements has the grid index qs[i] with two more bits at 2(i%4) of qh[i/4],
// and plain sign bits. y = d*(0.5+scale)*0.25*grid. 2.5625 bits per weight.
const IQ2_S = tensor.FirstGGML + 22

func init() {
	registerWeighted(tensor.Format{DType: IQ2_S, Name: "IQ2_S", Block: 256, Bytes: 82, Dequant: dequantIQ2_S},
		blockwise(256, 82, quantIQ2_S), false)
}

func dequantIQ2_S(dst []float32, src []byte) {
	g := gridIQ2S()
	for ; len(dst) > 0; dst, src = dst[256:], src[82:] {
		d, qs, signs, qh, scales := halfAt(src), src[2:34], src[34:66], src[66:74], src[74:82]
		for i, q := range qs {
			scale := d * (0.5 + float32(scales[i/4]>>(4*(i/2&1))&15)) * 0.25
			index := int(q) | int(qh[i/4]>>(2*(i%4))&3)<<8
			dequantPoint(dst[8*i:], g.point(index), scale, signs[i])
		}
	}
}

// storedIQ2_S is a factor on the stored d, as GGML applies it. The IQ3 and IQ1 types have one too.
const storedIQ2_S = 0.9875

var fitIQ2_S = gridFit{search: searchIQ2S, n: 16, sigma: 2, plain: 0.25, tiny: 1e-8,
	steps: 9, step: 0.1, refine: refineOffGrid}

func quantIQ2_S(block []byte, x, imatrix []float32) {
	b := fitIQ2_S.block(x, imatrix)
	putScale(block, b.d*storedIQ2_S)
	qs, signs, qh, scales := block[2:34], block[34:66], block[66:74], block[74:82]
	clear(qh)
	for i, p := range b.points[:32] {
		qs[i] = byte(p)
		qh[i/4] |= byte(p>>8) << (2 * (i % 4))
	}
	copy(signs, b.signs[:])
	putScales4(scales, b.scales[:])
}
