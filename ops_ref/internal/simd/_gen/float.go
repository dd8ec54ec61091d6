package main

import (
	"fmt"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// floatType is the element type of the weights of a floating-point kernel.
type floatType struct {
	name string
	size int
}

var (
	f32  = floatType{"F32", 4}
	f16  = floatType{"F16", 2}
	bf16 = floatType{"BF16", 2}
)

// tileCols are the numbers of columns for which there is a tile of four rows: 24 accumulators at most.
var tileCols = []int{1, 2, 3, 6}

// loadZ loads 16 elements as float32.
func (t floatType) loadZ(m op.Mem, z reg.VecVirtual) {
	switch t {
	case f32:
		asm.VMOVUPS(m, z)
	case f16:
		asm.VCVTPH2PS(m, z)
	case bf16:
		asm.VPMOVZXWD(m, z)
		asm.VPSLLD(op.Imm(16), z, z)
	}
}

// loadY loads 8 elements as float32.
func (t floatType) loadY(m op.Mem, y reg.VecVirtual) {
	switch t {
	case f32:
		asm.VMOVUPS(m, y)
	case f16:
		asm.VCVTPH2PS(m, y)
	case bf16:
		asm.VPMOVZXWD(m, y)
		asm.VPSLLD(op.Imm(16), y, y)
	}
}

// fold16 is the tail of dotF32Row for four accumulators, given as the sums of lanes i and i+8: one xmm with the four
// results. wide allows registers above 15, which some instructions of AVX2 cannot name.
func fold16(s [4]reg.VecVirtual, wide bool) reg.VecVirtual {
	var x [4]reg.VecVirtual
	for r := range s {
		h := asm.XMM()
		if wide {
			asm.VEXTRACTF32X4(op.Imm(1), s[r], h)
		} else {
			asm.VEXTRACTF128(op.Imm(1), s[r], h)
		}
		asm.VADDPS(h, s[r].AsX(), h)
		x[r] = h
	}
	pairs := func(a, b reg.VecVirtual) reg.VecVirtual {
		even := asm.XMM()
		asm.VSHUFPS(op.Imm(0x88), b, a, even)
		asm.VSHUFPS(op.Imm(0xdd), b, a, a)
		asm.VADDPS(a, even, even)
		return even
	}
	return pairs(pairs(x[0], x[1]), pairs(x[2], x[3]))
}

// fold16Z is fold16 for four whole registers, of which it adds lanes i and i+8 itself.
func fold16Z(s [4]reg.VecVirtual) reg.VecVirtual {
	sum := func(a, b reg.VecVirtual, low, high uint64) reg.VecVirtual {
		lo, hi := asm.ZMM(), asm.ZMM()
		asm.VSHUFF32X4(op.Imm(low), b, a, lo)
		asm.VSHUFF32X4(op.Imm(high), b, a, hi)
		asm.VADDPS(hi, lo, lo)
		return lo
	}
	x := sum(sum(s[0], s[1], 0x44, 0xee), sum(s[2], s[3], 0x44, 0xee), 0x88, 0xdd) // a lane for each
	for _, swap := range []uint64{0xb1, 0x4e} {
		t := asm.ZMM()
		asm.VPERMILPS(op.Imm(swap), x, t)
		asm.VADDPS(t, x, x)
	}
	asm.VPERMPS(x, loadZ("laneFirst"), x)
	return x.AsX().(reg.VecVirtual)
}

const tileDoc = "for 4*quads rows, rowBytes bytes apart, and %d columns, colBytes bytes apart; results of a column are outBytes bytes from those of the next. k must be positive%s"

// dotFloatAVX512 writes a tile of four rows by cols columns, of which each element has one accumulator.
func dotFloatAVX512(t floatType, cols int) {
	name := fmt.Sprintf("dot%sx%dAVX512", t.name, cols)
	multiple := "."
	if t != f32 {
		multiple = " and a multiple of 16."
	}
	begin(name, "func(out *float32, outBytes int, w *byte, rowBytes, quads, k int, x *float32, colBytes int)",
		"is dotF32Row", fmt.Sprintf(tileDoc, cols, multiple))
	out, outBytes, w, rowBytes := gp("out"), gp("outBytes"), gp("w"), gp("rowBytes")
	quads, k, x, colBytes := gp("quads"), gp("k"), gp("x"), gp("colBytes")
	row3 := asm.GP64()
	asm.LEAQ(op.Mem{Base: rowBytes, Index: rowBytes, Scale: 2}, row3)
	tail := asm.K()
	if t == f32 {
		rest, one := asm.GP64(), asm.GP64()
		asm.MOVQ(k, reg.RCX)
		asm.ANDQ(op.Imm(15), reg.RCX)
		asm.MOVQ(op.U32(1), one)
		asm.MOVQ(one, rest)
		asm.SHLQ(reg.CL, rest)
		asm.SUBQ(one, rest)
		asm.KMOVW(rest.As32(), tail)
	}
	steps := asm.GP64()
	asm.MOVQ(k, steps)
	asm.SHRQ(op.Imm(4), steps)
	var ahead reg.GPVirtual // one column alone waits for memory
	if cols == 1 {
		ahead = asm.GP64()
		asm.LEAQ(at(w, farBytes), ahead)
	}

	asm.Label("rows")
	var acc [4][]reg.VecVirtual
	for r := range acc {
		for range cols {
			z := asm.ZMM()
			asm.VPXORD(z, z, z)
			acc[r] = append(acc[r], z)
		}
	}
	pw, px, n := asm.GP64(), asm.GP64(), asm.GP64()
	asm.MOVQ(w, pw)
	asm.MOVQ(x, px)
	asm.MOVQ(steps, n)
	row := func(r int) op.Mem {
		switch r {
		case 0:
			return at(pw, 0)
		case 3:
			return op.Mem{Base: pw, Index: row3, Scale: 1}
		}
		return op.Mem{Base: pw, Index: rowBytes, Scale: uint8(r)}
	}
	// Columns are addressed from three pointers at most.
	colPtrs := []reg.GPVirtual{px}
	if cols > 3 {
		p3 := asm.GP64()
		colPtrs = append(colPtrs, p3)
		asm.LEAQ(op.Mem{Base: colBytes, Index: colBytes, Scale: 2}, p3)
		asm.ADDQ(px, p3)
	}
	col := func(c int) op.Mem {
		p := colPtrs[c/3]
		if c%3 == 0 {
			return at(p, 0)
		}
		return op.Mem{Base: p, Index: colBytes, Scale: uint8(c % 3)}
	}
	asm.TESTQ(n, n)
	asm.JZ(op.LabelRef("tail"))
	asm.Label("step")
	var wz [4]reg.VecVirtual
	for r := range 4 {
		wz[r] = asm.ZMM()
		t.loadZ(row(r), wz[r])
	}
	for c := range cols {
		xz := asm.ZMM()
		asm.VMOVUPS(col(c), xz)
		for r := range 4 {
			asm.VFMADD231PS(xz, wz[r], acc[r][c])
		}
	}
	if cols == 1 {
		fetch(ahead, 4*16*t.size, 0, 1)
		asm.ADDQ(op.U32(uint32(4*16*t.size)), ahead)
	}
	asm.ADDQ(op.U32(uint32(16*t.size)), pw)
	for _, p := range colPtrs {
		asm.ADDQ(op.U32(64), p)
	}
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	asm.Label("tail")
	if t == f32 {
		asm.TESTQ(op.U32(15), k)
		asm.JZ(op.LabelRef("fold"))
		for r := range 4 {
			wz[r] = asm.ZMM()
			asm.VMOVUPS_Z(row(r), tail, wz[r])
		}
		for c := range cols {
			xz := asm.ZMM()
			asm.VMOVUPS_Z(col(c), tail, xz)
			for r := range 4 {
				asm.VFMADD231PS(xz, wz[r], acc[r][c])
			}
		}
	}
	asm.Label("fold")
	po := asm.GP64()
	asm.MOVQ(out, po)
	for c := range cols {
		var s [4]reg.VecVirtual
		for r := range 4 {
			s[r] = asm.YMM()
			asm.VEXTRACTF64X4(op.Imm(1), acc[r][c], s[r])
			asm.VADDPS(s[r], acc[r][c].AsY(), s[r])
		}
		asm.VMOVUPS(fold16(s, true), at(po, 0))
		if c < cols-1 {
			asm.ADDQ(outBytes, po)
		}
	}
	asm.ADDQ(op.Imm(16), out)
	asm.LEAQ(op.Mem{Base: w, Index: rowBytes, Scale: 4}, w)
	asm.DECQ(quads)
	asm.JNZ(op.LabelRef("rows"))
	end()
}

// dotFloatAVX2 writes the tile of one column; each element has two accumulators, for lanes 0-7 and 8-15.
func dotFloatAVX2(t floatType) {
	name := fmt.Sprintf("dot%sx1AVX2", t.name)
	multiple := "."
	if t != f32 {
		multiple = " and a multiple of 16."
	}
	begin(name, "func(out *float32, w *byte, rowBytes, quads, k int, x *float32)",
		"is dotF32Row", "for 4*quads rows, rowBytes bytes apart. k must be positive"+multiple)
	out, w, rowBytes := gp("out"), gp("w"), gp("rowBytes")
	quads, k, x := gp("quads"), gp("k"), gp("x")
	row3, steps := asm.GP64(), asm.GP64()
	asm.LEAQ(op.Mem{Base: rowBytes, Index: rowBytes, Scale: 2}, row3)
	asm.MOVQ(k, steps)
	asm.SHRQ(op.Imm(4), steps)
	mask := asm.GP64()
	if t == f32 {
		asm.ANDQ(op.Imm(15), k)
		asm.LEAQ(sym("tailMask", 64), mask)
		neg := asm.GP64()
		asm.MOVQ(k, neg)
		asm.SHLQ(op.Imm(2), neg)
		asm.SUBQ(neg, mask) // 16 dwords of which the first k%16 are set
	}
	asm.Label("rows")
	var acc [4][2]reg.VecVirtual
	for r := range acc {
		for h := range 2 {
			acc[r][h] = asm.YMM()
			asm.VXORPS(acc[r][h], acc[r][h], acc[r][h])
		}
	}
	pw, px, n := asm.GP64(), asm.GP64(), asm.GP64()
	asm.MOVQ(w, pw)
	asm.MOVQ(x, px)
	asm.MOVQ(steps, n)
	row := func(r, disp int) op.Mem {
		switch r {
		case 0:
			return at(pw, disp)
		case 3:
			return op.Mem{Base: pw, Index: row3, Scale: 1, Disp: disp}
		}
		return op.Mem{Base: pw, Index: rowBytes, Scale: uint8(r), Disp: disp}
	}
	asm.TESTQ(n, n)
	asm.JZ(op.LabelRef("tail"))
	asm.Label("step")
	for h := range 2 {
		xy := asm.YMM()
		asm.VMOVUPS(at(px, 32*h), xy)
		for r := range 4 {
			wy := asm.YMM()
			t.loadY(row(r, 8*t.size*h), wy)
			asm.VFMADD231PS(xy, wy, acc[r][h])
		}
	}
	asm.ADDQ(op.U32(uint32(16*t.size)), pw)
	asm.ADDQ(op.U32(64), px)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	asm.Label("tail")
	if t == f32 {
		asm.TESTQ(k, k)
		asm.JZ(op.LabelRef("fold"))
		for h := range 2 {
			m, xy := asm.YMM(), asm.YMM()
			asm.VMOVDQU(at(mask, 32*h), m)
			asm.VMASKMOVPS(at(px, 32*h), m, xy)
			for r := range 4 {
				wy := asm.YMM()
				asm.VMASKMOVPS(row(r, 32*h), m, wy)
				asm.VFMADD231PS(xy, wy, acc[r][h])
			}
		}
	}
	asm.Label("fold")
	var s [4]reg.VecVirtual
	for r := range 4 {
		s[r] = acc[r][0]
		asm.VADDPS(acc[r][1], s[r], s[r])
	}
	asm.VMOVUPS(fold16(s, false), at(out, 0))
	asm.ADDQ(op.Imm(16), out)
	asm.LEAQ(op.Mem{Base: w, Index: rowBytes, Scale: 4}, w)
	asm.DECQ(quads)
	asm.JNZ(op.LabelRef("rows"))
	end()
}

// widen writes the conversion to float32.
func widen(t floatType) {
	begin("widen"+t.name+"AVX2", "func(dst *float32, src *byte, eights int)",
		fmt.Sprintf("converts 8*eights elements of type %s to float32. eights must be positive.", t.name))
	dst, src, n := gp("dst"), gp("src"), gp("eights")
	asm.Label("step")
	y := asm.YMM()
	t.loadY(at(src, 0), y)
	asm.VMOVUPS(y, at(dst, 0))
	asm.ADDQ(op.Imm(16), src)
	asm.ADDQ(op.Imm(32), dst)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	end()
}
