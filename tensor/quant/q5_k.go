package quant

import "github.com/hipengine/hipengine/tensor"

// Q5_K is super-blocks of 256 in eight sub-blocks of 32: d, dmin f16; scales[12] (see scaleMin); qh[32];
// qs[128]. y = d*scale*q - dmin*min with q in 0..31: the low four bits lie as in Q4_K, and bit s of qh[l] is
// the fifth bit of element l of sub-block s. 5.5 bits per weight.
const Q5_K = tensor.FirstGGML + 13

func init() {
	registerWeighted(tensor.Format{DType: Q5_K, Name: "Q5_K", Block: 256, Bytes: 176, Dequant: dequantQ5_K},
		blockwise(256, 176, quantQ5_K), false)
}

func dequantQ5_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[176:] {
		d, dmin := halfAt(src), halfAt(src[2:])
		scales, qh, qs := src[4:16], src[16:48], src[48:176]
		for s := range 8 {
			scale, min := scaleMin(scales, s)
			ds, dm := d*float32(scale), float32(dmin*float32(min))
			shift := 4 * (s & 1)
			for l, b := range qs[s/2*32:][:32] {
				q := b>>shift&15 | qh[l]>>s&1<<4
				dst[32*s+l] = float32(ds*float32(q)) - dm
			}
		}
	}
}

func quantQ5_K(block []byte, x, imatrix []float32) {
	var codes [256]byte
	quantAffineK(block, codes[:], x, imatrix, 31, affineSearch{first: -0.5, step: 0.1, steps: 15})
	qh, qs := block[16:48], block[48:176]
	clear(qh)
	for i, c := range codes {
		qh[i%32] |= c >> 4 & 1 << (i / 32)
	}
	for g := range 4 {
		putNibbles(qs[32*g:][:32], codes[64*g:][:64])
	}
}
