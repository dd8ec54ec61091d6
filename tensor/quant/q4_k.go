package quant

import "github.com/hipengine/hipengine/tensor"

// Q4_K is super-blocks of 256 in eight sub-blocks of 32: d, dmin f16; scales[12] (see scaleMin); qs[128].
// y = d*scale*q - dmin*min with q in 0..15. Sub-blocks 2g and 2g+1 are the low and the high nibbles of
// qs[32g..32g+31]. 4.5 bits per weight.
const Q4_K = tensor.FirstGGML + 12

func init() {
	registerWeighted(tensor.Format{DType: Q4_K, Name: "Q4_K", Block: 256, Bytes: 144, Dequant: dequantQ4_K},
		blockwise(256, 144, quantQ4_K), false)
}

func dequantQ4_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[144:] {
		d, dmin := halfAt(src), halfAt(src[2:])
		scales, qs := src[4:16], src[16:144]
		for s := range 8 {
			scale, min := scaleMin(scales, s)
			ds, dm := d*float32(scale), float32(dmin*float32(min))
			shift := 4 * (s & 1)
			for l, b := range qs[s/2*32:][:32] {
				dst[32*s+l] = float32(ds*float32(b>>shift&15)) - dm
			}
		}
	}
}

func quantQ4_K(block []byte, x, imatrix []float32) {
	var codes [256]byte
	quantAffineK(block, codes[:], x, imatrix, 15, affineSearch{first: -1, step: 0.1, steps: 20})
	for g := range 4 {
		putNibbles(block[16+32*g:][:32], codes[64*g:][:64])
	}
}
