package quant

import "github.com/hipengine/hipengine/tensor"

// Q2_K is super-blocks of 256 in sixteen sub-blocks of 16: scales[16] (low nibble scale, high nibble min);
// qs[64]; d, dmin f16. y = d*scale*q - dmin*min, q in 0..3. Each half n of 128 elements is four runs t of 32:
// element l of run t is bits 2t and 2t+1 of qs[32n+l]. 2.625 bits per weight.
const Q2_K = tensor.FirstGGML + 10

func init() {
	registerWeighted(tensor.Format{DType: Q2_K, Name: "Q2_K", Block: 256, Bytes: 84, Dequant: dequantQ2_K},
		blockwise(256, 84, quantQ2_K), false)
}

func dequantQ2_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[84:] {
		scales, qs, d, dmin := src[:16], src[16:80], halfAt(src[80:]), halfAt(src[82:])
		for s, sm := range scales { // sub-block s is half of run s/2
			ds, dm := d*float32(sm&15), float32(dmin*float32(sm>>4))
			n, t := s/8, s/2%4
			for l, b := range qs[32*n+16*(s&1):][:16] {
				dst[16*s+l] = float32(ds*float32(b>>(2*t)&3)) - dm
			}
		}
	}
}

func quantQ2_K(block []byte, x, imatrix []float32) {
	var codes [256]byte
	var scales, mins, sumW, w [16]float32
	sigma2 := sumSquares(x) / 256
	for s := range 16 {
		xs := x[16*s:][:16]
		search := searchWeighted
		if imatrix != nil {
			importance(w[:], imatrix[16*s:], xs, sigma2)
			sumW[s] = sum(w[:])
		} else {
			search = affineSearch{first: -0.5, step: 0.1, steps: 15, magnitudes: true}
			for l, v := range xs {
				w[l] = abs(v)
			}
		}
		scales[s], mins[s] = fitAffine(xs, w[:], codes[16*s:], 3, search)
	}

	var qScales, qMins [16]byte
	var d, dmin float32
	if imatrix != nil {
		d = fitPos(scales[:], sumW[:], qScales[:], 0, 15)
		dmin = fitPos(mins[:], sumW[:], qMins[:], 0, 15)
	} else {
		d = quantPos(scales[:], qScales[:], 15)
		dmin = quantPos(mins[:], qMins[:], 15)
	}
	d, dmin = putScale(block[80:], d), putScale(block[82:], dmin)
	for s := range 16 {
		block[s] = qScales[s] | qMins[s]<<4
		requantAffine(codes[16*s:][:16], x[16*s:], d*float32(qScales[s]), dmin*float32(qMins[s]), 3)
	}
	putCrumbs(block[16:80], &codes)
}

// putCrumbs packs the low two bits of 256 codes: bits 2t and 2t+1 of byte 32n+l are those of code 128n+32t+l.
func putCrumbs(qs []byte, codes *[256]byte) {
	clear(qs)
	for i, c := range codes {
		qs[32*(i/128)+i%32] |= c & 3 << (2 * (i / 32 % 4))
	}
}
