package main

// floatType is a type of weights: its size, and the step from eight elements (four of float32) to float32.
type floatType struct {
	name string
	size int
}

var (
	f32  = floatType{"F32", 4}
	f16  = floatType{"F16", 2}
	bf16 = floatType{"BF16", 2}
)

// loads returns 4*n elements from p+disp on as float32, n even for types of 16 bits.
func (t floatType) loads(k *kernel, p x, disp, n int) []v {
	if t == f32 {
		return k.loads(p, disp, n)
	}
	vs := k.vecs(n)
	for i := 0; i < n; i += 2 {
		ldrQ(k, vs[i], p, disp+8*i)
		hi, lo := vs[i+1], vs[i]
		if t == f16 {
			fcvtl2(k, hi, lo)
			fcvtl(k, lo, lo)
		} else {
			shll16hi(k, hi, lo)
			shll16(k, lo, lo)
		}
	}
	return vs
}

// fold16 adds the sixteen partial sums of four rows as dotF32Row does, and returns the results. It frees sums.
func fold16(k *kernel, sums [4][]v) v {
	for _, s := range sums {
		fadd(k, s[0], s[0], s[2])
		fadd(k, s[1], s[1], s[3])
		fadd(k, s[0], s[0], s[1])
		k.free(s[1:]...)
	}
	faddp(k, sums[0][0], sums[0][0], sums[1][0])
	faddp(k, sums[2][0], sums[2][0], sums[3][0])
	faddp(k, sums[0][0], sums[0][0], sums[2][0])
	k.free(sums[1][0], sums[2][0], sums[3][0])
	return sums[0][0]
}

// zeroSums returns the partial sums of four rows.
func zeroSums(k *kernel) (sums [4][]v) {
	for r := range sums {
		sums[r] = k.vecs(4)
		for _, s := range sums[r] {
			zero(k, s)
		}
	}
	return sums
}

// dotFloat writes the products of four rows and one column.
func dotFloat(f *file, t floatType) {
	multiple := "."
	if t != f32 {
		multiple = " and a multiple of 16."
	}
	q := &quad{kernel: f.begin("dot"+t.name+"NEON", "out *float32, w *byte, rowBytes, quads, k int, x *float32",
		"is dotF32Row for 4*quads rows, rowBytes bytes apart. k must be positive"+multiple)}
	k := q.kernel
	q.out, q.w, q.stride, q.count = k.load("out"), k.load("w"), k.load("rowBytes"), k.load("quads")
	length, column := k.load("k"), k.load("x")
	for r := range q.row {
		q.row[r] = k.gp()
	}
	q.y, q.n = k.gp(), k.gp()
	rest := k.gp()
	k.label("rows")
	q.startRows()
	k.ins("MOVD %s, %s", column, q.y)
	sums := zeroSums(k)
	k.ins("LSR $4, %s, %s", length, q.n)
	if t == f32 {
		k.ins("AND $15, %s, %s", length, rest)
		k.ins("CBZ %s, tail", q.n)
	}
	k.label("step")
	// Half of the lanes at a time: that leaves registers for the next loads.
	for h := 0; h < 4; h += 2 {
		xs := k.loads(q.y, 16*h, 2)
		for r, row := range q.row {
			w := t.loads(k, row, 4*t.size*h, 2)
			fmla(k, sums[r][h], w[0], xs[0])
			fmla(k, sums[r][h+1], w[1], xs[1])
			k.free(w...)
		}
		k.free(xs...)
	}
	for _, p := range q.row {
		k.ins("ADD $%d, %s, %s", 16*t.size, p, p)
	}
	k.ins("ADD $64, %s, %s", q.y, q.y)
	k.ins("SUBS $1, %s, %s", q.n, q.n)
	k.ins("BNE step")
	if t == f32 {
		q.tail(rest)
	}
	k.label("fold")
	s := fold16(k, sums)
	strQ(k, s, q.out, 0)
	k.ins("ADD $16, %s, %s", q.out, q.out)
	k.ins("ADD %s<<2, %s, %s", q.stride, q.w, q.w)
	k.ins("SUBS $1, %s, %s", q.count, q.count)
	k.ins("BNE rows")
	k.end()
}

