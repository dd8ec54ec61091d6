package quant

import "math"

// The searches that quantizers share. All of them look for codes l and a scale a (and perhaps an offset b)
// that minimize the weighted error of x ≈ a*l + b over a few elements, and all do it in the same way: try
// several roundings, and for each take the best a by weighted least squares.
//
// For fixed codes and b = 0 the error Σ w(x - a*l)² is least at a = A/B with A = Σ w*x*l and B = Σ w*l², where
// it is Σ w*x² - A²/B. So the best codes are those with the largest A²/B, and no error needs to be summed.
//
// Sums are float32 in element order and no product is fused with an addition (the conversions forbid it), so
// that the blocks are the same on every machine, and the same as GGML's.

// fitEpsilon is the magnitude below which elements count as zero.
const fitEpsilon = 1e-15

// clampNint rounds x to the nearest integer, half to even, and clamps it to [lo, hi], which must lie within
// ±2^22. NaN gives lo.
func clampNint(x float32, lo, hi int) int {
	switch {
	case !(x > float32(lo)):
		return lo
	case x >= float32(hi):
		return hi
	}
	// Adding 1.5*2^23 leaves no fraction bits: the addition rounds.
	return int(int32(math.Float32bits(float32(x)+0x1.8p23)&0x7FFFFF) - 0x400000)
}

// abs returns the magnitude of x.
func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// sqrt returns the square root of x.
func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// signedMax returns the element of largest magnitude, the first of equals, with its sign.
func signedMax(xs []float32) float32 {
	var m float32
	for _, x := range xs {
		if abs(x) > abs(m) {
			m = x
		}
	}
	return m
}

// sumSquares returns Σ x².
func sumSquares(xs []float32) float32 {
	var s float32
	for _, x := range xs {
		s += float32(x * x)
	}
	return s
}

// sum returns Σ x.
func sum(xs []float32) float32 {
	var s float32
	for _, x := range xs {
		s += x
	}
	return s
}

// squares sets w to x², the weights of a plain quantizer: large weights matter more.
func squares(w, x []float32) {
	for i, v := range x {
		w[i] = v * v
	}
}

// importance sets w to qw*sqrt(sigma2+x²), the weights of a quantizer with an importance matrix: the importance
// of the column, and again more for large weights, but not much more than for those of the typical size sigma.
func importance(w, qw, x []float32, sigma2 float32) {
	for i, v := range x {
		w[i] = qw[i] * sqrt(float32(sigma2)+float32(v*v))
	}
}

// moments returns A = Σ w*x*l and B = Σ w*l² for the codes l = clamp(nint(iscale*x), -nmax, nmax-1), and
// stores l+nmax in codes if it is not nil.
func moments(x, w []float32, codes []byte, nmax int, iscale float32) (a, b float32) {
	for i, v := range x {
		l := clampNint(iscale*v, -nmax, nmax-1)
		if codes != nil {
			codes[i] = byte(l + nmax)
		}
		a += float32(w[i] * v * float32(l))
		b += float32(w[i] * float32(l) * float32(l))
	}
	return a, b
}

// fitSym fits x ≈ scale*(code-nmax), codes 0..2*nmax-1. It tries 19 roundings, in which the element of largest
// magnitude maps to between -(nmax-0.9) and -(nmax+0.9), and keeps the one with the largest A²/B.
func fitSym(x, w []float32, codes []byte, nmax int) (scale float32) {
	m := signedMax(x)
	if abs(m) < fitEpsilon {
		clear(codes[:len(x)])
		return 0
	}
	bestScale := -float32(nmax) / m
	a, b := moments(x, w, codes, nmax, bestScale)
	if b != 0 {
		scale = a / b
	}
	best := scale * a
	improved := false
	for s := -9; s <= 9; s++ {
		if s == 0 {
			continue
		}
		iscale := -(float32(nmax) + float32(0.1*float32(s))) / m
		if a, b := moments(x, w, nil, nmax, iscale); b > 0 && a*a > best*b {
			scale, bestScale, improved = a/b, iscale, true
			best = scale * a
		}
	}
	if improved {
		moments(x, w, codes, nmax, bestScale)
	}
	return scale
}

// descend improves codes by coordinate descent, in up to five sweeps. Without element i the moments are
// A' = A - w*x*l and B' = B - w*l², so the scale that suits the others is A'/B' and the best code of the
// element is nint(x*B'/A'). A change is kept if it increases A²/B. Codes are clamped to [lo, hi]. It returns the
// least-squares scale.
func descend(x, w []float32, codes []int8, lo, hi int) (scale float32) {
	var a, b float32
	for i, v := range x {
		l := float32(codes[i])
		a += float32(w[i] * v * l)
		b += float32(w[i] * l * l)
	}
	for range 5 {
		changed := false
		for i, v := range x {
			l := float32(codes[i])
			a1 := a - float32(w[i]*v*l)
			b1 := b - float32(w[i]*l*l)
			if !(a1 > 0) {
				continue
			}
			code := clampNint(v*b1/a1, lo, hi)
			if int8(code) == codes[i] {
				continue
			}
			l = float32(code)
			a1 += float32(w[i] * v * l)
			b1 += float32(w[i] * l * l)
			if b1 > 0 && a1*a1*b > a*a*b1 {
				codes[i], a, b, changed = int8(code), a1, b1, true
			}
		}
		if !changed {
			break
		}
	}
	if b > 0 {
		return a / b
	}
	return 0
}

