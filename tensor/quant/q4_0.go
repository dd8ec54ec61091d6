package quant

import "github.com/hipengine/hipengine/tensor"

// Q4_0 is blocks of 32: d f16; qs[16]. y = d*(q-8), q in 0..15. Byte j holds elements j (low nibble) and j+16
// (high nibble), as in all nibble formats of 32 elements. 4.5 bits per weight.
const Q4_0 = tensor.FirstGGML + 2

func init() {
	registerWeighted(tensor.Format{DType: Q4_0, Name: "Q4_0", Block: 32, Bytes: 18, Dequant: dequantQ4_0}, quantQ4_0,
		false)
}

func dequantQ4_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[18:] {
		d := halfAt(src)
		for j, b := range src[2:18] {
			dst[j] = d * float32(int8(b&15)-8)
			dst[j+16] = d * float32(int8(b>>4)-8)
		}
	}
}

// quantQ4_0 maps the element of largest magnitude to code 0, which reaches one step further than code 15. With
// an importance matrix it searches for the scale.
func quantQ4_0(dst []byte, src, imatrix []float32) {
	sigma2 := rowSigma2(src, imatrix)
	var codes [32]byte
	for i := 0; i < len(src); i, dst = i+32, dst[18:] {
		x := src[i:][:32]
		d := quantSymBlock(codes[:], x, window(imatrix, i, 32), sigma2, 8)
		putScale(dst, d)
		putNibbles(dst[2:18], codes[:])
	}
}

// quantSymBlock finds codes 0..2*nmax-1 for a block of 32 and returns the scale of x ≈ scale*(code-nmax). sigma2
// is the mean square of the row.
func quantSymBlock(codes []byte, x, imatrix []float32, sigma2 float32, nmax int) float32 {
	if imatrix != nil {
		var w [32]float32
		importance(w[:], imatrix, x, sigma2)
		return fitSym(x, w[:], codes, nmax)
	}
	d := signedMax(x) / -float32(nmax)
	var id float32
	if d != 0 {
		id = 1 / d
	}
	for j, v := range x {
		codes[j] = truncCode(float32(v*id)+float32(nmax)+0.5, 2*nmax-1)
	}
	return d
}

// quantAffineBlock finds codes 0..nmax for a block of 32 and returns scale and minimum of
// x ≈ scale*code + minimum. sigma2 is the mean square of the row.
func quantAffineBlock(codes []byte, x, imatrix []float32, sigma2 float32, nmax int) (d, m float32) {
	if imatrix != nil {
		var w [32]float32
		importance(w[:], imatrix, x, sigma2)
		d, m = fitAffine(x, w[:], codes, nmax, searchWeighted)
		return d, -m
	}
	lo, hi := x[0], x[0]
	for _, v := range x {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
	}
	d = (hi - lo) / float32(nmax)
	var id float32
	if d != 0 {
		id = 1 / d
	}
	for j, v := range x {
		codes[j] = truncCode(float32((v-lo)*id)+0.5, nmax)
	}
	return d, lo
}

// truncCode truncates x to an integer in [0, nmax]; NaN gives 0.
func truncCode(x float32, nmax int) byte {
	if !(x > 0) {
		return 0
	}
	return byte(min(x, float32(nmax)))
}

// rowSigma2 returns the mean square of a row, which only weighted searches use: 0 without an importance matrix.
func rowSigma2(row, imatrix []float32) float32 {
	if imatrix == nil {
		return 0
	}
	return sumSquares(row) / float32(len(row))
}

// window returns s[i:i+n], or nil if s is nil.
func window(s []float32, i, n int) []float32 {
	if s == nil {
		return nil
	}
	return s[i:][:n]
}

// putNibbles packs 2*len(qs) codes of four bits: byte j holds codes j and j+len(qs).
func putNibbles(qs, codes []byte) {
	for j := range qs {
		qs[j] = codes[j]&15 | codes[j+len(qs)]<<4
	}
}
