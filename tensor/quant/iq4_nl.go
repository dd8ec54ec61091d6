package quant

import "github.com/hipengine/hipengine/tensor"

// IQ4_NL is blocks of 32: d f16; qs[16] with nibbles as in [Q4_0]. y = d*valuesIQ4[q]. 4.5 bits per weight.
const IQ4_NL = tensor.FirstGGML + 20

func init() {
	registerWeighted(tensor.Format{DType: IQ4_NL, Name: "IQ4_NL", Block: 32, Bytes: 18, Dequant: dequantIQ4_NL},
		blockwise(32, 18, quantIQ4_NL), false)
}

// valuesIQ4 are the sixteen levels of IQ4_NL and IQ4_XS, denser near zero where weights are.
var valuesIQ4 = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func dequantIQ4_NL(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[18:] {
		dequantNibbles(dst[:32], src[2:18], halfAt(src), &valuesIQ4)
	}
}

// dequantNibbles writes scale*values[q] for the nibbles of qs: byte j holds elements j and j+len(qs).
func dequantNibbles(dst []float32, qs []byte, scale float32, values *[16]float32) {
	for j, b := range qs {
		dst[j] = scale * values[b&15]
		dst[j+len(qs)] = scale * values[b>>4]
	}
}

func quantIQ4_NL(block []byte, x, imatrix []float32) {
	var w [32]float32
	if imatrix != nil {
		importance(w[:], imatrix, x, 2*sumSquares(x)/32)
	} else {
		squares(w[:], x)
	}
	var codes [32]byte
	d := fitIQ4(x, w[:])
	putScale(block, d)
	nearestIQ4(codes[:], x, d)
	putNibbles(block[2:], codes[:])
}

// fitIQ4 returns the scale of x ≈ scale*valuesIQ4[code]. It tries fifteen roundings, in which the element of
// largest magnitude maps to between -134 and -120, and keeps the one with the largest A²/B (see fit.go).
func fitIQ4(x, w []float32) (scale float32) {
	m := signedMax(x)
	if abs(m) < fitEpsilon {
		return 0
	}
	moments := func(id float32) (a, b float32) {
		for j, v := range x {
			q := valuesIQ4[nearestLevel(id*v)]
			a += float32(w[j] * q * v)
			b += float32(w[j] * q * q)
		}
		return a, b
	}
	a, b := moments(1 / (-m / valuesIQ4[0]))
	if b > 0 {
		scale = a / b
	}
	best := scale * a
	for t := -7; t <= 7; t++ {
		if a, b := moments((float32(t) + valuesIQ4[0]) / m); b > 0 && a*a > best*b {
			scale = a / b
			best = scale * a
		}
	}
	return scale
}

// nearestIQ4 sets codes to the levels nearest to x/d; for d = 0 to that nearest to zero.
func nearestIQ4(codes []byte, x []float32, d float32) {
	var id float32
	if d != 0 {
		id = 1 / d
	}
	for j, v := range x {
		codes[j] = nearestLevel(id * v)
	}
}

// nearestLevel returns the code of the level of valuesIQ4 nearest to x, the upper one of two equally near. NaN
// gives 0.
func nearestLevel(x float32) byte {
	x = float32(x) // rounds a product that the caller passes: see fit.go
	if !(x > valuesIQ4[0]) {
		return 0
	}
	if x >= valuesIQ4[15] {
		return 15
	}
	// The difference may round up to the next level, which is then the nearest of all.
	lo := levelBelow[min(int(x-valuesIQ4[0]), len(levelBelow)-1)]
	if x-valuesIQ4[lo] < valuesIQ4[lo+1]-x {
		return lo
	}
	return lo + 1
}

// levelBelow[i] is the last of the codes 0..14 whose level is at most the integer valuesIQ4[0]+i.
var levelBelow = func() (t [240]byte) {
	for code, level := range valuesIQ4[:15] {
		for i := int(level - valuesIQ4[0]); i < len(t); i++ {
			t[i] = byte(code)
		}
	}
	return t
}()
