package quant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor"
)

// IQ4_XS is super-blocks of 256 in eight sub-blocks of 32: d f16; high uint16; low[4]; qs[128].
// y = d*(scale-32)*valuesIQ4[q]. The 6-bit scale of sub-block s has its low four bits in nibble s of low and
// its high two at bit 2s of high; the 16 bytes of a sub-block have nibbles as in [Q4_0]. 4.25 bits per weight.
const IQ4_XS = tensor.FirstGGML + 23

func init() {
	tensor.RegisterFormat(tensor.Format{DType: IQ4_XS, Name: "IQ4_XS", Block: 256, Bytes: 136, Dequant: dequantIQ4_XS})
}

func dequantIQ4_XS(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[136:] {
		d, high, low, qs := halfAt(src), binary.LittleEndian.Uint16(src[2:]), src[4:8], src[8:136]
		for s := range 8 {
			scale := low[s/2]>>(4*(s&1))&15 | byte(high>>(2*s)&3<<4)
			dequantNibbles(dst[32*s:][:32], qs[16*s:][:16], d*float32(int8(scale)-32), &valuesIQ4)
		}
	}
}
