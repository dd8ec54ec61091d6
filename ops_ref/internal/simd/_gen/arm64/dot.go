package main

// The layouts of quantized activations, see act.go of package simd.
const (
	groupD    = 128
	groupSums = 144
	groupSize = 192

	superSums16 = 256
	superSums32 = 288
	superD      = 304
	superSize   = 320
)

// quad is the loop over four weight rows at a time that the mat-vec kernels share. Lane r of a sum is row r.
type quad struct {
	*kernel
	hasDot                        bool // the processor has SDOT
	out, w, stride, count, blocks x
	act                           x
	row                           [4]x // current block of each row
	y, n                          x    // current block of the activations, blocks left
	acc                           v
}

// dots writes f twice: with SDOT, and with the instructions that all processors have.
func dots(f *file, name, doc string, body func(q *quad)) {
	for _, hasDot := range []bool{true, false} {
		level := "NEON"
		if hasDot {
			level = "NEONDot"
		}
		q := &quad{hasDot: hasDot}
		q.kernel = f.begin(name+level, "out *float32, w *byte, rowBytes, quads, blocks int, act *byte",
			doc, "for 4*quads rows of rowBytes bytes, each of blocks blocks (groups of four for types with blocks of 32).", "Both counts are at least 1.")
		q.out, q.w, q.stride, q.count, q.blocks, q.act = q.load("out"), q.load("w"), q.load("rowBytes"), q.load("quads"), q.load("blocks"), q.load("act")
		for r := range q.row {
			q.row[r] = q.gp()
		}
		q.y, q.n, q.acc = q.gp(), q.gp(), q.vec()
		q.label("rows")
		q.startRows()
		q.ins("MOVD %s, %s", q.act, q.y)
		q.ins("MOVD %s, %s", q.blocks, q.n)
		zero(q.kernel, q.acc)
		q.label("block")
		body(q)
	}
}

func (q *quad) startRows() {
	q.ins("MOVD %s, %s", q.w, q.row[0])
	for r := 1; r < 4; r++ {
		q.ins("ADD %s, %s, %s", q.stride, q.row[r-1], q.row[r])
	}
}

// end closes the loops: blocks take so many bytes of weights and activations.
func (q *quad) end(rowBytes, actBytes int) {
	for _, p := range q.row {
		q.ins("ADD $%d, %s, %s", rowBytes, p, p)
	}
	q.ins("ADD $%d, %s, %s", actBytes, q.y, q.y)
	q.ins("SUBS $1, %s, %s", q.n, q.n)
	q.ins("BNE block")
	strQ(q.kernel, q.acc, q.out, 0)
	q.ins("ADD $16, %s, %s", q.out, q.out)
	q.ins("ADD %s<<2, %s, %s", q.stride, q.w, q.w)
	q.ins("SUBS $1, %s, %s", q.count, q.count)
	q.ins("BNE rows")
	q.kernel.end()
}

// dot returns four sums that add up to the product of the int8 of w and a. Without SDOT, two products of at most
// 128*127 fit in an int16.
func (q *quad) dot(w, a []v) v {
	s := q.vec()
	if q.hasDot {
		zero(q.kernel, s)
		for i := range w {
			sdot(q.kernel, s, w[i], a[i])
		}
		return s
	}
	pairs := q.vec()
	for i := range w {
		smull(q.kernel, pairs, w[i], a[i])
		smlal2(q.kernel, pairs, w[i], a[i])
		if i == 0 {
			saddlpH(q.kernel, s, pairs)
		} else {
			sadalp(q.kernel, s, pairs)
		}
	}
	q.free(pairs)
	return s
}

// sum4 returns, as lane i, the sum of the lanes of s[i], which it frees.
func (q *quad) sum4(s []v) v {
	addp(q.kernel, s[0], s[0], s[1])
	addp(q.kernel, s[2], s[2], s[3])
	addp(q.kernel, s[0], s[0], s[2])
	q.free(s[1:]...)
	return s[0]
}

// halves4 returns the float16 at disp of the current block of the four rows.
func (q *quad) halves4(disp int) v {
	d, h := q.vec(), q.vec()
	ldrH(q.kernel, d, q.row[0], disp)
	for r := 1; r < 4; r++ {
		ldrH(q.kernel, h, q.row[r], disp)
		insH(q.kernel, d, r, h)
	}
	fcvtl(q.kernel, d, d)
	q.free(h)
	return d
}

