package quant

import "github.com/hipengine/hipengine/tensor"

// IQ3_S is super-blocks of 256 in eight sub-blocks of 32: d f16; qs[64]; qh[8]; signs[32]; scales[4], a nibble
// a sub-block. Each four elements have the grid index qs[i] with a ninth bit at i%8 of qh[i/8], and plain sign
// bits. y = d*(1+2*scale)*grid. 3.4375 bits per weight.
const IQ3_S = tensor.FirstGGML + 21

func init() {
	tensor.RegisterFormat(tensor.Format{DType: IQ3_S, Name: "IQ3_S", Block: 256, Bytes: 110, Dequant: dequantIQ3_S})
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
