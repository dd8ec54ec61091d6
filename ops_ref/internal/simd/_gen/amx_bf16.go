package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Float products on tiles, see tiles_float.go of package simd: weights are sums of bfloat16 in up to two planes,
// activations in three.
const (
	floatColumns = 32
	actPlanes    = 3
	actFloatStep = floatColumns * actPlanes * tileRow // bytes of 32 elements of the columns
)

// floatProducts are the planes that meet, of weights and of activations, small products first.
var floatProducts = map[int][][2]int{
	1: {{0, 2}, {0, 1}, {0, 0}},
	2: {{0, 2}, {1, 1}, {0, 1}, {1, 0}, {0, 0}},
}

// tilesOfFloats writes the kernel for weights of the given number of planes.
func tilesOfFloats(name string, planes int) {
	begin(name, "func(steps int, w, a *byte, sums *float32, sumsBytes int)", "adds the products of 32*steps elements of 32 rows and 32 columns to sums.",
		"Columns of sums are sumsBytes apart. steps is at least 1.")
	n, w, a, sums, stride, line, step, half := reg.RAX, reg.RSI, reg.RDI, reg.RDX, reg.RCX, reg.R8, reg.R9, reg.R10
	asm.LEAQ(sym("shapesK", 0), n)
	tileConfig(n)
	asm.Load(asm.Param("steps"), n)
	asm.Load(asm.Param("w"), w)
	asm.Load(asm.Param("a"), a)
	asm.Load(asm.Param("sums"), sums)
	asm.Load(asm.Param("sumsBytes"), stride)
	asm.MOVQ(op.U32(tileRow), line)
	asm.MOVQ(op.U32(actPlanes*tileRow), step)
	asm.MOVQ(stride, half)
	asm.SHLQ(op.Imm(4), half)
	asm.ADDQ(sums, half)
	each := func(f func(t int, base reg.Register, disp int, stride reg.Register)) {
		for i, base := range []reg.Register{sums, half} {
			for j := range 2 {
				f(2*i+j, base, j*halfStep, stride)
			}
		}
	}
	each(tileLoad)
	asm.Label("step")
	wasW, wasX := -1, -1
	for _, p := range floatProducts[planes] {
		newW, newX := p[0] != wasW, p[1] != wasX
		wasW, wasX = p[0], p[1]
		for i := range 2 {
			if newX {
				tileLoad(4+i, a, (16*i*actPlanes+p[1])*tileRow, step)
			}
			for j := range 2 {
				if newW && i == 0 {
					tileLoad(6+j, w, (planes*j+p[0])*tileSize, line)
				}
				dotBF16(2*i+j, 4+i, 6+j)
			}
		}
	}
	asm.ADDQ(op.U32(uint32(2*planes*tileSize)), w)
	asm.ADDQ(op.U32(actFloatStep), a)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	each(tileStore)
	tileRelease()
	asm.RET()
}