// tail runs the step on the rest of the elements, fewer than 16, copied to the frame. Elements beyond the end are -0
// and 0: their product leaves every sum as it is.
func (q *quad) tail(rest x) {
	k := q.kernel
	k.frame = 5 * 64
	k.label("tail")
	k.ins("CBZ %s, fold", rest)
	at, i, word := k.gp(), k.gp(), k.gp()
	k.ins("MOVD $parts-%d(SP), %s", k.frame, at)
	fill := k.vec()
	for r := range 5 {
		zero(k, fill)
		if r < 4 {
			mov(k, fill, k.dwords(1<<31))
		}
		for j := range 4 {
			strQ(k, fill, at, 64*r+16*j)
		}
	}
	k.free(fill)
	k.ins("MOVD $0, %s", i)
	k.label("element")
	for r, p := range append(q.row[:], q.y) {
		k.ins("MOVWU (%s)(%s<<2), %s", p, i, word)
		k.ins("MOVW %s, %d(%s)", word, 64*r, at)
	}
	k.ins("ADD $4, %s, %s", at, at)
	k.ins("ADD $1, %s, %s", i, i)
	k.ins("CMP %s, %s", rest, i)
	k.ins("BLT element")
	for r, p := range append(q.row[:], q.y) {
		k.ins("MOVD $parts-%d(SP), %s", k.frame-64*r, p)
	}
	k.ins("MOVD $0, %s", rest)
	k.ins("MOVD $1, %s", q.n)
	k.ins("B step")
}

// widen writes the conversion to float32.
func widen(f *file, t floatType) {
	k := f.begin("widen"+t.name+"NEON", "dst *float32, src *byte, eights int", "converts 8*eights elements of type "+t.name+" to float32. eights must be positive.")
	dst, src, n := k.load("dst"), k.load("src"), k.load("eights")
	k.label("step")
	for i, r := range t.loads(k, src, 0, 2) {
		strQ(k, r, dst, 16*i)
	}
	k.ins("ADD $16, %s, %s", src, src)
	k.ins("ADD $32, %s, %s", dst, dst)
	k.ins("SUBS $1, %s, %s", n, n)
	k.ins("BNE step")
	k.end()
}

// narrow writes the conversion to float16.
func narrow(f *file) {
	k := f.begin("narrowF16NEON", "dst *byte, src *float32, eights int", "converts 8*eights elements, at least 8, to float16, rounding to nearest even.")
	dst, src, n := k.load("dst"), k.load("src"), k.load("eights")
	k.label("step")
	x := k.loads(src, 0, 2)
	fcvtn(k, x[0], x[0])
	fcvtn2(k, x[0], x[1])
	strQ(k, x[0], dst, 0)
	k.ins("ADD $32, %s, %s", src, src)
	k.ins("ADD $16, %s, %s", dst, dst)
	k.ins("SUBS $1, %s, %s", n, n)
	k.ins("BNE step")
	k.end()
}

// addRows writes the weighted sum of rows of values, 16 elements of the result at a time, 64 if there are as many.
func addRows(f *file, t floatType) {
	k := f.begin("addRows"+t.name+"NEON", "dst *float32, steps int, rows *byte, rowBytes int, weights *float32, n int",
		"is addRow for 16*steps elements.", "Both counts must be positive.")
	dst, steps, rows, rowBytes := k.load("dst"), k.load("steps"), k.load("rows"), k.load("rowBytes")
	weights, n := k.load("weights"), k.load("n")
	p, w, left := k.gp(), k.gp(), k.gp()
	part := func(name string, vectors int) {
		k.label(name)
		acc := k.loads(dst, 0, vectors)
		by := k.vec()
		k.ins("MOVD %s, %s", rows, p)
		k.ins("MOVD %s, %s", weights, w)
		k.ins("MOVD %s, %s", n, left)
		k.label(name + "Row")
		ld1r(k, by, w)
		for i := 0; i < vectors; i += 4 {
			x := t.loads(k, p, 4*t.size*i, 4)
			for j, r := range x {
				fmla(k, acc[i+j], r, by)
			}
			k.free(x...)
		}
		k.ins("ADD %s, %s, %s", rowBytes, p, p)
		k.ins("ADD $4, %s, %s", w, w)
		k.ins("SUBS $1, %s, %s", left, left)
		k.ins("BNE %sRow", name)
		for i, r := range acc {
			strQ(k, r, dst, 16*i)
		}
		k.ins("ADD $%d, %s, %s", 16*vectors, dst, dst)
		k.ins("ADD $%d, %s, %s", 4*t.size*vectors, rows, rows)
		k.free(acc...)
		k.free(by)
	}
	k.label("next")
	k.ins("CMP $4, %s", steps)
	k.ins("BLT one")
	part("four", 16)
	k.ins("SUBS $4, %s, %s", steps, steps)
	k.ins("BNE next")
	k.ins("B done")
	part("one", 4)
	k.ins("SUBS $1, %s, %s", steps, steps)
	k.ins("BNE one")
	k.label("done")
	k.end()
}

