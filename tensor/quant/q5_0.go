package quant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor"
)

// Q5_0 is blocks of 32: d f16; qh uint32; qs[16] with nibbles as in [Q4_0]. y = d*(q-16), q in 0..31; bit i of
// qh is the fifth bit of element i. 5.5 bits per weight.
const Q5_0 = tensor.FirstGGML + 6

func init() {
	registerWeighted(tensor.Format{DType: Q5_0, Name: "Q5_0", Block: 32, Bytes: 22, Dequant: dequantQ5_0}, quantQ5_0,
		false)
}

func dequantQ5_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[22:] {
		d, qh := halfAt(src), binary.LittleEndian.Uint32(src[2:])
		for j, b := range src[6:22] {
			lo, hi := fiveBits(b, qh, j)
			dst[j] = d * float32(int8(lo)-16)
			dst[j+16] = d * float32(int8(hi)-16)
		}
	}
}

// fiveBits returns the codes of elements j and j+16 from byte j of qs and the fifth bits qh.
func fiveBits(b byte, qh uint32, j int) (lo, hi byte) {
	return b&15 | byte(qh>>j&1<<4), b>>4 | byte(qh>>(j+16)&1<<4)
}

// quantQ5_0 works as quantQ4_0 does.
func quantQ5_0(dst []byte, src, imatrix []float32) {
	sigma2 := rowSigma2(src, imatrix)
	var codes [32]byte
	for i := 0; i < len(src); i, dst = i+32, dst[22:] {
		d := quantSymBlock(codes[:], src[i:][:32], window(imatrix, i, 32), sigma2, 16)
		putScale(dst, d)
		binary.LittleEndian.PutUint32(dst[2:], fifthBits(&codes))
		putNibbles(dst[6:22], codes[:])
	}
}

// fifthBits returns bit 4 of 32 codes.
func fifthBits(codes *[32]byte) (qh uint32) {
	for j, c := range codes {
		qh |= uint32(c>>4&1) << j
	}
	return qh
}
