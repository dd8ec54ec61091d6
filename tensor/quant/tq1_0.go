package quant

import "github.com/hipengine/hipengine/tensor"

// TQ1_0 is blocks of 256 trits: qs[48]; qh[4]; d f16. y = d*(trit-1). A byte of qs holds five trits, one of qh
// four: trit n is the n-th digit after the point of byte/256 in base 3. The five runs of 32 elements are the
// five trits of qs[0..31], the next five runs of 16 those of qs[32..47], and the last four runs of 4 those of
// qh. 1.6875 bits per weight.
const TQ1_0 = tensor.FirstGGML + 34

func init() {
	tensor.RegisterFormat(tensor.Format{DType: TQ1_0, Name: "TQ1_0", Block: 256, Bytes: 54, Dequant: dequantTQ1_0,
		Quant: quantTQ1_0})
}

// pow3 are the powers of three that move a trit to the first place after the point.
var pow3 = [5]byte{1, 3, 9, 27, 81}

// runsTQ1_0 are the runs of packed bytes of a block: bytes [first, first+n) hold trits trits each, for the
// elements from elem on.
var runsTQ1_0 = [3]struct{ first, n, trits, elem int }{{0, 32, 5, 0}, {32, 16, 5, 160}, {48, 4, 4, 240}}

func dequantTQ1_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[54:] {
		d := halfAt(src[52:])
		for _, r := range runsTQ1_0 {
			for n := range r.trits {
				for m, b := range src[r.first:][:r.n] {
					trit := uint16(b*pow3[n]) * 3 >> 8 // the product is taken modulo 256
					dst[r.elem+n*r.n+m] = d * float32(int8(trit)-1)
				}
			}
		}
	}
}

// quantTQ1_0 packs trits as ceil(t*256/243), t the number that five of them (of four, and a zero) write in base
// 3: the least byte whose fraction of 256 has these digits.
func quantTQ1_0(dst []byte, src []float32) {
	var trits [256]byte
	for ; len(src) > 0; dst, src = dst[54:], src[256:] {
		putScale(dst[52:], quantTrits(trits[:], src[:256]))
		for _, r := range runsTQ1_0 {
			for m := range r.n {
				var t int
				for n := range 5 {
					t *= 3
					if n < r.trits {
						t += int(trits[r.elem+n*r.n+m])
					}
				}
				dst[r.first+m] = byte((t*256 + 242) / 243)
			}
		}
	}
}