// deltaStep writes one token of the gated delta rule for rows of the state, four at a time; or, with scan, one of a
// state-space model, which writes v as it is and does not scale.
func deltaStep(f *file, scan bool) {
	name, definition, factors := "deltaStepNEON", "deltaRow", "decay, beta, scale"
	if scan {
		name, definition, factors = "scanStepNEON", "scanRow", "decay"
	}
	k := f.begin(name, "state *float32, quads, steps int, q, k, v, o *float32, "+factors+" float32",
		"is "+definition+" for 4*quads rows of 16*steps elements. Both counts must be positive.")
	state, quads, steps := k.load("state"), k.load("quads"), k.load("steps")
	q, key, value, o := k.load("q"), k.load("k"), k.load("v"), k.load("o")
	stride, p, pk, pq, left := k.gp(), k.gp(), k.gp(), k.gp(), k.gp()
	row := [4]x{p, k.gp(), k.gp(), k.gp()}
	k.ins("LSL $6, %s, %s", steps, stride)
	pass := func(label string, each func(h int, row x, s v, r int, acc v)) v {
		sums := zeroSums(k)
		k.ins("MOVD %s, %s", state, p)
		for r := 1; r < 4; r++ {
			k.ins("ADD %s, %s, %s", stride, row[r-1], row[r])
		}
		k.ins("MOVD %s, %s", key, pk)
		k.ins("MOVD %s, %s", q, pq)
		k.ins("MOVD %s, %s", steps, left)
		k.label(label)
		for h := range 4 {
			for r, p := range row {
				s := k.vec()
				ldrQ(k, s, p, 16*h)
				each(h, p, s, r, sums[r][h])
				k.free(s)
			}
		}
		for _, p := range append(row[:], pk, pq) {
			k.ins("ADD $64, %s, %s", p, p)
		}
		k.ins("SUBS $1, %s, %s", left, left)
		k.ins("BNE %s", label)
		return fold16(k, sums)
	}
	ks, qs := k.vec(), k.vec()
	k.label("rows")
	u := k.vec()
	if scan {
		ldrQ(k, u, value, 0)
	} else {
		predicted := pass("decayed", func(h int, row x, s v, r int, acc v) {
			if r == 0 {
				ldrQ(k, ks, pk, 16*h)
			}
			fmul(k, s, s, k.broadcast("decay"))
			strQ(k, s, row, 16*h)
			fmla(k, acc, s, ks)
		})
		ldrQ(k, u, value, 0)
		fsub(k, u, u, predicted)
		fmul(k, u, u, k.broadcast("beta"))
		k.free(predicted)
	}
	result := pass("written", func(h int, row x, s v, r int, acc v) {
		if r == 0 {
			ldrQ(k, ks, pk, 16*h)
			ldrQ(k, qs, pq, 16*h)
		}
		if scan {
			fmul(k, s, s, k.broadcast("decay"))
		}
		fmlaElement(k, s, ks, u, r)
		strQ(k, s, row, 16*h)
		fmla(k, acc, s, qs)
	})
	if !scan {
		fmul(k, result, result, k.broadcast("scale"))
	}
	strQ(k, result, o, 0)
	k.ins("ADD $16, %s, %s", value, value)
	k.ins("ADD $16, %s, %s", o, o)
	k.ins("ADD %s<<2, %s, %s", stride, state, state)
	k.ins("SUBS $1, %s, %s", quads, quads)
	k.ins("BNE rows")
	k.end()
}
