package main

import (
	"fmt"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Bits of a phase of floatColumnPanels.
const (
	firstPhase = 1
	lastPhase  = 2
)

// floatColumnPanels writes the tile of four rows by tileColumns columns that lie in panels, for a part of their elements.
func floatColumnPanels(t floatType) {
	const step = 64 * tileColumns // bytes of sixteen elements of all columns
	begin("floatColumns"+t.name+"AVX512",
		"func(out *float32, outBytes int, w *byte, rowBytes, quads, steps int, x, sums *float32, phase int)",
		"is dotF32Row", fmt.Sprintf("for 16*steps elements of 4*quads rows, rowBytes bytes apart, and %d columns, side by side in x. The sixteen", tileColumns),
		"partial sums of each product are kept in sums between phases. Phase has bit 0 if they start from zero; with bit 1",
		"they are added up, and results of a column are outBytes bytes from those of the next. Both counts are at least 1.")
	out, outBytes, w, rowBytes := gp("out"), gp("outBytes"), gp("w"), gp("rowBytes")
	quads, steps, x, sums, phase := gp("quads"), gp("steps"), gp("x"), gp("sums"), gp("phase")
	row3 := asm.GP64()
	asm.LEAQ(op.Mem{Base: rowBytes, Index: rowBytes, Scale: 2}, row3)
	var acc [tileColumns][4]reg.VecVirtual
	for c := range acc {
		for r := range acc[c] {
			acc[c][r] = asm.ZMM()
		}
	}
	each := func(f func(z reg.VecVirtual, kept op.Mem)) {
		for c := range acc {
			for r, z := range acc[c] {
				f(z, at(sums, 64*(4*c+r)))
			}
		}
	}

	asm.Label("rows")
	asm.TESTQ(op.U32(firstPhase), phase)
	asm.JZ(op.LabelRef("resume"))
	each(func(z reg.VecVirtual, _ op.Mem) { asm.VPXORD(z, z, z) })
	asm.JMP(op.LabelRef("start"))
	asm.Label("resume")
	each(func(z reg.VecVirtual, kept op.Mem) { asm.VMOVUPS(kept, z) })
	asm.Label("start")
	pw, px, n := asm.GP64(), asm.GP64(), asm.GP64()
	asm.MOVQ(w, pw)
	asm.MOVQ(x, px)
	asm.MOVQ(steps, n)
	asm.Label("step")
	var wz [4]reg.VecVirtual
	for r := range wz {
		m := op.Mem{Base: pw, Index: rowBytes, Scale: uint8(r)}
		switch r {
		case 0:
			m = at(pw, 0)
		case 3:
			m = op.Mem{Base: pw, Index: row3, Scale: 1}
		}
		wz[r] = asm.ZMM()
		t.loadZ(m, wz[r])
	}
	for c := range acc {
		xz := asm.ZMM()
		asm.VMOVUPS(at(px, 64*c), xz)
		for r := range wz {
			asm.VFMADD231PS(xz, wz[r], acc[c][r])
		}
	}
	asm.ADDQ(op.Imm(uint64(16*t.size)), pw)
	asm.ADDQ(op.U32(step), px)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	asm.TESTQ(op.U32(lastPhase), phase)
	asm.JNZ(op.LabelRef("fold"))
	each(func(z reg.VecVirtual, kept op.Mem) { asm.VMOVUPS(z, kept) })
	asm.JMP(op.LabelRef("next"))
	asm.Label("fold")
	po := asm.GP64()
	asm.MOVQ(out, po)
	for c := range acc {
		asm.VMOVUPS(fold16Z(acc[c]), at(po, 0))
		if c < tileColumns-1 {
			asm.ADDQ(outBytes, po)
		}
	}
	asm.Label("next")
	asm.ADDQ(op.U32(64*4*tileColumns), sums)
	asm.ADDQ(op.Imm(16), out)
	asm.LEAQ(op.Mem{Base: w, Index: rowBytes, Scale: 4}, w)
	asm.DECQ(quads)
	asm.JNZ(op.LabelRef("rows"))
	end()
}
