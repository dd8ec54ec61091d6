package quant

import (
	"encoding/binary"
	"math"

	"github.com/hipengine/hipengine/tensor"
)

func init() {
	tensor.RegisterFormat(tensor.Format{DType: tensor.F16, Name: "F16", Block: 1, Bytes: 2, Cache: true,
		Dequant: func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = halfAt(src[2*i:])
			}
		},
		Quant: func(dst []byte, src []float32) {
			for i, x := range src {
				putHalf(dst[2*i:], x)
			}
		},
	})
}

// HalfToFloat returns the value of the IEEE 754 binary16 bits h. It is exact, subnormals and NaN payloads included.
func HalfToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, man := uint32(h>>10)&31, uint32(h)&0x3FF
	switch {
	case exp == 31: // infinity, NaN
		return math.Float32frombits(sign | 0x7F800000 | man<<13)
	case exp == 0: // zero, subnormal: man * 2^-24 is exact in float32
		return math.Float32frombits(sign | math.Float32bits(float32(man)*0x1p-24))
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// halfAt returns the little-endian binary16 value at the start of b.
func halfAt(b []byte) float32 { return HalfToFloat(binary.LittleEndian.Uint16(b)) }

// putHalf rounds x to binary16 and writes it, little-endian, to the start of b.
func putHalf(b []byte, x float32) { binary.LittleEndian.PutUint16(b, FloatToHalf(x)) }

// putScale stores a scale that a quantizer found, like putHalf, and returns the value that a reader will see.
// Elements beyond the reach of a binary16 scale saturate instead of becoming infinities, and a scale that
// overflowed on the way to NaN becomes zero: finite elements stay finite.
func putScale(b []byte, x float32) float32 {
	const maxHalf = 65504
	switch {
	case x != x:
		x = 0
	case x > maxHalf:
		x = maxHalf
	case x < -maxHalf:
		x = -maxHalf
	}
	putHalf(b, x)
	return halfAt(b)
}

// FloatToHalf rounds x to binary16, half to even; values beyond the range become infinities and NaN stays NaN.
func FloatToHalf(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7FFFFFFF
	switch {
	case b > 0x7F800000: // NaN: keep the top payload bits, and quiet it
		return sign | 0x7E00 | uint16(b>>13&0x1FF)
	case b >= 0x477FF000: // rounds to 2^16 or more
		return sign | 0x7C00
	case b < 0x38800000: // below 2^-14: the unit in the last place is 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(b))*0x1p24))
	}
	b += 0xFFF + b>>13&1 // half to even at bit 13
	return sign | uint16((b-112<<23)>>13)
}
