package quant

import "github.com/hipengine/hipengine/tensor"

// TQ2_0 is blocks of 256: qs[64]; d f16. y = d*(q-1), q in 0..3 (a quantizer writes 0..2). Each half g of 128
// elements is four runs t of 32: element m of run t is bits 2t and 2t+1 of qs[32g+m]. 2.0625 bits per weight.
const TQ2_0 = tensor.FirstGGML + 35

func init() {
	tensor.RegisterFormat(tensor.Format{DType: TQ2_0, Name: "TQ2_0", Block: 256, Bytes: 66, Dequant: dequantTQ2_0,
		Quant: quantTQ2_0})
}

func dequantTQ2_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[66:] {
		qs, d := src[:64], halfAt(src[64:])
		for r := range 8 { // runs of 32
			g, t := r/4, r%4
			for m, b := range qs[32*g:][:32] {
				dst[32*r+m] = d * float32(int8(b>>(2*t)&3)-1)
			}
		}
	}
}

func quantTQ2_0(dst []byte, src []float32) {
	var codes [256]byte
	for ; len(src) > 0; dst, src = dst[66:], src[256:] {
		putScale(dst[64:], quantTrits(codes[:], src[:256]))
		putCrumbs(dst[:64], &codes)
	}
}

// quantTrits maps the largest magnitude of x to trits 0 or 2, rounding half away from one, and returns the scale.
func quantTrits(trits []byte, x []float32) (d float32) {
	d = abs(signedMax(x))
	for i, v := range x {
		trits[i] = 1
		switch {
		case 2*v >= d && v > 0:
			trits[i] = 2
		case 2*v <= -d && v < 0:
			trits[i] = 0
		}
	}
	return d
}
