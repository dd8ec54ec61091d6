package quant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor"
)

// Q5_0 is blocks of 32: d f16; qh uint32; qs[16] with nibbles as in [Q4_0]. y = d*(q-16), q in 0..31; bit i of
// qh is the fifth bit of element i. 5.5 bits per weight.
const Q5_0 = tensor.FirstGGML + 6

func init() {
	tensor.RegisterFormat(tensor.Format{DType: Q5_0, Name: "Q5_0", Block: 32, Bytes: 22, Dequant: dequantQ5_0})
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
