package main

// Panels of weights for products with many columns, see Panels of package simd. A panel is, for each super-block (or
// group of four blocks), four groups of eight rows, each with its codes [k/4][row][4]int8, without offsets, and then
//
//	Q4_K, Q5_K  scale int32[8][row], min int16[8][row], d float32[row], dmin float32[row]
//	Q6_K, Codes scale int32[16][row], d float32[row]
//	Q8_0        d float32[4][row]
//
// Panels of activations are those of package simd; of them, the kernels here need no sums but those for minimums.
const (
	tileColumns = 6
	groupRows   = 8
	codeStep    = 4 * groupRows   // bytes of four codes of a group
	columnStep  = 4 * tileColumns // bytes of four codes of all columns

	columnsKSum32 = 1536
	columnsKD     = 2016
	columnsKSize  = 2048
	columns32D    = 864
	columns32Size = 960
)

// panelType is what a type of weights has in a group of a panel, as far as the kernels differ.
type panelType struct {
	name       string
	blockBytes int // of weights
	subs, sub  int // runs with a scale, and their elements
	mins       bool
	elements   int // of a super-block, or group of four blocks
}

var (
	panelQ8_0 = panelType{"Q8_0", 4 * 34, 4, 32, false, 128}
	panelQ4K  = panelType{"Q4K", 144, 8, 32, true, 256}
	panelQ5K  = panelType{"Q5K", 176, 8, 32, true, 256}
	panelQ6K  = panelType{"Q6K", 210, 16, 16, false, 256}
)

// Offsets in a group: scales come after the codes.
func (t panelType) scalesAt() int { return t.elements / 4 * codeStep }
func (t panelType) minsAt() int   { return t.scalesAt() + 4*groupRows*t.subs }

func (t panelType) dAt() int {
	if t.mins {
		return t.minsAt() + 2*groupRows*t.subs
	}
	return t.minsAt()
}

// bytes returns the size of a group: d of Q8_0 is its scales.
func (t panelType) bytes() int {
	switch {
	case t == panelQ8_0:
		return t.minsAt()
	case t.mins:
		return t.dAt() + 2*4*groupRows
	}
	return t.dAt() + 4*groupRows
}

// transpose4 makes columns of rows of four dwords.
func (k *kernel) transpose4(r []v) {
	t := k.vecs(4)
	trn1(k, t[0], r[0], r[1])
	trn2(k, t[1], r[0], r[1])
	trn1(k, t[2], r[2], r[3])
	trn2(k, t[3], r[2], r[3])
	zip1d(k, r[0], t[0], t[2])
	zip1d(k, r[1], t[1], t[3])
	zip2d(k, r[2], t[0], t[2])
	zip2d(k, r[3], t[1], t[3])
	k.free(t...)
}

// repacker is the loop over four rows at a time, half of a group.
type repacker struct {
	quad
	t         panelType
	dst, mins x // where this half of the rows begins in its group
}

// repack writes the kernel that makes panels: body does it for a super-block of four rows.
func repack(f *file, t panelType, body func(p *repacker)) {
	p := &repacker{t: t}
	p.kernel = f.begin("repack"+t.name+"NEONDot", "panel, w *byte, rowBytes, steps int",
		"writes the panel of 32 rows, rowBytes bytes apart, of steps super-blocks or groups of four blocks, at least 1.")
	k := p.kernel
	panel, steps := k.load("panel"), x("")
	p.w, p.stride, steps = k.load("w"), k.load("rowBytes"), k.load("steps")
	for r := range p.row {
		p.row[r] = k.gp()
	}
	p.dst, p.mins, p.n = k.gp(), k.gp(), k.gp()
	half, quads := k.gp(), k.gp()
	k.ins("MOVD $0, %s", half)
	k.ins("MOVD $8, %s", quads)
	k.label("rows")
	p.startRows()
	k.ins("ADD %s, %s, %s", half, panel, p.dst)
	k.ins("ADD %s>>1, %s, %s", half, panel, p.mins)
	k.ins("ADD $%d, %s, %s", t.minsAt(), p.mins, p.mins)
	k.ins("MOVD %s, %s", steps, p.n)
	k.label("block")
	body(p)
	for _, r := range p.row {
		k.ins("ADD $%d, %s, %s", t.blockBytes, r, r)
	}
	k.ins("ADD $%d, %s, %s", 4*t.bytes(), p.dst, p.dst)
	k.ins("ADD $%d, %s, %s", 4*t.bytes(), p.mins, p.mins)
	k.ins("SUBS $1, %s, %s", p.n, p.n)
	k.ins("BNE block")
	k.ins("ADD %s<<2, %s, %s", p.stride, p.w, p.w)
	k.ins("EOR $16, %s, %s", half, half)
	k.ins("CBNZ %s, second", half)
	k.ins("ADD $%d, %s, %s", t.bytes(), panel, panel)
	k.label("second")
	k.ins("SUBS $1, %s, %s", quads, quads)
	k.ins("BNE rows")
	k.end()
}

