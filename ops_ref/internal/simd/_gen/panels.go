package main

import (
	"fmt"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The layouts of panels, see panels.go of package simd: rows and columns of a tile, sizes and offsets in bytes.
const (
	tileRows    = 32
	tileColumns = 6

	panelQ4K       = 9984
	panelQ4KScales = 8192
	panelQ4KMins   = 9216
	panelQ4KD      = 9728
	panelQ4KDmin   = 9856

	panelQ6K       = 10368
	panelQ6KScales = 8192
	panelQ6KD      = 10240

	panelQ8_0  = 4608
	panelQ8_0D = 4096

	colsK      = 2048
	colsKSum32 = 1536
	colsKNeg16 = 1632
	colsKD     = 2016

	cols32     = 960
	cols32Neg  = 768
	cols32D    = 864
	rowStep    = 4 * tileRows // bytes of four elements of all rows
	halfStep   = 64           // bytes of four elements of 16 rows
	columnStep = 4 * tileColumns
)

// transpose16 returns the columns of a matrix of 16 by 16 dwords, given as rows, which it overwrites.
func transpose16(rows [16]reg.VecVirtual) (cols [16]reg.VecVirtual) {
	unpack := func(a, b reg.VecVirtual, lo, hi func(x, y, z op.Op)) (reg.VecVirtual, reg.VecVirtual) {
		t := asm.ZMM()
		lo(b, a, t)
		hi(b, a, a)
		return t, a
	}
	dlo := func(x, y, z op.Op) { asm.VPUNPCKLDQ(x, y, z) }
	dhi := func(x, y, z op.Op) { asm.VPUNPCKHDQ(x, y, z) }
	qlo := func(x, y, z op.Op) { asm.VPUNPCKLQDQ(x, y, z) }
	qhi := func(x, y, z op.Op) { asm.VPUNPCKHQDQ(x, y, z) }
	var part [4][4]reg.VecVirtual // part[i][j]: lane L is column 4L+j of rows 4i to 4i+3
	for i := range 4 {
		r := rows[4*i:]
		l01, h01 := unpack(r[0], r[1], dlo, dhi)
		l23, h23 := unpack(r[2], r[3], dlo, dhi)
		part[i][0], part[i][1] = unpack(l01, l23, qlo, qhi)
		part[i][2], part[i][3] = unpack(h01, h23, qlo, qhi)
	}
	lanes := func(a, b reg.VecVirtual) (even, odd reg.VecVirtual) {
		even = asm.ZMM()
		asm.VSHUFI32X4(op.Imm(0x88), b, a, even)
		asm.VSHUFI32X4(op.Imm(0xdd), b, a, a)
		return even, a
	}
	for j := range 4 {
		ab0, ab1 := lanes(part[0][j], part[1][j])
		cd0, cd1 := lanes(part[2][j], part[3][j])
		cols[j], cols[8+j] = lanes(ab0, cd0)
		cols[4+j], cols[12+j] = lanes(ab1, cd1)
	}
	return cols
}

// repack is the loop over blocks of 32 rows, in two halves of 16.
type repack struct {
	dst, w, stride, blocks reg.GPVirtual
	next                   reg.GPVirtual // bytes from a row to that of the next panel
	half                   reg.GPVirtual // the first of 16 rows
	index                  reg.VecVirtual
	name                   string
}

func beginRepack(name, doc string) repack {
	return beginRows(name, "func(dst, w *byte, rowBytes, blocks int)", doc, 5)
}

// beginRows starts a kernel for 1<<shift rows.
func beginRows(name, signature, doc string, shift int) repack {
	begin(name, signature, doc,
		fmt.Sprintf("for %d rows, rowBytes bytes apart, of blocks blocks (groups of four for types with blocks of 32), at least 1.", 1<<shift))
	p := repack{dst: gp("dst"), w: gp("w"), stride: gp("rowBytes"), blocks: gp("blocks"), name: name, next: asm.GP64()}
	asm.MOVQ(p.stride, p.next)
	asm.SHLQ(op.Imm(uint64(shift)), p.next)
	return p
}

// start opens the loop over blocks; rows sets up the addresses of half h.
func (p *repack) start() {
	p.index = asm.ZMM()
	asm.VPBROADCASTD(p.stride.As32(), p.index)
	asm.VPMULLD(sym("laneNumber", 0), p.index, p.index)
	asm.Label("block")
}

func (p *repack) rows(h int) {
	if h == 0 {
		p.half = asm.GP64()
		asm.MOVQ(p.w, p.half)
		return
	}
	t := asm.GP64()
	asm.MOVQ(p.stride, t)
	asm.SHLQ(op.Imm(4), t)
	asm.ADDQ(t, p.half)
}

func (p *repack) end(wBytes, dstBytes int) {
	asm.ADDQ(op.U32(uint32(wBytes)), p.w)
	asm.ADDQ(op.U32(uint32(dstBytes)), p.dst)
	asm.DECQ(p.blocks)
	asm.JNZ(op.LabelRef("block"))
	end()
}

// gather returns the dwords at disp of 16 rows.
func (p *repack) gather(disp int) reg.VecVirtual {
	all, z := reg.K1, asm.ZMM()
	asm.KXNORW(all, all, all)
	asm.VPXORD(z, z, z) // the gather waits for what was in it
	asm.VPGATHERDD(op.Mem{Base: p.half, Disp: disp, Index: p.index, Scale: 1}, all, z)
	return z
}

// load returns 16 rows, read by f from the memory at disp of each, and fetches those of the next panel: the processor
// itself does not see where 16 short streams go.
func (p *repack) load(disp int, f func(row reg.Register) reg.VecVirtual) (rows [16]reg.VecVirtual) {
	row := asm.GP64()
	asm.MOVQ(p.half, row)
	for i := range rows {
		rows[i] = f(row)
		asm.PREFETCHT1(op.Mem{Base: row, Index: p.next, Scale: 1, Disp: disp})
		if i < 15 {
			asm.ADDQ(p.stride, row)
		}
	}
	return rows
}

// halves stores the low halves of the dwords of z, float16, as float32 at disp of the panel.
func (p *repack) halves(z reg.VecVirtual, disp int) {
	y := asm.YMM()
	f := asm.ZMM()
	asm.VPMOVDW(z, y)
	asm.VCVTPH2PS(y, f)
	asm.VMOVUPS(f, at(p.dst, disp))
}

// laneNumbers writes the constant of that name.
func laneNumbers() {
	var lanes []uint32
	for i := range uint32(16) {
		lanes = append(lanes, i)
	}
	dwords("laneNumber", lanes)
}

// repackQ8_0 writes panels of codes that are 128 too large.
func repackQ8_0() {
	p := beginRepack("repackQ8_0AVX512", "is the layout of Q8_0 in Panels")
	flip := broadcastZ(highBit)
	p.start()
	for h := range 2 {
		p.rows(h)
		p.codesQ8_0(flip, func(g int, z reg.VecVirtual) { asm.VMOVDQU64(z, at(p.dst, g*rowStep+h*halfStep)) })
		for b := range 4 {
			p.halves(p.gather(34*b), panelQ8_0D+b*rowStep+h*halfStep)
		}
	}
	p.end(4*34, panelQ8_0)
}

// codesQ8_0 hands out the codes of four blocks of 16 rows, 128 too large: dword g of each row.
func (p *repack) codesQ8_0(flip reg.VecVirtual, f func(g int, z reg.VecVirtual)) {
	for pair := range 2 {
		cols := transpose16(p.load(68*pair+2, func(row reg.Register) reg.VecVirtual {
			z := asm.ZMM()
			asm.VBROADCASTI64X4(at(row, 68*pair+2), z)
			asm.VINSERTI64X4(op.Imm(1), at(row, 68*pair+36), z, z)
			return z
		}))
		for g, z := range cols {
			asm.VPXORD(flip, z, z)
			f(16*pair+g, z)
		}
	}
}

// columns returns the dwords of 64 bytes at disp of 16 rows.
func (p *repack) columns(disp int) [16]reg.VecVirtual {
	return transpose16(p.load(disp, func(row reg.Register) reg.VecVirtual {
		z := asm.ZMM()
		asm.VMOVDQU64(at(row, disp), z)
		return z
	}))
}

func (a affineK) repack() {
	if !a.high() {
		bytes("pairLow", lanePattern(0, 0x80, 1, 0x80))
		bytes("pairHigh", lanePattern(2, 0x80, 3, 0x80))
	}
	p := beginRepack("repack"+a.name+"AVX512", "is the layout of "+a.name+" in Panels")
	low4, low6, high2, byte0 := broadcastZ(nibbles), broadcastZ("low6"), broadcastZ(bits54), broadcastZ(lowByte)
	p.start()
	for h := range 2 {
		p.rows(h)
		// store writes the codes of a pair of sub-blocks, of which z holds the nibbles of elements 4g to 4g+3.
		store := func(pair, g int, z reg.VecVirtual) {
			for v := range 2 {
				sub, code := 2*pair+v, asm.ZMM()
				if v == 1 {
					asm.VPSRLW(op.Imm(4), z, z)
				}
				asm.VPANDD(low4, z, code)
				if a.high() {
					bit := asm.ZMM()
					asm.VMOVDQU64(at(p.dst, panelQ4KScales+g*rowStep+h*halfStep), bit)
					switch n := 4 - sub; {
					case n > 0:
						asm.VPSLLW(op.Imm(uint64(n)), bit, bit)
					case n < 0:
						asm.VPSRLW(op.Imm(uint64(-n)), bit, bit)
					}
					asm.VPANDD(sym("bit4", 0), bit, bit)
					asm.VPORD(bit, code, code)
				}
				asm.VMOVDQU64(code, at(p.dst, (8*sub+g)*rowStep+h*halfStep))
			}
		}
		if a.high() {
			// The columns of qh wait where the scales will be. The last load ends with the row.
			for g, z := range p.columns(16) {
				if g < 8 {
					asm.VMOVDQU64(z, at(p.dst, panelQ4KScales+g*rowStep+h*halfStep))
				} else {
					store(0, g-8, z)
				}
			}
			for g, z := range p.columns(80) {
				store(1+g/8, g%8, z)
			}
			for g, z := range p.columns(112) {
				if g >= 8 {
					store(3, g-8, z)
				}
			}
		} else {
			for q := range 2 {
				for g, z := range p.columns(16 + 64*q) {
					store(2*q+g/8, g%8, z)
				}
			}
		}
		ds := p.gather(0)
		p.halves(ds, panelQ4KD+h*halfStep)
		asm.VPSRLD(op.Imm(16), ds, ds)
		p.halves(ds, panelQ4KDmin+h*halfStep)
		first, second, third := p.gather(4), p.gather(8), p.gather(12)
		// four returns the 6-bit numbers 0 to 3, in the bytes of a dword, and 4 to 7.
		four := func(w reg.VecVirtual, shift uint64) (a, b reg.VecVirtual) {
			a, b = asm.ZMM(), asm.ZMM()
			asm.VPANDD(low6, w, a)
			asm.VPSRLD(op.Imm(2), w, w)
			asm.VPANDD(high2, w, w)
			asm.VPSRLD(op.Imm(shift), third, b)
			asm.VPANDD(low4, b, b)
			asm.VPORD(w, b, b)
			return a, b
		}
		s0, s4 := four(first, 0)
		m0, m4 := four(second, 4)
		for j := range 8 {
			z := asm.ZMM()
			asm.VPSRLD(op.Imm(uint64(8*(j%4))), []reg.VecVirtual{s0, s4}[j/4], z)
			asm.VPANDD(byte0, z, z)
			asm.VMOVDQU64(z, at(p.dst, panelQ4KScales+j*rowStep+h*halfStep))
		}
		for j, pattern := range []string{"pairLow", "pairHigh", "pairLow", "pairHigh"} {
			z := asm.ZMM()
			asm.VPSHUFB(sym(pattern, 0), []reg.VecVirtual{m0, m4}[j/2], z)
			asm.VMOVDQU64(z, at(p.dst, panelQ4KMins+j*rowStep+h*halfStep))
		}
	}
	p.end(a.size, panelQ4K)
}

// lanePattern returns 64 bytes of VPSHUFB control that select the given bytes of each dword.
func lanePattern(sel ...byte) (bs []byte) {
	for i := range 64 {
		s := sel[i%4]
		if s != 0x80 {
			s += byte(i % 16 / 4 * 4)
		}
		bs = append(bs, s)
	}
	return bs
}

// codeQ6K returns codes of run t of four, of which z holds the low bits, in the high nibbles for runs 2 and 3, and qh the
// high bits of all four.
func codeQ6K(z, qh reg.VecVirtual, t int, low4, bits reg.VecVirtual) reg.VecVirtual {
	code, hi := asm.ZMM(), asm.ZMM()
	if t >= 2 {
		asm.VPSRLW(op.Imm(4), z, code)
		z = code
	}
	asm.VPANDD(low4, z, code)
	switch t {
	case 0, 1:
		asm.VPSLLW(op.Imm(uint64(4-2*t)), qh, hi)
		asm.VPANDD(bits, hi, hi)
	case 2:
		asm.VPANDD(bits, qh, hi)
	case 3:
		asm.VPSRLW(op.Imm(2), qh, hi)
		asm.VPANDD(bits, hi, hi)
	}
	asm.VPORD(hi, code, code)
	return code
}

func repackQ6K() {
	p := beginRepack("repackQ6KAVX512", "is the layout of Q6_K in Panels")
	low4, bits := broadcastZ(nibbles), broadcastZ(bits54)
	p.start()
	for h := range 2 {
		p.rows(h)
		// The columns of qh wait where the scales will be; half 1 overwrites none of half 0's.
		for g, z := range p.columns(128) {
			asm.VMOVDQU64(z, at(p.dst, panelQ6KScales+g*rowStep+h*halfStep))
		}
		for n := range 2 {
			for g, z := range p.columns(64 * n) {
				qh := asm.ZMM()
				asm.VMOVDQU64(at(p.dst, panelQ6KScales+(8*n+g%8)*rowStep+h*halfStep), qh)
				for half := range 2 { // low nibbles: runs 0 and 1; high nibbles: runs 2 and 3
					t := g/8 + 2*half
					code := codeQ6K(z, qh, t, low4, bits)
					asm.VPADDD_BCST(sym(ninetySixes, 0), code, code)
					asm.VMOVDQU64(code, at(p.dst, (32*n+8*t+g%8)*rowStep+h*halfStep))
				}
			}
		}
		for w := range 4 {
			z := p.gather(192 + 4*w)
			for j := range 4 {
				s := asm.ZMM()
				asm.VPSLLD(op.Imm(uint64(24-8*j)), z, s)
				asm.VPSRAD(op.Imm(24), s, s)
				asm.VMOVDQU64(s, at(p.dst, panelQ6KScales+(4*w+j)*rowStep+h*halfStep))
			}
		}
		d := p.gather(206) // four bytes that end with the row
		asm.VPSRLD(op.Imm(16), d, d)
		p.halves(d, panelQ6KD+h*halfStep)
	}
	p.end(210, panelQ6K)
}
