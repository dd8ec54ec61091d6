package main

import (
	"fmt"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The layouts of interleaved rows, see interleaved.go of package simd. A row of memory here is 64 bytes: a dword of each
// of sixteen rows of weights.
const (
	wovenRow      = 64
	wovenQ6KCodes = 256
	wovenQ6KD     = wovenQ6KCodes + 16*3*wovenRow
	wovenQ8_0     = 4 * 32
)

const (
	low2 = "low2" // 0x03 in 4 bytes
	high = "high" // 0xf0 in 4 bytes
	six  = "low6" // 0x3f in 4 bytes
	sub0 = "sub0" // 0xff<<4
	top2 = "top2" // 0xc0 in 4 bytes
)

// woven is the loop over groups of sixteen interleaved rows, and over the blocks of each, that mat-vec kernels share.
// Lanes are rows.
type woven struct {
	quad     // its count is that of groups
	outBytes reg.GPVirtual
	size     int // bytes of a block of sixteen rows
	zero     reg.VecVirtual
}

// wovenCols are the numbers of columns for which there are kernels on interleaved rows.
var wovenCols = []int{1, 2, 3, 4}

const wovenSignature = "func(out *float32, outBytes int, w *byte, groups, blocks int, act *byte, actBytes int)"

// beginWoven starts a kernel for cols columns; start opens its loops.
func beginWoven(name, doc string, cols, size int) *woven {
	begin(name, wovenSignature, doc,
		fmt.Sprintf("for %d columns of activations, actBytes apart, and groups of sixteen interleaved rows of blocks blocks (groups of four for", cols),
		"types with blocks of 32). Results of a column are outBytes bytes from those of the next. Both counts are at least 1.")
	v := &woven{outBytes: gp("outBytes"), size: size, zero: asm.ZMM(),
		quad: quad{out: gp("out"), w: gp("w"), count: gp("groups"), blocks: gp("blocks"), act: gp("act"), cols: cols}}
	asm.VPXORD(v.zero, v.zero, v.zero)
	v.columnSteps()
	return v
}

func (v *woven) start() {
	asm.Label("rows")
	v.y, v.n = asm.GP64(), asm.GP64()
	asm.MOVQ(v.act, v.y)
	asm.MOVQ(v.blocks, v.n)
	v.accs = v.zeros()
	asm.Label("block")
}

// zeros returns a sum of zero for each column. Copies of a zero cost nothing, and unlike VPXORD they do not count as uses
// of their target.
func (v *woven) zeros() (sums []reg.VecVirtual) {
	for range v.cols {
		z := asm.ZMM()
		asm.VMOVDQA64(v.zero, z)
		sums = append(sums, z)
	}
	return sums
}

// row returns the memory of row i of the current block.
func (v *woven) row(i int) op.Mem { return at(v.w, i*wovenRow) }

// fetch fetches part i of parts of what the kernel will read. All that it reads is one stream.
func (v *woven) fetch(i, parts int) {
	lines := (v.size + 63) / 64
	for l := lines * i / parts; l < lines*(i+1)/parts; l++ {
		asm.PREFETCHT1(at(v.w, 64*l+farBytes))
		asm.PREFETCHT0(at(v.w, 64*l+nearBytes))
	}
}

// dot adds the products of codes with the four activations at disp of each column to its sum.
func (v *woven) dot(disp int, codes reg.VecVirtual, sums []reg.VecVirtual) {
	for c, s := range sums {
		asm.VPDPBUSD_BCST(v.column(c, disp), codes, s)
	}
}

// addScaled adds the sums of a sub-block times scale to totals.
func addScaled(totals, sums []reg.VecVirtual, scale reg.VecVirtual) {
	for c, s := range sums {
		asm.VPMULLD(scale, s, s)
		asm.VPADDD(s, totals[c], totals[c])
	}
}

// end closes the loops.
func (v *woven) end(yBytes int) {
	asm.ADDQ(op.U32(uint32(v.size)), v.w)
	asm.ADDQ(op.U32(uint32(yBytes)), v.y)
	asm.DECQ(v.n)
	asm.JNZ(op.LabelRef("block"))
	to := asm.GP64()
	asm.MOVQ(v.out, to)
	for c, acc := range v.accs {
		if c > 0 {
			asm.ADDQ(v.outBytes, to)
		}
		asm.VMOVUPS(acc, at(to, 0))
	}
	asm.ADDQ(op.Imm(wovenRow), v.out)
	asm.DECQ(v.count)
	asm.JNZ(op.LabelRef("rows"))
	end()
}

// halfRow returns 16 float16 at p as float32.
func halfRow(p op.Mem) reg.VecVirtual {
	z := asm.ZMM()
	asm.VCVTPH2PS(p, z)
	return z
}

// halves returns d and dmin, of which p holds pairs, as float32.
func halves(p op.Mem) (d, dmin reg.VecVirtual) {
	both, y := asm.ZMM(), asm.YMM()
	asm.VMOVDQU64(p, both)
	d, dmin = asm.ZMM(), asm.ZMM()
	asm.VPMOVDW(both, y)
	asm.VCVTPH2PS(y, d)
	asm.VPSRLD(op.Imm(16), both, both)
	asm.VPMOVDW(both, y)
	asm.VCVTPH2PS(y, dmin)
	return d, dmin
}

func wovenQ8_0Dot(cols int) {
	v := beginWoven("dotWovenQ8_0"+times(cols)+"AVX512", "is dotQ8_0Row", cols, 4*34*16)
	v.start()
	for b := range 4 {
		d := halfRow(at(v.w, 32*b))
		sums := v.zeros()
		for g := range 8 {
			v.fetch(8*b+g, 32)
			codes := asm.ZMM()
			asm.VMOVDQU64(at(v.w, wovenQ8_0+(8*b+g)*wovenRow), codes)
			v.dot(32*b+4*g, codes, sums)
		}
		for c, s := range sums {
			t := asm.ZMM()
			asm.VPBROADCASTD(v.column(c, groupSums+4*b), t)
			asm.VPSLLD(op.Imm(7), t, t)
			asm.VPSUBD(t, s, s) // codes were 128 too large
			v.addSymmetric(c, s, d, groupD+4*b)
		}
	}
	v.end(groupSize)
}

// scalesK returns the 6-bit scales and mins of the block at w, each as the bytes of two dwords: 0 to 3 and 4 to 7.
func scalesK(row func(i int) op.Mem) (s, m [2]reg.VecVirtual) {
	third := asm.ZMM()
	asm.VMOVDQU64(row(3), third)
	for i, out := range []*[2]reg.VecVirtual{&s, &m} {
		w := asm.ZMM()
		asm.VMOVDQU64(row(1+i), w)
		out[0], out[1] = asm.ZMM(), asm.ZMM()
		asm.VPANDD_BCST(sym(six, 0), w, out[0])
		asm.VPSRLD(op.Imm(2), w, w)
		asm.VPANDD_BCST(sym(bits54, 0), w, w)
		if i == 1 {
			asm.VPSRLD(op.Imm(4), third, third)
		}
		asm.VPANDD_BCST(sym(nibbles, 0), third, out[1])
		asm.VPORD(w, out[1], out[1])
	}
	return s, m
}

// byteOf returns byte b of each dword of z, times 16 if up is set.
func byteOf(z reg.VecVirtual, b int, up bool) reg.VecVirtual {
	x := asm.ZMM()
	switch {
	case up && b == 0:
		asm.VPSLLD(op.Imm(4), z, x)
		asm.VPANDD_BCST(sym(sub0, 0), x, x)
	case up:
		asm.VPSRLD(op.Imm(uint64(8*b-4)), z, x)
		asm.VPANDD_BCST(sym(sub0, 0), x, x)
	case b == 0:
		asm.VPANDD_BCST(sym(lowByte, 0), z, x)
	case b == 3:
		asm.VPSRLD(op.Imm(24), z, x)
	default:
		asm.VPSRLD(op.Imm(uint64(8*b)), z, x)
		asm.VPANDD_BCST(sym(lowByte, 0), x, x)
	}
	return x
}

// minPairs calls f with mins 2p and 2p+1 as the words of each dword, for p from 0 to 3.
func minPairs(m [2]reg.VecVirtual, f func(p int, pair reg.VecVirtual)) {
	for p := range 4 {
		z := asm.ZMM()
		asm.VPSHUFB(sym([]string{"pairLow", "pairHigh"}[p%2], 0), m[p/2], z)
		f(p, z)
	}
}

// fifth puts the fifth bits of sub-block sub, which qh holds for all eight, over codes.
func fifth(codes, qh reg.VecVirtual, sub int) {
	bit := asm.ZMM()
	switch n := 4 - sub; {
	case n > 0:
		asm.VPSLLW(op.Imm(uint64(n)), qh, bit)
	case n < 0:
		asm.VPSRLW(op.Imm(uint64(-n)), qh, bit)
	default:
		bit = qh
	}
	asm.VPTERNLOGD_BCST(op.Imm(0xf8), sym("bit4", 0), bit, codes) // codes |= bit & 16
}

// wovenDot reads Q4_K's high nibbles where they are, times 16, and multiplies the sums of low ones by 16 too.
func (a affineK) wovenDot(cols int) {
	v := beginWoven("dotWoven"+a.name+times(cols)+"AVX512", "is dot"+a.name+"Row", cols, 16*a.size)
	low, top := broadcastZ(nibbles), broadcastZ(high)
	v.start()
	s, m := scalesK(v.row)
	totals := v.zeros()
	for j := range 4 {
		sums := [2][]reg.VecVirtual{v.zeros(), v.zeros()}
		for g := range 8 {
			v.fetch(8*j+g, 32)
			from := v.row(a.qs/4 + 8*j + g)
			for h, mask := range []reg.VecVirtual{low, top} {
				codes := asm.ZMM()
				switch {
				case !a.high():
					asm.VPANDD(from, mask, codes)
				case h == 0:
					asm.VPANDD(from, low, codes)
				default:
					asm.VPSRLW(op.Imm(4), from, codes)
					asm.VPANDD(low, codes, codes)
				}
				if a.high() {
					qh := asm.ZMM()
					asm.VMOVDQU64(v.row(4+g), qh)
					fifth(codes, qh, 2*j+h)
				}
				v.dot(32*(2*j+h)+4*g, codes, sums[h])
			}
		}
		for h := range 2 {
			addScaled(totals, sums[h], byteOf(s[j/2], 2*(j%2)+h, h == 0 && !a.high()))
		}
	}
	mins := v.zeros()
	minPairs(m, func(p int, pair reg.VecVirtual) {
		for c := range cols {
			asm.VPDPWSSD_BCST(v.column(c, superSums32+4*p), pair, mins[c])
		}
	})
	d, dmin := halves(v.row(0))
	for c, sum := range totals {
		if !a.high() {
			asm.VPSRAD(op.Imm(4), sum, sum)
		}
		v.addAffine(c, sum, mins[c], d, dmin)
	}
	v.end(superSize)
}

// sixBits are the masks with which codes of Q6_K are taken apart.
type sixBits struct{ low2, low4, low6 reg.VecVirtual }

func loadSixBits() sixBits {
	return sixBits{broadcastZ(low2), broadcastZ(nibbles), broadcastZ(six)}
}

// codes returns the sixteen codes of sub-block sub at w, four in a dword.
func (b sixBits) codes(w reg.Register, sub int) (q [4]reg.VecVirtual) {
	var part [3]reg.VecVirtual // high bits, on their way to their places in the fourth
	for i := range part {
		from := asm.ZMM()
		asm.VMOVDQU64(at(w, wovenQ6KCodes+(3*sub+i)*wovenRow), from)
		part[i], q[i] = from, asm.ZMM()
		asm.VPANDD(from, b.low6, q[i])
		asm.VPSRLD(op.Imm(uint64(6-2*i)), from, from)
	}
	q[3] = part[2]
	asm.VPTERNLOGD(op.Imm(0xd8), b.low2, part[0], part[1]) // where the mask is set the second, elsewhere the third
	asm.VPTERNLOGD(op.Imm(0xd8), b.low4, part[1], q[3])
	asm.VPANDD(b.low6, q[3], q[3])
	return q
}

func wovenQ6KDot(cols int) {
	v := beginWoven("dotWovenQ6K"+times(cols)+"AVX512", "is dotQ6KRow", cols, 16*210)
	starts := asm.AllocLocal(64 * cols)
	bits := loadSixBits()
	v.start()
	for c := range cols { // codes are 32 too large
		t := asm.ZMM()
		asm.VPMOVSXWD(v.column(c, superSums16), t)
		asm.VPSLLD(op.Imm(5), t, t)
		asm.VPSUBD(t, v.zero, t)
		asm.VMOVDQU64(t, starts.Offset(64*c))
	}
	totals := v.zeros()
	for sub := range 16 {
		var sums []reg.VecVirtual
		for c := range cols {
			s := asm.ZMM()
			asm.VPBROADCASTD(starts.Offset(64*c+4*sub), s)
			sums = append(sums, s)
		}
		v.fetch(sub, 16)
		for g, codes := range bits.codes(v.w, sub) {
			v.dot(16*sub+4*g, codes, sums)
		}
		scale := asm.ZMM()
		asm.VPMOVSXBD(at(v.w, 16*sub), scale)
		addScaled(totals, sums, scale)
	}
	d := halfRow(at(v.w, wovenQ6KD))
	for c, sum := range totals {
		v.addSymmetric(c, sum, d, superD)
	}
	v.end(superSize)
}

// weave starts a kernel that interleaves 16 rows. Those of Q6_K need scratch memory for columns of 64 bytes.
func weave(name, doc string) repack {
	return beginRows("weave"+name+"AVX512", "func(dst, w *byte, rowBytes, blocks int, scratch *byte)", "is the layout of "+doc+" in InterleavedRows", 4)
}

func weaveQ8_0() {
	p := weave("Q8_0", "Q8_0")
	flip := broadcastZ(highBit)
	p.start()
	p.rows(0)
	p.codesQ8_0(flip, func(g int, z reg.VecVirtual) { asm.VMOVDQU64(z, at(p.dst, wovenQ8_0+g*wovenRow)) })
	for b := range 4 {
		asm.VPMOVDW(p.gather(34*b), at(p.dst, 32*b))
	}
	p.end(4*34, 16*4*34)
}

func (a affineK) weave() {
	p := weave(a.name, a.name)
	p.start()
	p.rows(0)
	for disp := 0; disp < a.size; disp += 64 {
		from := min(disp, a.size-64) // the last columns twice rather than beyond the row
		for i, z := range p.columns(from) {
			asm.VMOVDQU64(z, at(p.dst, (from/4+i)*wovenRow))
		}
	}
	p.end(a.size, 16*a.size)
}

func weaveQ6K() {
	p := weave("Q6K", "Q6_K")
	scratch := gp("scratch")
	low4, bits, top := broadcastZ(nibbles), broadcastZ(bits54), broadcastZ(top2)
	p.start()
	p.rows(0)
	for i, z := range p.columns(128) {
		asm.VMOVDQU64(z, at(scratch, 64*i))
	}
	for n := range 2 {
		cols := p.columns(64 * n)
		for t := range 4 {
			for j := range 2 { // sub-blocks of the run
				var q [4]reg.VecVirtual
				for g := range q {
					qh := asm.ZMM()
					asm.VMOVDQU64(at(scratch, 64*(8*n+4*j+g)), qh)
					q[g] = codeQ6K(cols[8*(t%2)+4*j+g], qh, t, low4, bits)
				}
				for i := range 3 {
					part := asm.ZMM()
					asm.VPSLLD(op.Imm(uint64(6-2*i)), q[3], part)
					asm.VPTERNLOGD(op.Imm(0xf8), top, part, q[i]) // q[i] |= part & 0xc0
					asm.VMOVDQU64(q[i], at(p.dst, wovenQ6KCodes+(3*(8*n+2*t+j)+i)*wovenRow))
				}
			}
		}
	}
	for w := range 4 {
		z := p.gather(192 + 4*w)
		for j := range 4 {
			asm.VPMOVDB(z, at(p.dst, 16*(4*w+j)))
			if j < 3 {
				asm.VPSRLD(op.Imm(8), z, z)
			}
		}
	}
	d := p.gather(206) // four bytes that end with the row
	asm.VPSRLD(op.Imm(16), d, d)
	asm.VPMOVDW(d, at(p.dst, wovenQ6KD))
	p.end(210, 16*210)
}

// unweave is the loop over blocks that writes panels, see panels.go, of two groups of interleaved rows.
func unweave(name, doc string, wBytes, dstBytes int, half func(w reg.Register, to func(disp int) op.Mem)) {
	begin("unweave"+name+"AVX512", "func(dst, w *byte, groupBytes, blocks int)", "is the layout of "+doc+" in Panels",
		"for two groups of interleaved rows, groupBytes bytes apart, of blocks blocks (groups of four for types with blocks of 32), at least 1.")
	dst, w, group, n := gp("dst"), gp("w"), gp("groupBytes"), gp("blocks")
	asm.Label("block")
	for h := range 2 {
		from, next := w, asm.GP64()
		if h == 1 {
			from = asm.GP64()
			asm.LEAQ(op.Mem{Base: w, Index: group, Scale: 1}, from)
		}
		asm.LEAQ(op.Mem{Base: from, Index: group, Scale: 2}, next) // the next panel's
		for l := 0; l < wBytes; l += 64 {
			asm.PREFETCHT1(at(next, l))
		}
		half(from, func(disp int) op.Mem { return at(dst, disp+h*halfStep) })
	}
	asm.ADDQ(op.U32(uint32(wBytes)), w)
	asm.ADDQ(op.U32(uint32(dstBytes)), dst)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("block"))
	end()
}