// loads returns n vectors from p+disp on.
func (k *kernel) loads(p x, disp, n int) []v {
	vs := k.vecs(n)
	for i, r := range vs {
		ldrQ(k, r, p, disp+16*i)
	}
	return vs
}

func dotQ8_0(f *file) {
	dots(f, "dotQ8_0", "is dotQ8_0Row", func(q *quad) {
		k := q.kernel
		da := k.vec()
		ldrQ(k, da, q.y, groupD)
		for b := range 4 {
			a := k.loads(q.y, 32*b, 2)
			var s []v
			for r := range 4 {
				w := k.loads(q.row[r], 34*b+2, 2)
				s = append(s, q.dot(w, a))
				k.free(w...)
			}
			k.free(a...)
			t, d := q.sum4(s), q.halves4(34*b)
			scvtf(k, t, t)
			fmul(k, t, t, d)
			fmulElement(k, t, t, da, b)
			fadd(k, q.acc, q.acc, t)
			k.free(t, d)
		}
		q.end(4*34, groupSize)
	})
}

// dotAffine writes the kernels of Q4_K, and of Q5_K, whose codes have a fifth bit.
func dotAffine(f *file, name string, fifth bool) {
	dots(f, "dot"+name, "is dot"+name+"Row", func(q *quad) {
		k := q.kernel
		blockBytes, codesAt := 144, 16
		if fifth {
			blockBytes, codesAt = 176, 48
		}
		// Scales become dwords, mins meet the sums of activations.
		sums := k.vec()
		ldrQ(k, sums, q.y, superSums32)
		var scales [4][2]v
		var m []v
		for r, p := range q.row {
			s, u := q.scalesMins(p)
			mins := k.vec()
			smullH(k, mins, u, sums)
			smlal2H(k, mins, u, sums)
			m = append(m, mins)
			uxtl2H(k, u, s)
			uxtlH(k, s, s)
			scales[r] = [2]v{s, u}
		}
		k.free(sums)
		least, d := q.sum4(m), q.halves4(2)
		scvtf(k, least, least)
		fmul(k, least, least, d)
		k.free(d)

		s := k.vecs(4)
		for _, r := range s {
			zero(k, r)
		}
		for p := range 4 { // two runs of 32 that share bytes
			a := k.loads(q.y, 64*p, 4)
			for r, row := range q.row {
				low := k.loads(row, codesAt+32*p, 2)
				high := k.vecs(2)
				for i := range 2 {
					ushr16b(k, high[i], low[i], 4)
					and(k, low[i], low[i], k.bytes(15))
					if fifth {
						q.fifthBits(row, 16*i, 2*p, low[i], high[i])
					}
				}
				for j, codes := range [][]v{low, high} {
					dot := q.dot(codes, a[2*j:][:2])
					mlaElement(k, s[r], dot, scales[r][p/2], 2*(p%2)+j)
					k.free(dot)
				}
				k.free(low...)
				k.free(high...)
			}
			k.free(a...)
		}
		for _, pair := range scales {
			k.free(pair[:]...)
		}
		sum, d := q.sum4(s), q.halves4(0)
		scvtf(k, sum, sum)
		fmul(k, sum, sum, d)
		fsub(k, sum, sum, least)
		ldrS(k, d, q.y, superD)
		fmulElement(k, sum, sum, d, 0)
		fadd(k, q.acc, q.acc, sum)
		k.free(sum, d, least)
		q.end(blockBytes, superSize)
	})
}

