package main

import (
	"fmt"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// expansion is the loop over blocks of a kernel that writes float32, sixteen elements at a time: see expand.
type expansion struct {
	dst, src, n reg.GPVirtual
	codes       op.Mem // of a block, on their way
}

func beginExpansion(name string) *expansion {
	begin("expand"+name+"AVX512", "func(dst *float32, src *byte, blocks int)", "is Floats for blocks blocks of "+name+", at least 1.")
	return &expansion{gp("dst"), gp("src"), gp("blocks"), asm.AllocLocal(256)}
}

// block opens the loop and fetches what follows.
func (e *expansion) block(size int) {
	asm.Label("block")
	for l := 0; l < size; l += 64 {
		asm.PREFETCHT1(at(e.src, farBytes+l))
		asm.PREFETCHT0(at(e.src, nearBytes+l))
	}
}

// run writes elements 16i to 16i+15, of which codes holds the codes.
func (e *expansion) run(i int, step, least op.Op) {
	z := asm.ZMM()
	asm.VPMOVZXBD(e.codes.Offset(16*i), z)
	asm.VCVTDQ2PS(z, z)
	if m, ok := step.(op.Mem); ok {
		asm.VMULPS_BCST(m, z, z)
		asm.VADDPS_BCST(least, z, z)
	} else {
		asm.VMULPS(step, z, z)
		asm.VADDPS(least, z, z)
	}
	asm.VMOVUPS(z, at(e.dst, 64*i))
}

// half returns the float16 at disp of the block as float32 in all lanes.
func (e *expansion) half(disp int) reg.VecVirtual {
	z := asm.ZMM()
	asm.VPBROADCASTW(at(e.src, disp), z.AsY())
	asm.VCVTPH2PS(z.AsY(), z)
	return z
}

func (e *expansion) end(size, elements int) {
	asm.ADDQ(op.Imm(uint64(size)), e.src)
	asm.ADDQ(op.U32(uint32(4*elements)), e.dst)
	asm.DECQ(e.n)
	asm.JNZ(op.LabelRef("block"))
	end()
}

// expansions writes the kernels.
func expansions() {
	dwords("fifteen", []uint32{15})
	dwords("minus0", []uint32{0x80000000})
	for _, t := range []struct {
		name     string
		size, qs int
	}{{"Q4_1", 20, 4}, {"Q5_1", 24, 8}} {
		e := beginExpansion(t.name)
		low := broadcastY(nibbles)
		e.block(t.size)
		q, up := asm.YMM(), asm.XMM()
		asm.VMOVDQU(at(e.src, t.qs), q.AsX())
		asm.VPSRLW(op.Imm(4), q.AsX(), up)
		asm.VINSERTI128(op.Imm(1), up, q, q)
		asm.VPAND(low, q, q)
		if t.qs == 8 {
			k := asm.K()
			asm.KMOVD(at(e.src, 4), k)
			sixteens := asm.YMM()
			asm.VMOVDQU(sym("sixteens", 0), sixteens)
			asm.VPADDB(sixteens, q, k, q)
		}
		asm.VMOVDQU(q, e.codes)
		step, least := e.half(0), e.half(2)
		for i := range 2 {
			e.run(i, step, least)
		}
		e.end(t.size, 32)
	}

	e := beginExpansion("Q2K")
	steps, mins := asm.AllocLocal(64), asm.AllocLocal(64)
	two := broadcastZ(low2)
	e.block(84)
	for half := range 2 {
		qs := asm.ZMM()
		asm.VBROADCASTI64X4(at(e.src, 16+32*half), qs)
		for p := range 2 {
			z := asm.ZMM()
			asm.VPSRLVW(sym(fmt.Sprintf("q3Crumbs%d", p), 0), qs, z)
			asm.VPANDD(two, z, z)
			asm.VMOVDQU64(z, e.codes.Offset(128*half+64*p))
		}
	}
	s, m := asm.ZMM(), asm.ZMM()
	asm.VPMOVZXBD(at(e.src, 0), s)
	asm.VPSRLD(op.Imm(4), s, m)
	asm.VPANDD_BCST(sym("fifteen", 0), s, s)
	for _, x := range []struct {
		z    reg.VecVirtual
		disp int
		to   op.Mem
	}{{s, 80, steps}, {m, 82, mins}} {
		asm.VCVTDQ2PS(x.z, x.z)
		asm.VMULPS(e.half(x.disp), x.z, x.z)
		if x.disp == 82 {
			asm.VPXORD_BCST(sym("minus0", 0), x.z, x.z)
		}
		asm.VMOVUPS(x.z, x.to)
	}
	for i := range 16 {
		e.run(i, steps.Offset(4*i), mins.Offset(4*i))
	}
	e.end(84, 256)
}
