package quant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/tensor"
)

// IQ1_S is super-blocks of 256 in eight sub-blocks of 32: d f16; qs[32]; qh uint16[8]. Group l (0..3) of 8
// elements of a sub-block has the grid index qs[4s+l] with three more bits at 3l of qh[s]; bits 12..14 are the
// scale, bit 15 makes the offset delta -1/8 instead of 1/8. y = d*(2*scale+1)*(grid+delta), grid -1, 0 or 1.
// 1.5625 bits per weight.
const IQ1_S = tensor.FirstGGML + 19

func init() {
	registerWeighted(tensor.Format{DType: IQ1_S, Name: "IQ1_S", Block: 256, Bytes: 50, Dequant: dequantIQ1_S},
		blockwise(256, 50, quantIQ1_S), true)
}

// deltaIQ1 is the offset that the IQ1 types add to or take from the points of their grid.
const deltaIQ1 = 0.125

func dequantIQ1_S(dst []float32, src []byte) {
	g := gridIQ1S()
	for ; len(dst) > 0; dst, src = dst[256:], src[50:] {
		d, qs := halfAt(src), src[2:34]
		for s := range 8 {
			h := binary.LittleEndian.Uint16(src[34+2*s:])
			scale := d * float32(2*(h>>12&7)+1)
			for l, q := range qs[4*s:][:4] {
				index := int(q) | int(h>>(3*l)&7)<<8
				dequantPointIQ1(dst[32*s+8*l:], g.point(index), scale, h&0x8000 != 0)
			}
		}
	}
}

// dequantPointIQ1 writes scale*(value+delta) for the values of a point, delta being -1/8 if negative is set.
func dequantPointIQ1(dst []float32, point []int8, scale float32, negative bool) {
	delta := float32(deltaIQ1)
	if negative {
		delta = -deltaIQ1
	}
	for j, v := range point {
		dst[j] = scale * (float32(v) + delta)
	}
}

// storedIQ1_S is a factor like storedIQ2_S.
const storedIQ1_S = 1.125

func quantIQ1_S(block []byte, x, imatrix []float32) {
	var fitted [8]ternaryFit
	var scales [8]float32
	var w [32]float32
	sigma2 := 2 * sumSquares(x) / 256
	for s := range fitted {
		xs := x[32*s:][:32]
		importance(w[:], imatrix[32*s:], xs, sigma2)
		fitted[s] = fitTernary(xs, w[:], 1)
		scales[s] = fitted[s].scale
	}
	var codes [8]byte
	d := quantOdd(scales[:], codes[:], 7)
	putScale(block, d*storedIQ1_S)
	for s, f := range fitted {
		h := uint16(codes[s]) << 12
		if f.negative[0] {
			h |= 0x8000
		}
		for l, p := range f.points {
			block[2+4*s+l] = byte(p)
			h |= p >> 8 << (3 * l)
		}
		binary.LittleEndian.PutUint16(block[34+2*s:], h)
	}
}
