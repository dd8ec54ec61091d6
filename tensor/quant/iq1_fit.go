package quant

import (
	"cmp"
	"slices"
)

// ternaryFit is what the IQ1 types store of a sub-block.
type ternaryFit struct {
	scale    float32
	points   [4]uint16 // of each 8 elements
	negative [4]bool   // whether the offset of each 8 elements is -1/8
}

// ternaryLevels returns the levels of the digits 0, 1 and 2 with an offset of -1/8 or 1/8.
func ternaryLevels(negative bool) *[8]float32 {
	if negative {
		return &levelsMinus
	}
	return &levelsPlus
}

var (
	levelsPlus  = [8]float32{-1 + deltaIQ1, deltaIQ1, 1 + deltaIQ1}
	levelsMinus = [8]float32{-1 - deltaIQ1, -deltaIQ1, 1 - deltaIQ1}
)

// fitTernary fits 16 or 32 elements as scale*(digit-1+delta), the first and the second half with offsets of
// their own if offsets is 2. For given offsets and a positive scale the best digits ascend with the elements, so
// they are two cuts through the sorted elements: it tries all cuts with all offsets and keeps the largest A²/B
// (see fit.go). Then it moves groups that are off the grid to the best neighbour.
func fitTernary(x, w []float32, offsets int) (f ternaryFit) {
	const middle = 0x5555 // the code of eight digits 1
	g := searchIQ1S()
	n := len(x)
	for k := range f.points {
		f.points[k] = uint16(g.at[middle])
	}
	if abs(signedMax(x)) < fitEpsilon {
		return f
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(x[i], x[j]) })

	// wx[h][i] and ww[h][i] are Σ w*x and Σ w of those of the first i sorted elements that have offset h.
	var wx, ww [2][33]float32
	for i, j := range order {
		for h := range offsets {
			wx[h][i+1], ww[h][i+1] = wx[h][i], ww[h][i]
		}
		h := j * offsets / n
		wx[h][i+1] += float32(w[j] * x[j])
		ww[h][i+1] += w[j]
	}
	var cut1, cut2, choice int // bit offsets-1-h of choice makes offset h negative
	var best float32
	found := false
	for i1 := 0; i1 <= n; i1++ {
		for i2 := i1; i2 <= n; i2++ {
			for k := range 1 << offsets {
				var a, b float32
				for h := range offsets {
					l := ternaryLevels(k>>(offsets-1-h)&1 != 0)
					a += float32(wx[h][i1]*l[0]) + float32((wx[h][i2]-wx[h][i1])*l[1]) +
						float32((wx[h][n]-wx[h][i2])*l[2])
					b += float32(ww[h][i1]*l[0]*l[0]) + float32((ww[h][i2]-ww[h][i1])*l[1]*l[1]) +
						float32((ww[h][n]-ww[h][i2])*l[2]*l[2])
				}
				if b > 0 && (!found || a*a > best*b) {
					f.scale = a / b
					best = f.scale * a
					cut1, cut2, choice, found = i1, i2, k, true
				}
			}
		}
	}
	if !found {
		return f
	}

	var digits [32]byte
	for i, j := range order {
		switch {
		case i >= cut2:
			digits[j] = 2
		case i >= cut1:
			digits[j] = 1
		}
	}
	if f.scale < 0 { // the mirror image of a fit with a positive scale
		f.scale, choice = -f.scale, ^choice
		for j := range digits {
			digits[j] = 2 - digits[j]
		}
	}

	off := false
	var a, b float32
	for k := range n / 8 {
		f.negative[k] = choice>>(offsets-1-8*k*offsets/n)&1 != 0
		levels := ternaryLevels(f.negative[k])
		var code uint16
		for i, digit := range digits[8*k:][:8] {
			code |= uint16(digit) << (2 * i)
		}
		p, on := g.find(code, x[8*k:], w[8*k:], f.scale, levels)
		f.points[k], off = uint16(p), off || !on
		for i, digit := range g.point(p) {
			j := 8*k + i
			a += float32(w[j] * levels[digit] * x[j])
			b += float32(w[j] * levels[digit] * levels[digit])
		}
	}
	if off && a > 0 && b > 0 {
		f.scale = a / b
	}
	return f
}