// fitDescent fits x ≈ scale*(code-nmax), codes 0..2*nmax-1, with weights w: one rounding, then [descend].
// It takes at most 16 elements.
func fitDescent(x, w []float32, codes []byte, nmax int) (scale float32) {
	m := signedMax(x)
	if abs(m) < fitEpsilon {
		clear(codes[:len(x)])
		return 0
	}
	var l [16]int8
	iscale := -float32(nmax) / m
	for i, v := range x {
		l[i] = int8(clampNint(iscale*v, -nmax, nmax-1))
	}
	scale = descend(x, w, l[:len(x)], -nmax, nmax-1)
	for i := range x {
		codes[i] = byte(int(l[i]) + nmax)
	}
	return scale
}

// fitPos fits x ≈ scale*code, codes lo..nmax, for x of which the largest are positive: scales and mins of
// sub-blocks, with lo = 0, or magnitudes. It picks the best of nine roundings by their error, then refines
// with [descend]. It takes at most 32 elements; codes may be nil.
func fitPos(x, w []float32, codes []byte, lo, nmax int) (scale float32) {
	var m float32
	for _, v := range x {
		m = max(m, v)
	}
	if m < fitEpsilon {
		clear(codes)
		return 0
	}
	mse := func(iscale float32) (e float32) {
		scale := 1 / iscale
		for i, v := range x {
			diff := v - float32(scale*float32(clampNint(iscale*v, lo, nmax)))
			e += float32(w[i] * diff * diff)
		}
		return e
	}
	iscale := float32(nmax) / m
	best := mse(iscale)
	for s := -4; s <= 4; s++ {
		if s == 0 {
			continue
		}
		is := (float32(0.1*float32(s)) + float32(nmax)) / m
		if e := mse(is); e < best {
			best, iscale = e, is
		}
	}
	var l [32]int8
	for i, v := range x {
		l[i] = int8(clampNint(iscale*v, lo, nmax))
	}
	scale = descend(x, w, l[:len(x)], lo, nmax)
	for i := range codes {
		codes[i] = byte(l[i])
	}
	return scale
}

// affineSearch says which roundings fitAffine tries: those with (first + s*step + nmax)/(max-min) for
// s = 0..steps, and whether it compares magnitudes of errors instead of their squares.
type affineSearch struct {
	first, step float32
	steps       int
	magnitudes  bool
}

// searchWeighted is the search of all quantizers with an importance matrix.
var searchWeighted = affineSearch{first: -0.9, step: 0.05, steps: 36}

// fitAffine fits x ≈ scale*code - min, codes 0..nmax, with min >= 0. For fixed codes l the weighted least
// squares of a*l + b are
//
//	D = Σw*Σwl² - (Σwl)²    a = (Σw*Σwxl - Σwx*Σwl)/D    b = (Σwl²*Σwx - Σwl*Σwxl)/D
//
// and where b would be positive, which the formats cannot store, b = 0 and a = Σwxl/Σwl². The lower end of the
// range that later roundings cover moves along with each better b: that is how GGML searches, and it is
// better by half a percent. It takes at most 32 elements.
func fitAffine(x, w []float32, codes []byte, nmax int, search affineSearch) (scale, min float32) {
	lo, hi := x[0], x[0]
	var sw, sx float32
	for i, v := range x {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
		sw += w[i]
		sx += float32(w[i] * v)
	}
	if lo > 0 {
		lo = 0
	}
	if hi <= lo {
		clear(codes[:len(x)])
		return 0, -lo
	}
	var trial [32]byte
	round := func(iscale float32) {
		for i, v := range x {
			trial[i] = byte(clampNint(iscale*(v-lo), 0, nmax))
		}
	}
	misfit := func(a, b float32) (e float32) {
		for i, v := range x {
			diff := float32(a*float32(trial[i])) + b - v
			if search.magnitudes {
				diff = abs(diff)
			} else {
				diff *= diff
			}
			e += float32(w[i] * diff)
		}
		return e
	}

	iscale := float32(nmax) / (hi - lo)
	round(iscale)
	scale = 1 / iscale
	best := misfit(scale, lo)
	copy(codes[:len(x)], trial[:])
	for s := 0; s <= search.steps; s++ {
		round((search.first + float32(search.step*float32(s)) + float32(nmax)) / (hi - lo))
		var sl, sll, sxl float32
		for i, v := range x {
			l := float32(trial[i])
			sl += float32(w[i] * l)
			sll += float32(w[i] * l * l)
			sxl += float32(w[i] * l * v)
		}
		det := float32(sw*sll) - float32(sl*sl)
		if !(det > 0) {
			continue
		}
		a := (float32(sw*sxl) - float32(sx*sl)) / det
		b := (float32(sll*sx) - float32(sl*sxl)) / det
		if b > 0 {
			a, b = sxl/sll, 0
		}
		if e := misfit(a, b); e < best {
			best, scale, lo = e, a, b
			copy(codes[:len(x)], trial[:])
		}
	}
	return scale, -lo
}