// scalesMins returns the eight scales and the eight mins of the block of Q4_K or Q5_K at p, as halves: see scaleMin of
// package simd.
func (q *quad) scalesMins(p x) (scales, mins v) {
	k := q.kernel
	// g has scales and mins 0 to 3, h has the low bits of 4 to 7; the high ones lie above those of 0 to 3.
	const g, h, t = x("R20"), x("R21"), x("R22")
	k.ins("MOVD 4(%s), %s", p, g)
	k.ins("MOVWU 12(%s), %s", p, h)
	k.ins("ORR %s<<28, %s, %s", h, h, h)
	k.ins("AND $0x0f0f0f0f0f0f0f0f, %s, %s", h, h)
	k.ins("LSR $2, %s, %s", g, t)
	k.ins("AND $0x3030303030303030, %s, %s", t, t)
	k.ins("ORR %s, %s, %s", t, h, h)
	k.ins("AND $0x3f3f3f3f3f3f3f3f, %s, %s", g, g)
	scales, mins = k.vec(), k.vec()
	fmovD(k, scales, g)
	fmovD(k, mins, h)
	zip1s(k, scales, scales, mins)
	uxtl2(k, mins, scales)
	uxtl(k, scales, scales)
	return scales, mins
}

// fifthBits adds the fifth bits of 16 codes of run j of a block of Q5_K at p, from element i on, to low, and those of
// run j+1 to high.
func (q *quad) fifthBits(p x, i, j int, low, high v) {
	k := q.kernel
	bits, one := k.vec(), k.vec()
	ldrQ(k, bits, p, 16+i)
	for _, codes := range []v{low, high} {
		from := bits
		if j > 0 {
			ushr16b(k, one, bits, j)
			from = one
		}
		if j < 7 {
			and(k, one, from, k.bytes(1))
		}
		sli16b(k, codes, one, 4)
		j++
	}
	k.free(bits, one)
}

// sixBits sets codes to those of Q6_K of run t, of 32, of half a block, of whose bytes low has the low bits and high
// the high ones. codes may be low; bits, which may be high, is overwritten.
func (k *kernel) sixBits(codes, low, bits, high v, t int) {
	if t < 2 {
		and(k, codes, low, k.bytes(15))
	} else {
		ushr16b(k, codes, low, 4)
	}
	if t > 0 {
		ushr16b(k, bits, high, 2*t)
		high = bits
	}
	if t < 3 {
		and(k, bits, high, k.bytes(3))
	}
	sli16b(k, codes, bits, 4)
}

func dotQ6K(f *file) {
	dots(f, "dotQ6K", "is dotQ6KRow", func(q *quad) {
		const highAt, scalesAt, dAt, blockBytes = 128, 192, 208, 210
		k := q.kernel
		// Codes are 32 too large: sums start with what that adds.
		sums := k.loads(q.y, superSums16, 2)
		var s []v
		for _, row := range q.row {
			c, scales := k.vec(), k.vec()
			for n, sum := range sums {
				ldrD(k, scales, row, scalesAt+8*n)
				sxtl(k, scales, scales)
				if n == 0 {
					smullH(k, c, scales, sum)
				} else {
					smlalH(k, c, scales, sum)
				}
				smlal2H(k, c, scales, sum)
			}
			shl4s(k, c, c, 5)
			neg(k, c, c)
			k.free(scales)
			s = append(s, c)
		}
		k.free(sums...)
		for n := range 2 { // halves of 128
			a := k.loads(q.y, 128*n, 8)
			for r, row := range q.row {
				low, high := k.loads(row, 64*n, 4), k.loads(row, highAt+32*n, 2)
				var dots []v
				for run := range 8 { // of 16
					codes, bits := k.vec(), k.vec()
					k.sixBits(codes, low[run%4], bits, high[run%2], run/2)
					k.free(bits)
					dots = append(dots, q.dot([]v{codes}, a[run:][:1]))
					k.free(codes)
					if len(dots) < 4 {
						continue
					}
					sum, scales := q.sum4(dots), k.vec()
					ldrD(k, scales, row, scalesAt+8*n)
					sxtl(k, scales, scales)
					if run < 4 {
						sxtlH(k, scales, scales)
					} else {
						sxtl2H(k, scales, scales)
					}
					mla(k, s[r], sum, scales)
					k.free(sum, scales)
					dots = nil
				}
				k.free(low...)
				k.free(high...)
			}
			k.free(a...)
		}
		sum, d := q.sum4(s), q.halves4(dAt)
		scvtf(k, sum, sum)
		fmul(k, sum, sum, d)
		ldrS(k, d, q.y, superD)
		fmulElement(k, sum, sum, d, 0)
		fadd(k, q.acc, q.acc, sum)
		k.free(sum, d)
		q.end(blockBytes, superSize)
	})
}
