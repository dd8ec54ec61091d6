package quant

// gridFit is how an IQ2 or IQ3 type quantizes: it splits elements into sign and magnitude, and fits the
// magnitudes of a sub-block as scale times the odd levels 1, 3, 5... of points of the grid.
type gridFit struct {
	search func() *gridSearch
	n      int  // elements of a sub-block: 16 or 32
	parity bool // signs are stored as seven bits, and their number is even

	// Weights are importance*sqrt(sigma*σ²+x²) with an importance matrix and plain*sigma*σ²+x² without, σ² being
	// the mean square of the 256 elements.
	sigma, plain float32

	tiny     float32    // magnitude up to which a sub-block counts as zero
	steps    int        // roundings tried on either side of the first
	step     float32    // distance of two roundings, in levels
	fitRange bool       // the first rounding suits the range that fitPos finds, not the largest magnitude
	refine   gridRefine // groups to round again with the scale that won
}

// gridRefine says which groups of a sub-block are rounded again with the scale that won.
type gridRefine int

const (
	refineAll     gridRefine = iota
	refineIfAny              // all, but only if some group was off the grid
	refineOffGrid            // only those that were off the grid
)

// gridBlock is what a fit finds for 256 elements.
type gridBlock struct {
	d      float32    // 0 if all elements are
	points [64]uint16 // a point for each 4 or 8 elements
	signs  [32]byte   // sign bits of each 8 elements
	scales [16]byte   // 4-bit scale of each sub-block: the fitted scale is about d*(2*code+1)
}

// block fits the 256 elements x.
func (f *gridFit) block(x, imatrix []float32) *gridBlock {
	g := f.search()
	b := new(gridBlock)
	sigma2 := f.sigma * sumSquares(x) / 256
	var fitted [16]float32
	var w, rootW, magnitudes [32]float32
	groups := f.n / g.dim
	for s := range 256 / f.n {
		xs := x[f.n*s:][:f.n]
		if imatrix != nil {
			importance(w[:], imatrix[f.n*s:], xs, sigma2)
		} else {
			for i, v := range xs {
				w[i] = float32(f.plain*sigma2) + float32(v*v)
			}
		}
		for i, v := range w[:f.n] {
			rootW[i] = sqrt(v)
		}
		signs := b.signs[f.n/8*s:][:f.n/8]
		for k := range signs {
			signs[k] = f.split(magnitudes[8*k:][:8], xs[8*k:], w[8*k:])
		}
		points := b.points[groups*s:][:groups]
		scale := f.subBlock(g, magnitudes[:f.n], w[:f.n], rootW[:], points)
		switch {
		case scale == 0:
			clear(signs)
			clear(points)
		case scale < 0: // the odd magnitudes outweigh the others
			scale = -scale
			for k := range signs {
				signs[k] ^= 0xFF
			}
		}
		fitted[s] = scale
	}
	b.d = quantOdd(fitted[:256/f.n], b.scales[:], 15)
	return b
}

// split sets magnitudes to those of eight elements and returns their sign bits. With parity, if the number of
// negative elements is odd, the element that matters least changes its sign: its magnitude becomes
// negative.
func (f *gridFit) split(magnitudes, x, w []float32) (signs byte) {
	least := 0
	for i := range 8 {
		magnitudes[i] = abs(x[i])
		if x[i] < 0 {
			signs |= 1 << i
		}
		if w[i]*x[i]*x[i] < w[least]*x[least]*x[least] {
			least = i
		}
	}
	if f.parity && onesParity(signs) != 0 {
		magnitudes[least] = -magnitudes[least]
		signs ^= 1 << least
	}
	return signs
}

// subBlock sets points to those that fit the magnitudes x best and returns the scale, which is 0 for
// a sub-block to be stored as zero. It takes the trial with the largest A²/B (see fit.go).
func (f *gridFit) subBlock(g *gridSearch, x, w, rootW []float32, points []uint16) (scale float32) {
	var m float32
	for _, v := range x {
		m = max(m, v)
	}
	if m <= f.tiny {
		return 0
	}
	top := float32(2*g.levels - 1)
	scale = m / top
	if f.fitRange {
		scale = fitPos(x, w, nil, -g.levels-1, g.levels+1) // parity may have made magnitudes negative
		m = scale * float32(g.levels)
		if m <= 0 {
			return 0
		}
	}

	var trial [8]uint16
	var off, trialOff [8]bool // groups off the grid
	var best float32
	for s := -f.steps; s <= f.steps; s++ {
		id := (top + float32(float32(s)*f.step)) / m
		for k := range points {
			p, on := g.round(x[k*g.dim:], rootW[k*g.dim:], id, 1/id)
			trial[k], trialOff[k] = uint16(p), !on
		}
		if a, b := g.moments(x, w, trial[:len(points)]); b > 0 && a*a > best*b {
			scale = a / b
			best = scale * a
			copy(points, trial[:])
			off = trialOff
		}
	}

	if !(scale > 0) || f.refine != refineAll && off == [8]bool{} {
		return scale
	}
	for k := range points {
		if f.refine != refineOffGrid || off[k] {
			p, _ := g.round(x[k*g.dim:], rootW[k*g.dim:], 1/scale, scale)
			points[k] = uint16(p)
		}
	}
	if a, b := g.moments(x, w, points); b > 0 {
		scale = a / b
	}
	return scale
}

// quantOdd rounds scales, none negative, to d*(2*code+1) with codes 0..nmax, and returns d. The largest gets
// code nmax.
func quantOdd(scales []float32, codes []byte, nmax int) (d float32) {
	var m float32
	for _, v := range scales {
		m = max(m, v)
	}
	d = m / float32(2*nmax+1)
	if d == 0 {
		clear(codes)
		return 0
	}
	id := 1 / d
	for s, v := range scales {
		codes[s] = byte(clampNint(0.5*(float32(id*v)-1), 0, nmax))
	}
	return d
}

// oddLevels are the levels of the IQ2 and IQ3 searches.
var oddLevels = [8]float32{1, 3, 5, 7, 9, 11, 13, 15}

// round returns the point nearest to the magnitudes x (as find) if they are scaled by id, about 1/scale.
func (s *gridSearch) round(x, w []float32, id, scale float32) (p int, onGrid bool) {
	var code uint16
	for i, v := range x[:s.dim] {
		code |= uint16(clampNint(0.5*(float32(id*v)-1), 0, s.levels-1)) << (s.bits * i)
	}
	return s.find(code, x, w, scale, &oddLevels)
}

// moments returns A = Σ w*x*l and B = Σ w*l² for the levels l of the points (see fit.go).
func (s *gridSearch) moments(x, w []float32, points []uint16) (a, b float32) {
	for k, p := range points {
		for i, digit := range s.point(int(p)) {
			j := k*s.dim + i
			l := oddLevels[digit]
			a += float32(w[j] * x[j] * l)
			b += float32(w[j] * l * l)
		}
	}
	return a, b
}
