package quant

// What the K types share: the scales of Q4_K and Q5_K, and the rounding of scales and elements.
//
// Q4_K and Q5_K pack eight 6-bit scales and eight 6-bit mins in 12 bytes:
//
//	bytes 0..3   low 6 bits: scale j       top 2 bits: high bits of scale j+4
//	bytes 4..7   low 6 bits: min j         top 2 bits: high bits of min j+4
//	bytes 8..11  low nibble: scale j+4     high nibble: min j+4

// scaleMin returns scale and min number j (0..7) of the 12 bytes b.
func scaleMin(b []byte, j int) (scale, min byte) {
	if j < 4 {
		return b[j] & 63, b[j+4] & 63
	}
	return b[j+4]&15 | b[j-4]>>6<<4, b[j+4]>>4 | b[j]>>6<<4
}

// putScaleMin is the inverse of scaleMin for all eight pairs; values are 0..63.
func putScaleMin(b []byte, scales, mins *[8]byte) {
	for j := range 4 {
		b[j] = scales[j] | scales[j+4]>>4<<6
		b[j+4] = mins[j] | mins[j+4]>>4<<6
		b[j+8] = scales[j+4]&15 | mins[j+4]<<4
	}
}

// quantAffineK finds codes 0..nmax for eight sub-blocks, the 256 elements x, and writes to head the d, dmin and
// scales with which blocks of Q4_K and Q5_K start. plain is the search without an importance matrix.
func quantAffineK(head, codes []byte, x, imatrix []float32, nmax int, plain affineSearch) {
	const subBlocks, n = 8, 32
	var scales, mins, sumW [subBlocks]float32
	var w [n]float32
	sigma2 := 2 * sumSquares(x) / 256
	for s := range subBlocks {
		xs := x[n*s:][:n]
		search := searchWeighted
		if imatrix != nil {
			importance(w[:], imatrix[n*s:], xs, sigma2)
			sumW[s] = sum(w[:])
		} else {
			search = plain
			rms := sqrt(sumSquares(xs) / n)
			for l, v := range xs {
				w[l] = rms + abs(v)
			}
		}
		scales[s], mins[s] = fitAffine(xs, w[:], codes[n*s:][:n], nmax, search)
	}

	var qScales, qMins [subBlocks]byte
	var d, dmin float32
	if imatrix != nil {
		d = fitPos(scales[:], sumW[:], qScales[:], 0, 63)
		dmin = fitPos(mins[:], sumW[:], qMins[:], 0, 63)
	} else {
		d = quantPos(scales[:], qScales[:], 63)
		dmin = quantPos(mins[:], qMins[:], 63)
	}
	d, dmin = putScale(head, d), putScale(head[2:], dmin)
	putScaleMin(head[4:16], &qScales, &qMins)
	for s := range subBlocks {
		requantAffine(codes[n*s:][:n], x[n*s:], d*float32(qScales[s]), dmin*float32(qMins[s]), nmax)
	}
}

// quantPos rounds x, none negative, to codes 0..nmax such that the largest is nmax, and returns the scale.
func quantPos(x []float32, codes []byte, nmax int) (scale float32) {
	var m float32
	for _, v := range x {
		m = max(m, v)
	}
	if m <= 0 {
		clear(codes[:len(x)])
		return 0
	}
	inverse := float32(nmax) / m
	for i, v := range x {
		codes[i] = byte(clampNint(inverse*v, 0, nmax))
	}
	return m / float32(nmax)
}

// requantAffine rounds the elements x ≈ d*code - min again with the scale and min that a reader will see. It
// leaves codes of a zero scale alone.
func requantAffine(codes []byte, x []float32, d, min float32, nmax int) {
	if d == 0 {
		return
	}
	for l := range codes {
		codes[l] = byte(clampNint((x[l]+float32(min))/d, 0, nmax))
	}
}

// requantSym rounds the elements x ≈ d*(code-nmax) again with the scale that a reader will see. It leaves codes of
// a zero scale alone.
func requantSym(codes []byte, x []float32, d float32, nmax int) {
	if d == 0 {
		return
	}
	for l := range codes {
		codes[l] = byte(clampNint(x[l]/d, -nmax, nmax-1) + nmax)
	}
}

// quantSigned rounds x to integers in [lo, hi] such that the element of largest magnitude becomes lo, and returns
// the scale.
func quantSigned(x []float32, codes []int8, lo, hi int) (scale float32) {
	m := signedMax(x)
	if m == 0 {
		clear(codes)
		return 0
	}
	inverse := float32(lo) / m
	for i, v := range x {
		codes[i] = int8(clampNint(inverse*v, lo, hi))
	}
	return 1 / inverse
}