// codes stores 16 codes of each row, from element first of the super-block on, and frees them.
func (p *repacker) codes(rows []v, first int) {
	p.transpose4(rows)
	for i, r := range rows {
		strQ(p.kernel, r, p.dst, (first/4+i)*codeStep)
	}
	p.free(rows...)
}

// dwords4 stores four dwords of each row, of which each has room for a group, and frees them.
func (p *repacker) dwords4(rows []v, at int) {
	p.transpose4(rows)
	for i, r := range rows {
		strQ(p.kernel, r, p.dst, at+4*groupRows*i)
	}
	p.free(rows...)
}

// halfAt stores the float16 at disp of each row as float32.
func (p *repacker) halfAt(disp, at int) {
	d := p.halves4(disp)
	strQ(p.kernel, d, p.dst, at)
	p.free(d)
}

func repackQ8_0(f *file) {
	repack(f, panelQ8_0, func(p *repacker) {
		for b := range 4 {
			for i := range 2 {
				var rows []v
				for _, r := range p.row {
					rows = append(rows, p.loads(r, 34*b+2+16*i, 1)...)
				}
				p.codes(rows, 32*b+16*i)
			}
			p.halfAt(34*b, p.t.scalesAt()+4*groupRows*b)
		}
	})
}

func repackAffine(f *file, t panelType) {
	repack(f, t, func(p *repacker) {
		k := p.kernel
		codesAt := t.blockBytes - 128
		for i := 0; i < 128; i += 16 { // bytes with two codes each
			var low, high []v
			first := i/32*64 + i%32
			for _, r := range p.row {
				l, h := k.vec(), k.vec()
				ldrQ(k, l, r, codesAt+i)
				ushr16b(k, h, l, 4)
				and(k, l, l, k.bytes(15))
				if t == panelQ5K {
					p.fifthBits(r, i%32, first/32, l, h)
				}
				low, high = append(low, l), append(high, h)
			}
			p.codes(low, first)
			p.codes(high, first+32)
		}
		var scales, mins [2][]v
		for _, r := range p.row {
			s, u := p.scalesMins(r)
			m, n := k.vec(), k.vec()
			uxtlH(k, m, u)
			uxtl2H(k, u, u)
			uxtl2H(k, n, s)
			uxtlH(k, s, s)
			scales[0], scales[1] = append(scales[0], s), append(scales[1], n)
			mins[0], mins[1] = append(mins[0], m), append(mins[1], u)
		}
		for h := range 2 {
			p.dwords4(scales[h], t.scalesAt()+4*4*groupRows*h)
			k.transpose4(mins[h])
			for i, r := range mins[h] {
				xtn(k, r, r)
				strD(k, r, p.mins, 2*groupRows*(4*h+i))
			}
			k.free(mins[h]...)
		}
		p.halfAt(0, t.dAt())
		p.halfAt(2, t.dAt()+4*groupRows)
	})
}

// runScales stores the sixteen int8 at disp of each row as scales.
func (p *repacker) runScales(disp int) {
	for i := range 4 {
		var rows []v
		for _, r := range p.row {
			s := p.vec()
			ldrS(p.kernel, s, r, disp+4*i)
			sxtl(p.kernel, s, s)
			sxtlH(p.kernel, s, s)
			rows = append(rows, s)
		}
		p.dwords4(rows, p.t.scalesAt()+4*4*groupRows*i)
	}
}

