package quant

import "github.com/hipengine/hipengine/tensor"

// Q4_1 is blocks of 32: d, m f16; qs[16] with nibbles as in [Q4_0]. y = d*q + m, q in 0..15. 5 bits per weight.
const Q4_1 = tensor.FirstGGML + 3

func init() {
	registerWeighted(tensor.Format{DType: Q4_1, Name: "Q4_1", Block: 32, Bytes: 20, Dequant: dequantQ4_1}, quantQ4_1,
		false)
}

func dequantQ4_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[20:] {
		d, m := halfAt(src), halfAt(src[2:])
		for j, b := range src[4:20] {
			dst[j] = float32(d*float32(b&15)) + m
			dst[j+16] = float32(d*float32(b>>4)) + m
		}
	}
}

// quantQ4_1 spans the range of the block; with an importance matrix it searches for a better one.
func quantQ4_1(dst []byte, src, imatrix []float32) {
	sigma2 := rowSigma2(src, imatrix)
	var codes [32]byte
	for i := 0; i < len(src); i, dst = i+32, dst[20:] {
		d, m := quantAffineBlock(codes[:], src[i:][:32], window(imatrix, i, 32), sigma2, 15)
		putScale(dst, d)
		putScale(dst[2:], m)
		putNibbles(dst[4:20], codes[:])
	}
}
