package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Float products on tiles, see tiles_float.go of package simd: a float32 is the sum of three bfloat16, its planes, and
// weights of other types need fewer. A dword holds the parts of elements i and i+16 of 32.
const (
	floatColumns = 32
	actPlanes    = 3
	actFloatStep = floatColumns * actPlanes * tileRow // bytes of 32 elements of the columns
)

// floatProducts are the planes that meet, of weights and of activations, small products first. Those left out are
// below half the last bit of the product.
var floatProducts = map[int][][2]int{
	1: {{0, 2}, {0, 1}, {0, 0}},
	2: {{0, 2}, {1, 1}, {0, 1}, {1, 0}, {0, 0}},
	3: {{0, 2}, {2, 0}, {1, 1}, {0, 1}, {1, 0}, {0, 0}},
}

// planes splits 32 floats at p and hands out their planes. What is left of the floats after a plane is exact.
func planes(n int, p op.Mem, high reg.VecVirtual, f func(plane int, z reg.VecVirtual)) {
	a, b := asm.ZMM(), asm.ZMM()
	asm.VMOVUPS(p, a)
	p.Disp += 64
	asm.VMOVUPS(p, b)
	for i := range n {
		z := asm.ZMM()
		asm.VPSRLD(op.Imm(16), a, z)
		asm.VPTERNLOGD(op.Imm(0xf8), high, b, z) // z | b & high
		if i < n-1 {
			for _, x := range []reg.VecVirtual{a, b} {
				t := asm.ZMM()
				asm.VPANDD(high, x, t)
				asm.VSUBPS(t, x, x)
			}
		}
		f(i, z)
	}
}

// packFloats writes the kernel that packs a column.
func packFloats() {
	begin("packFloatsAMX", "func(dst *byte, x *float32, steps int)", "writes the planes of 32*steps floats, at least 32.")
	dst, x, n := gp("dst"), gp("x"), gp("steps")
	high := broadcastZ(highWord)
	asm.Label("step")
	planes(actPlanes, at(x, 0), high, func(i int, z reg.VecVirtual) { asm.VMOVDQU64(z, at(dst, i*tileRow)) })
	asm.ADDQ(op.U32(128), x)
	asm.ADDQ(op.U32(actFloatStep), dst)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	end()
}

// repackFloats writes the kernel that makes half a panel, of 16 rows, in n planes. The planes of a row wait in dst
// until all rows are there, and then a tile is transposed.
func repackFloats(name string, n int) {
	begin(name, "func(dst *byte, x *float32, rowBytes, steps int)", "writes the tiles of 16 rows of 32*steps floats, at least 32, rowBytes apart.")
	dst, x, stride, steps := gp("dst"), gp("x"), gp("rowBytes"), gp("steps")
	high := broadcastZ(highWord)
	asm.Label("step")
	row := asm.GP64()
	asm.MOVQ(x, row)
	for r := range 16 {
		planes(n, at(row, 0), high, func(i int, z reg.VecVirtual) { asm.VMOVDQU64(z, at(dst, i*tileSize+r*tileRow)) })
		if r < 15 {
			asm.ADDQ(stride, row)
		}
	}
	for i := range n {
		var rows [16]reg.VecVirtual
		for r := range rows {
			rows[r] = asm.ZMM()
			asm.VMOVDQU64(at(dst, i*tileSize+r*tileRow), rows[r])
		}
		for k, z := range transpose16(rows) {
			asm.VMOVDQU64(z, at(dst, i*tileSize+k*tileRow))
		}
	}
	asm.ADDQ(op.U32(128), x)
	asm.ADDQ(op.U32(uint32(2*n*tileSize)), dst)
	asm.DECQ(steps)
	asm.JNZ(op.LabelRef("step"))
	end()
}

// tilesOfFloats writes the kernel for weights of n planes.
func tilesOfFloats(name string, n int) {
	begin(name, "func(steps int, w, a *byte, src *float32, srcBytes int, dst *float32, dstBytes int)",
		"sets dst to src and the products of 32*steps elements of 32 rows and 32 columns.",
		"Columns of src and dst are srcBytes and dstBytes apart. steps is at least 1.")
	steps, w, a, sums, stride, line, step, half := reg.RAX, reg.RSI, reg.RDI, reg.RDX, reg.RCX, reg.R8, reg.R9, reg.R10
	asm.LEAQ(sym("shapesK", 0), steps)
	tileConfig(steps)
	asm.Load(asm.Param("steps"), steps)
	asm.Load(asm.Param("w"), w)
	asm.Load(asm.Param("a"), a)
	asm.MOVQ(op.U32(tileRow), line)
	asm.MOVQ(op.U32(actPlanes*tileRow), step)
	each := func(name string, f func(t int, base reg.Register, disp int, stride reg.Register)) {
		asm.Load(asm.Param(name), sums)
		asm.Load(asm.Param(name+"Bytes"), stride)
		asm.MOVQ(stride, half)
		asm.SHLQ(op.Imm(4), half)
		asm.ADDQ(sums, half)
		for i, base := range []reg.Register{sums, half} {
			for j := range 2 {
				f(2*i+j, base, j*halfStep, stride)
			}
		}
	}
	each("src", tileLoad)
	asm.Label("step")
	wasW, wasX := -1, -1
	for _, p := range floatProducts[n] {
		newW, newX := p[0] != wasW, p[1] != wasX
		wasW, wasX = p[0], p[1]
		for i := range 2 {
			if newX {
				tileLoad(4+i, a, (16*i*actPlanes+p[1])*tileRow, step)
			}
			for j := range 2 {
				if newW && i == 0 {
					tileLoad(6+j, w, (n*j+p[0])*tileSize, line)
				}
				dotBF16(2*i+j, 4+i, 6+j)
			}
		}
	}
	asm.ADDQ(op.U32(uint32(2*n*tileSize)), w)
	asm.ADDQ(op.U32(actFloatStep), a)
	asm.DECQ(steps)
	asm.JNZ(op.LabelRef("step"))
	each("dst", tileStore)
	tileRelease()
	asm.RET()
}
