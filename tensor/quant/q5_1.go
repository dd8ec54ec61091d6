package quant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor"
)

// Q5_1 is blocks of 32: d, m f16; qh uint32; qs[16] as in [Q5_0]. y = d*q + m, q in 0..31. 6 bits per weight.
const Q5_1 = tensor.FirstGGML + 7

func init() {
	registerWeighted(tensor.Format{DType: Q5_1, Name: "Q5_1", Block: 32, Bytes: 24, Dequant: dequantQ5_1}, quantQ5_1,
		false)
}

func dequantQ5_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[24:] {
		d, m, qh := halfAt(src), halfAt(src[2:]), binary.LittleEndian.Uint32(src[4:])
		for j, b := range src[8:24] {
			lo, hi := fiveBits(b, qh, j)
			dst[j] = float32(d*float32(lo)) + m
			dst[j+16] = float32(d*float32(hi)) + m
		}
	}
}

// quantQ5_1 works as quantQ4_1 does.
func quantQ5_1(dst []byte, src, imatrix []float32) {
	sigma2 := rowSigma2(src, imatrix)
	var codes [32]byte
	for i := 0; i < len(src); i, dst = i+32, dst[24:] {
		d, m := quantAffineBlock(codes[:], src[i:][:32], window(imatrix, i, 32), sigma2, 31)
		putScale(dst, d)
		putScale(dst[2:], m)
		binary.LittleEndian.PutUint32(dst[4:], fifthBits(&codes))
		putNibbles(dst[8:24], codes[:])
	}
}
