package quant

import "github.com/hipengine/hipengine/tensor"

// Q2_K is super-blocks of 256 in sixteen sub-blocks of 16: scales[16] (low nibble scale, high nibble min);
// qs[64]; d, dmin f16. y = d*scale*q - dmin*min, q in 0..3. Each half n of 128 elements is four runs t of 32:
// element l of run t is bits 2t and 2t+1 of qs[32n+l]. 2.625 bits per weight.
const Q2_K = tensor.FirstGGML + 10

func init() {
	tensor.RegisterFormat(tensor.Format{DType: Q2_K, Name: "Q2_K", Block: 256, Bytes: 84, Dequant: dequantQ2_K})
}

func dequantQ2_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[84:] {
		scales, qs, d, dmin := src[:16], src[16:80], halfAt(src[80:]), halfAt(src[82:])
		for s, sm := range scales { // sub-block s is half of run s/2
			ds, dm := d*float32(sm&15), dmin*float32(sm>>4)
			n, t := s/8, s/2%4
			for l, b := range qs[32*n+16*(s&1):][:16] {
				dst[16*s+l] = float32(ds*float32(b>>(2*t)&3)) - dm
			}
		}
	}
}
