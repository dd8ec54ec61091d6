package quant

import "github.com/hipengine/hipengine/tensor"

// IQ3_S is super-blocks of 256 in eight sub-blocks of 32: d f16; qs[64]; qh[8]; signs[32]; scales[4], a nibble
// a sub-block. Each four elements have the grid index qs[i] with a ninth bit at i%8 of qh[i/8], and plain sign
// bits. y = d*(1+2*scale)*grid. 3.4375 bits per weight.
const IQ3_S = tensor.FirstGGML + 21

func init() {
	registerWeighted(tensor.Format{DType: IQ3_S, Name: "IQ3_S", Block: 256, Bytes: 110, Dequant: dequantIQ3_S},
		blockwise(256, 110, quantIQ3_S), false)
}

func dequantIQ3_S(dst []float32, src []byte) {
	g := gridIQ3S()
	for ; len(dst) > 0; dst, src = dst[256:], src[110:] {
		d, qs, qh, signs, scales := halfAt(src), src[2:66], src[66:74], src[74:106], src[106:110]
		for i, q := range qs { // groups of 4
			scale := d * float32(1+2*(scales[i/16]>>(4*(i/8&1))&15))
			index := int(q) | int(qh[i/8]>>(i%8)&1)<<8
			dequantPoint(dst[4*i:], g.point(index), scale, signs[i/2]>>(4*(i&1)))
		}
	}
}

// storedIQ3_S is a factor like storedIQ2_S.
const storedIQ3_S = 1.033

var fitIQ3_S = gridFit{search: searchIQ3S, n: 32, sigma: 2, steps: 9, step: 0.2, refine: refineIfAny}

func quantIQ3_S(block []byte, x, imatrix []float32) {
	b := fitIQ3_S.block(x, imatrix)
	putScale(block, b.d*storedIQ3_S)
	qs, qh, signs, scales := block[2:66], block[66:74], block[74:106], block[106:110]
	clear(qh)
	for i, p := range b.points {
		qs[i] = byte(p)
		qh[i/8] |= byte(p>>8) << (i % 8)
	}
	copy(signs, b.signs[:])
	putScales4(scales, b.scales[:])
}
