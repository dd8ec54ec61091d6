package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The layout of a block of Codes, see codes.go of package simd.
const (
	codesScale = 256
	codesD     = 272
	codesSize  = 320
)

// codesKernels writes the products of rows of Codes, and what makes panels of them.
func codesKernels() {
	var runs []byte // whose sums lanes4Z leaves in each dword
	for i := range 16 {
		runs = append(runs, byte(4*(i%4)+i/4))
	}
	bytes("codesRuns", runs)
	for _, cols := range dotCols {
		dotCodesColumns(cols)
		if cols < 4 { // for which registers do not suffice
			dotIQ4XSColumns(cols)
		}
	}
	dotCodesAVX2()
	repackCodes()
}

// floats4 loads the float32 at disp of the current block of four rows.
func (q *quad) floats4(disp int) reg.VecVirtual {
	d := asm.XMM()
	asm.VMOVD(q.row(0, disp), d)
	for r := 1; r < 4; r++ {
		asm.VPINSRD(op.Imm(uint64(r)), q.row(r, disp), d, d)
	}
	return d
}

// codesDot is a kernel for rows whose blocks are those of Codes, or become them on the way: what it gives of row r.
type codesDot struct {
	name, doc string
	size      int                                          // bytes of a block
	codes     func(q *quad, r, i int) reg.VecVirtual       // 64 codes, part i of four
	scales    func(m func(disp int) op.Mem) reg.VecVirtual // as sixteen bytes
	d         func(q *quad) reg.VecVirtual                 // of four rows
	start     func()                                       // before the loops, if not nil
}

// vectorConstants loads vectors before the loops of kernels for one column, and where they are used in others, which need
// the registers.
type vectorConstants struct {
	hoist  bool
	loaded map[string]reg.VecVirtual
}

func (c *vectorConstants) load(name string) reg.VecVirtual {
	if !c.hoist {
		return loadZ(name)
	}
	return c.loaded[name]
}

func newVectorConstants(hoist bool, names ...string) *vectorConstants {
	c := &vectorConstants{hoist: hoist, loaded: map[string]reg.VecVirtual{}}
	if hoist {
		for _, name := range names {
			c.loaded[name] = loadZ(name)
		}
	}
	return c
}

func dotCodesColumns(cols int) {
	codesDot{"Codes", "is dotCodesRow", codesSize, func(q *quad, r, i int) reg.VecVirtual {
		z := asm.ZMM()
		asm.VMOVDQU64(q.row(r, 64*i), z)
		return z
	}, func(m func(disp int) op.Mem) reg.VecVirtual {
		x := asm.XMM()
		asm.VMOVDQU(m(codesScale), x)
		return x
	}, func(q *quad) reg.VecVirtual { return q.floats4(codesD) }, nil}.kernel(cols)
}

// dotIQ4XSColumns writes the kernel that takes codes apart where it needs them.
func dotIQ4XSColumns(cols int) {
	var c *vectorConstants
	d := codesDot{"IQ4XS", "is dotCodesRow of what convertCodes makes of IQ4_XS", 136, func(q *quad, r, i int) reg.VecVirtual {
		if i == 0 {
			fetch(q.ahead, 4*136, r, 4)
		}
		z := asm.ZMM()
		asm.VMOVDQU64(q.row(r, 8+32*i), z.AsY())
		asm.VPERMD(z, c.load("lanesTwice"), z)
		asm.VPSRLVW(sym("nibbleLanes", 0), z, z)
		asm.VPANDD_BCST(sym(nibbles, 0), z, z)
		asm.VPSHUFB(z, c.load("iq4Codes"), z)
		return z
	}, scalesIQ4XS, func(q *quad) reg.VecVirtual { return q.scales4(0) }, nil}
	d.start = func() { c = newVectorConstants(cols == 1, "lanesTwice", "iq4Codes") }
	d.kernel(cols)
}