func repackQ6K(f *file) {
	repack(f, panelQ6K, func(p *repacker) {
		const highAt, scalesAt, dAt = 128, 192, 208
		k := p.kernel
		for run := range 16 { // of 16 codes
			n, t, h := run/8, run%8/2, run%2
			var rows []v
			for _, r := range p.row {
				codes, bits := k.vec(), k.vec()
				ldrQ(k, codes, r, 64*n+32*(t%2)+16*h)
				ldrQ(k, bits, r, highAt+32*n+16*h)
				k.sixBits(codes, codes, bits, bits, t)
				sub16b(k, codes, codes, k.bytes(32))
				k.free(bits)
				rows = append(rows, codes)
			}
			p.codes(rows, 16*run)
		}
		p.runScales(scalesAt)
		p.halfAt(dAt, p.t.dAt())
	})
}

// tile is a product of eight rows and six columns: isum holds sums of integers, total what they add up to with their
// scales, each for two times four rows.
type tile struct {
	*kernel
	isum, total [2][tileColumns]v
	a, w        [2]v // columns, rows
	pa, pw      x
}

// element returns where column c of what a holds is.
func (t *tile) element(c int) (v, int) { return t.a[c/4], c % 4 }

// columns loads a dword of each column.
func (t *tile) columns(p x, disp int) {
	ldrQ(t.kernel, t.a[0], p, disp)
	ldrD(t.kernel, t.a[1], p, disp+16)
}

// run sets the sums of integers to the products of n elements, and advances.
func (t *tile) run(n int) {
	k := t.kernel
	each(func(h, c int) { zero(k, t.isum[h][c]) })
	for i := range n / 4 {
		ldrQ(k, t.w[0], t.pw, codeStep*i)
		ldrQ(k, t.w[1], t.pw, codeStep*i+16)
		t.columns(t.pa, columnStep*i)
		each(func(h, c int) {
			a, i := t.element(c)
			sdotElement(k, t.isum[h][c], t.w[h], a, i)
		})
	}
	k.ins("ADD $%d, %s, %s", n/4*codeStep, t.pw, t.pw)
	k.ins("ADD $%d, %s, %s", n/4*columnStep, t.pa, t.pa)
}

func each(f func(h, c int)) {
	for c := range tileColumns {
		for h := range 2 {
			f(h, c)
		}
	}
}

