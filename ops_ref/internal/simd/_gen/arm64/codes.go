package main

// The layout of a block of Codes, see codes.go of package simd.
const (
	codesScale = 256
	codesD     = 272
	codesSize  = 320
)

var panelCodes = panelType{"Codes", codesSize, 16, 16, false, 256}

// codesAt returns the sixteen codes at disp of p, 128 too large, as int8.
func (k *kernel) codesAt(p x, disp int) v {
	c := k.vec()
	ldrQ(k, c, p, disp)
	sub16b(k, c, c, k.bytes(128))
	return c
}

// floats4 returns the float32 at disp of the current block of the four rows.
func (q *quad) floats4(disp int) v {
	d, f := q.vec(), q.vec()
	ldrS(q.kernel, d, q.row[0], disp)
	for r := 1; r < 4; r++ {
		ldrS(q.kernel, f, q.row[r], disp)
		insS(q.kernel, d, r, f)
	}
	q.free(f)
	return d
}

func dotCodes(f *file) {
	dots(f, "dotCodes", "is dotCodesRow", func(q *quad) {
		k := q.kernel
		s := k.vecs(4)
		for _, r := range s {
			zero(k, r)
		}
		for n := range 4 { // quarters of 64
			a := k.loads(q.y, 64*n, 4)
			for r, row := range q.row {
				var dots []v
				for i := range 4 {
					codes := k.codesAt(row, 64*n+16*i)
					dots = append(dots, q.dot([]v{codes}, a[i:][:1]))
					k.free(codes)
				}
				sum, scales := q.sum4(dots), k.vec()
				ldrS(k, scales, row, codesScale+4*n)
				sxtl(k, scales, scales)
				sxtlH(k, scales, scales)
				mla(k, s[r], sum, scales)
				k.free(sum, scales)
			}
			k.free(a...)
		}
		sum, d := q.sum4(s), q.floats4(codesD)
		scvtf(k, sum, sum)
		fmul(k, sum, sum, d)
		ldrS(k, d, q.y, superD)
		fmulElement(k, sum, sum, d, 0)
		fadd(k, q.acc, q.acc, sum)
		k.free(sum, d)
		q.end(codesSize, superSize)
	})
}

func repackCodes(f *file) {
	repack(f, panelCodes, func(p *repacker) {
		for run := range 16 { // of 16 codes
			var rows []v
			for _, r := range p.row {
				rows = append(rows, p.codesAt(r, 16*run))
			}
			p.codes(rows, 16*run)
		}
		p.runScales(codesScale)
		d := p.floats4(codesD)
		strQ(p.kernel, d, p.dst, p.t.dAt())
		p.free(d)
	})
}