func (k codesDot) kernel(cols int) {
	q := beginColumns("dot"+k.name+times(cols)+"AVX512", k.doc, cols)
	if k.start != nil {
		k.start()
	}
	zero := asm.ZMM()
	asm.VPXORD(zero, zero, zero)
	q.startRows()
	// Codes are 128 too large. For one column, sums start at -128 times the sum of four activations.
	var start [4]reg.VecVirtual
	for i := range start {
		start[i] = zero
		if cols == 1 {
			start[i] = asm.ZMM()
			asm.VMOVDQA64(zero, start[i])
			asm.VPDPBUSD(at(q.y, 64*i), broadcastZ(highBit), start[i])
			asm.VPSUBD(start[i], zero, start[i])
		}
	}
	pairs := make([][2]reg.VecVirtual, cols) // of rows
	row := func(r int) (sums []reg.VecVirtual) {
		scale, words := asm.ZMM(), asm.YMM()
		bytes := k.scales(func(disp int) op.Mem { return q.row(r, disp) })
		if cols > 1 {
			asm.VPMOVSXBW(bytes, words)
		}
		asm.VPSHUFB(sym("codesRuns", 0), bytes, bytes)
		asm.VPMOVSXBD(bytes, scale)
		var codes [4]reg.VecVirtual
		for i := range codes {
			codes[i] = k.codes(&q, r, i)
		}
		for c := range cols {
			var x [4]reg.VecVirtual
			for i := range x {
				x[i] = asm.ZMM()
				asm.VMOVDQA64(start[i], x[i])
				asm.VPDPBUSD(q.column(c, 64*i), codes[i], x[i])
			}
			sum := lanes4Z(x[0], x[1], x[2], x[3])
			asm.VPMULLD(scale, sum, sum)
			if cols > 1 {
				off := asm.ZMM()
				asm.VPMADDWD(q.column(c, superSums16), words, off.AsY())
				asm.VPSLLD(op.Imm(7), off.AsY(), off.AsY())
				asm.VPSUBD(off, sum, sum)
			}
			sums = append(sums, sum)
		}
		return sums
	}
	for p := range 2 {
		a, b := row(2*p), row(2*p+1)
		for c := range cols {
			pairs[c][p] = pairZ(a[c], b[c])
		}
	}
	d := k.d(&q)
	for c, p := range pairs {
		q.addSymmetric(c, sumLanes(lanesZ(p[0], p[1])), d, superD)
	}
	q.endBlock(k.size, superSize)
	q.endRows()
}

// dotCodesAVX2 moves the signs of activations to the codes: two products of at most 127*127 fit in an int16.
func dotCodesAVX2() {
	q := beginQuads("dotCodesAVX2", "is dotCodesRow")
	flip := broadcastY(highBit)
	q.startRows()
	var sums [4]reg.VecVirtual
	for r := range 4 {
		sc, sum := asm.XMM(), asm.YMM()
		asm.VMOVDQU(q.row(r, codesScale), sc)
		asm.VPXOR(sum, sum, sum)
		for run := range 8 {
			codes, acts, sizes, scale := asm.YMM(), asm.YMM(), asm.YMM(), asm.YMM()
			asm.VPXOR(q.row(r, 32*run), flip, codes)
			asm.VMOVDQU(at(q.y, 32*run), acts)
			asm.VPABSB(acts, sizes)
			asm.VPSIGNB(acts, codes, codes)
			asm.VPMADDUBSW(codes, sizes, codes)
			asm.VPSHUFB(sym("q6Spread", 16*run), sc, scale.AsX())
			asm.VPMOVSXBW(scale.AsX(), scale)
			asm.VPMADDWD(scale, codes, codes)
			asm.VPADDD(codes, sum, sum)
		}
		sums[r] = sum
	}
	q.addSymmetric(0, foldY(hadd4(sums[0], sums[1], sums[2], sums[3])), q.floats4(codesD), superD)
	q.endBlock(codesSize, superSize)
	q.endRows()
}

// repackCodes writes the panels of Q6_K. Rows are in a cache, where they have just been written.
func repackCodes() {
	p := beginRepack("repackCodesAVX512", "is the layout of Codes in Panels")
	p.start()
	for h := range 2 {
		p.rows(h)
		for i := range 4 {
			for g, z := range p.columns(64 * i) {
				asm.VMOVDQU64(z, at(p.dst, (16*i+g)*rowStep+h*halfStep))
			}
		}
		for w := range 4 {
			z := p.gather(codesScale + 4*w)
			for j := range 4 {
				s := asm.ZMM()
				asm.VPSLLD(op.Imm(uint64(24-8*j)), z, s)
				asm.VPSRAD(op.Imm(24), s, s)
				asm.VMOVDQU64(s, at(p.dst, panelQ6KScales+(4*w+j)*rowStep+h*halfStep))
			}
		}
		asm.VMOVUPS(p.gather(codesD), at(p.dst, panelQ6KD+h*halfStep))
	}
	p.end(codesSize, panelQ6K)
}