// gemm writes the kernel that adds the products of a panel and six columns to out.
func gemm(f *file, p panelType) {
	t := &tile{kernel: f.begin("gemm"+p.name+"NEONDot", "steps int, w, a *byte, out *float32, outBytes int",
		"is dot"+p.name+"Row for 32 rows and 6 columns, and adds the products of steps super-blocks or groups of four blocks,",
		"at least 1, to out. Columns of out are outBytes apart.")}
	k := t.kernel
	steps, w, a, out, outBytes := k.load("steps"), k.load("w"), k.load("a"), k.load("out"), k.load("outBytes")
	ws, as, n, o, runs, scales, groups := k.gp(), k.gp(), k.gp(), k.gp(), k.gp(), k.gp(), k.gp()
	t.pa, t.pw = k.gp(), k.gp()
	// Elements of 16 bits must lie in the lower vectors: a comes first.
	t.a, t.w = [2]v{k.vec(), k.vec()}, [2]v{k.vec(), k.vec()}
	s := [2]v{k.vec(), k.vec()}
	each(func(h, c int) { t.isum[h][c], t.total[h][c] = k.vec(), k.vec() })
	// columns of results, with o pointing to each.
	results := func(f func(c int)) {
		k.ins("MOVD %s, %s", out, o)
		for c := range tileColumns {
			f(c)
			if c < tileColumns-1 {
				k.ins("ADD %s, %s, %s", outBytes, o, o)
			}
		}
	}
	k.ins("MOVD $4, %s", groups)
	k.label("group")
	k.ins("MOVD %s, %s", w, ws)
	k.ins("MOVD %s, %s", a, as)
	k.ins("MOVD %s, %s", steps, n)
	if p == panelQ8_0 { // totals are those of out
		results(func(c int) {
			ldrQ(k, t.total[0][c], o, 0)
			ldrQ(k, t.total[1][c], o, 16)
		})
	}
	k.label("block")
	k.ins("MOVD %s, %s", ws, t.pw)
	k.ins("MOVD %s, %s", as, t.pa)
	k.ins("ADD $%d, %s, %s", p.scalesAt(), ws, scales)
	k.ins("MOVD $%d, %s", p.subs, runs)
	if p == panelQ8_0 {
		d := o
		k.ins("ADD $%d, %s, %s", columns32D, as, d)
		k.label("run")
		t.run(p.sub)
		ldrQ(k, s[0], scales, 0)
		ldrQ(k, s[1], scales, 16)
		t.columns(d, 0)
		each(func(h, c int) {
			x := t.isum[h][c]
			scvtf(k, x, x)
			fmul(k, x, x, s[h])
			da, i := t.element(c)
			fmulElement(k, x, x, da, i)
			fadd(k, t.total[h][c], t.total[h][c], x)
		})
		k.ins("ADD $%d, %s, %s", columnStep, d, d)
		k.ins("ADD $%d, %s, %s", 4*groupRows, scales, scales)
		k.ins("SUBS $1, %s, %s", runs, runs)
		k.ins("BNE run")
	} else {
		each(func(h, c int) { zero(k, t.total[h][c]) })
		k.label("run")
		t.run(p.sub)
		ldrQ(k, s[0], scales, 0)
		ldrQ(k, s[1], scales, 16)
		each(func(h, c int) { mla(k, t.total[h][c], t.isum[h][c], s[h]) })
		k.ins("ADD $%d, %s, %s", 4*groupRows, scales, scales)
		k.ins("SUBS $1, %s, %s", runs, runs)
		k.ins("BNE run")
		d, least := s, t.w
		if p.mins {
			each(func(h, c int) { zero(k, t.isum[h][c]) })
			for j := range p.subs {
				if j%2 == 0 { // sums of two runs of each column
					t.columns(t.pa, j/2*columnStep)
				}
				mins := t.w[0]
				ldrQ(k, mins, scales, 2*groupRows*j)
				for c := range tileColumns {
					a, i := t.element(c)
					smlalElement(k, t.isum[0][c], mins, a, 2*i+j%2)
					smlal2Element(k, t.isum[1][c], mins, a, 2*i+j%2)
				}
			}
		}
		for h := range 2 {
			ldrQ(k, d[h], ws, p.dAt()+16*h)
			if p.mins {
				ldrQ(k, least[h], ws, p.dAt()+4*groupRows+16*h)
			}
		}
		t.columns(t.pa, columnsKD-columnsKSum32)
		results(func(c int) {
			for h := range 2 {
				x, m := t.total[h][c], t.isum[h][c]
				scvtf(k, x, x)
				fmul(k, x, x, d[h])
				if p.mins {
					scvtf(k, m, m)
					fmul(k, m, m, least[h])
					fsub(k, x, x, m)
				}
				da, i := t.element(c)
				fmulElement(k, x, x, da, i)
				ldrQ(k, m, o, 16*h)
				fadd(k, m, m, x)
				strQ(k, m, o, 16*h)
			}
		})
	}
	k.ins("ADD $%d, %s, %s", 4*p.bytes(), ws, ws)
	size := columnsKSize
	if p == panelQ8_0 {
		size = columns32Size
	}
	k.ins("ADD $%d, %s, %s", size, as, as)
	k.ins("SUBS $1, %s, %s", n, n)
	k.ins("BNE block")
	if p == panelQ8_0 {
		results(func(c int) {
			strQ(k, t.total[0][c], o, 0)
			strQ(k, t.total[1][c], o, 16)
		})
	}
	k.ins("ADD $%d, %s, %s", p.bytes(), w, w)
	k.ins("ADD $%d, %s, %s", 4*groupRows, out, out)
	k.ins("SUBS $1, %s, %s", groups, groups)
	k.ins("BNE group")
	k.end()
}