func unweaveQ8_0() {
	unweave("Q8_0", "Q8_0", 16*4*34, panelQ8_0, func(w reg.Register, to func(int) op.Mem) {
		for g := range 32 {
			z := asm.ZMM()
			asm.VMOVDQU64(at(w, wovenQ8_0+g*wovenRow), z)
			asm.VMOVDQU64(z, to(g*rowStep))
		}
		for b := range 4 {
			asm.VMOVUPS(halfRow(at(w, 32*b)), to(panelQ8_0D+b*rowStep))
		}
	})
}

func (a affineK) unweave() {
	unweave(a.name, a.name, 16*a.size, panelQ4K, func(w reg.Register, to func(int) op.Mem) {
		row := func(i int) op.Mem { return at(w, i*wovenRow) }
		low := broadcastZ(nibbles)
		for g := range 8 {
			var qh reg.VecVirtual
			if a.high() {
				qh = asm.ZMM()
				asm.VMOVDQU64(row(4+g), qh)
			}
			for sub := range 8 {
				from := row(a.qs/4 + sub/2*8 + g)
				codes := asm.ZMM()
				if sub%2 == 0 {
					asm.VPANDD(from, low, codes)
				} else {
					asm.VPSRLW(op.Imm(4), from, codes)
					asm.VPANDD(low, codes, codes)
				}
				if a.high() {
					fifth(codes, qh, sub)
				}
				asm.VMOVDQU64(codes, to((8*sub+g)*rowStep))
			}
		}
		s, m := scalesK(row)
		for j := range 8 {
			asm.VMOVDQU64(byteOf(s[j/4], j%4, false), to(panelQ4KScales+j*rowStep))
		}
		minPairs(m, func(p int, pair reg.VecVirtual) { asm.VMOVDQU64(pair, to(panelQ4KMins+p*rowStep)) })
		d, dmin := halves(row(0))
		asm.VMOVUPS(d, to(panelQ4KD))
		asm.VMOVUPS(dmin, to(panelQ4KDmin))
	})
}

