package quant

import "github.com/hipengine/hipengine/tensor"

// Q6_K is super-blocks of 256 in sixteen sub-blocks of 16: ql[128]; qh[64]; scales int8[16]; d f16.
// y = d*scale*(q-32) with q in 0..63. Each half n of 128 elements is four runs t of 32: the low nibbles of
// ql[64n..64n+63] hold the low four bits of runs 0 and 1, the high nibbles those of runs 2 and 3; bits 2t and
// 2t+1 of qh[32n+l] are the high bits of element l of run t. 6.5625 bits per weight.
const Q6_K = tensor.FirstGGML + 14

func init() {
	registerWeighted(tensor.Format{DType: Q6_K, Name: "Q6_K", Block: 256, Bytes: 210, Dequant: dequantQ6_K},
		blockwise(256, 210, quantQ6_K), false)
}

func dequantQ6_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[210:] {
		ql, qh, scales, d := src[:128], src[128:192], src[192:208], halfAt(src[208:])
		for r := range 8 { // runs of 32
			n, t := r/4, r%4
			low, high := ql[64*n+32*(t&1):][:32], qh[32*n:][:32]
			for half := range 2 {
				ds := d * float32(int8(scales[2*r+half]))
				for l := 16 * half; l < 16*half+16; l++ {
					q := low[l]>>(4*(t>>1))&15 | high[l]>>(2*t)&3<<4
					dst[32*r+l] = ds * float32(int8(q)-32)
				}
			}
		}
	}
}

func quantQ6_K(block []byte, x, imatrix []float32) {
	var codes [256]byte
	var fitted, squared [16]float32
	for s := range 16 {
		xs, w := x[16*s:][:16], squared[:]
		if imatrix != nil {
			w = imatrix[16*s:]
		} else {
			squares(w, xs)
		}
		fitted[s] = fitSym(xs, w, codes[16*s:], 32)
	}
	clear(block)
	if abs(signedMax(fitted[:])) < fitEpsilon {
		return
	}
	ql, qh, scales := block[:128], block[128:192], block[192:208]
	var q [16]int8
	d := putScale(block[208:], quantSigned(fitted[:], q[:], -128, 127))
	for s, v := range q {
		scales[s] = byte(v)
		requantSym(codes[16*s:][:16], x[16*s:], d*float32(v), 32)
	}
	for i, c := range codes {
		n, t, l := i/128, i/32%4, i%32
		ql[64*n+32*(t&1)+l] |= c & 15 << (4 * (t >> 1))
		qh[32*n+l] |= c >> 4 << (2 * t)
	}
}