func unweaveQ6K() {
	unweave("Q6K", "Q6_K", 16*210, panelQ6K, func(w reg.Register, to func(int) op.Mem) {
		bits := loadSixBits()
		for sub := range 16 {
			for g, codes := range bits.codes(w, sub) {
				asm.VPADDD_BCST(sym(ninetySixes, 0), codes, codes)
				asm.VMOVDQU64(codes, to((4*sub+g)*rowStep))
			}
			scale := asm.ZMM()
			asm.VPMOVSXBD(at(w, 16*sub), scale)
			asm.VMOVDQU64(scale, to(panelQ6KScales+sub*rowStep))
		}
		asm.VMOVUPS(halfRow(at(w, wovenQ6KD)), to(panelQ6KD))
	})
}

// wovenKernels writes the kernels on interleaved rows.
func wovenKernels() {
	dwords(low2, []uint32{0x03030303})
	dwords(high, []uint32{0xf0f0f0f0})
	dwords(sub0, []uint32{0xff0})
	dwords(top2, []uint32{0xc0c0c0c0})
	for _, cols := range wovenCols {
		wovenQ8_0Dot(cols)
		q4K.wovenDot(cols)
		q5K.wovenDot(cols)
		wovenQ6KDot(cols)
	}
	weaveQ8_0()
	q4K.weave()
	q5K.weave()
	weaveQ6K()
	unweaveQ8_0()
	q4K.unweave()
	q5K.unweave()
	unweaveQ6K()
}
