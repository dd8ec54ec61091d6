package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Float products on tiles, see tiles_float.go of package simd: a float32 is the sum of three bfloat16, its planes, and
// other weights need fewer. A dword holds the parts of elements i and i+16 of 32.
const floatColumns = 32

// products are those of planes that a kernel adds, small ones first: of a plane of weights and one of activations.
type products struct {
	name          string
	weights, acts int // planes
	of            [][2]int
}

// floatProducts leave out what is below half the last bit of a product of float32, or, if the weights are not float32,
// at most 2^-18 of the product.
var floatProducts = []products{
	{"F32", 3, 3, [][2]int{{0, 2}, {2, 0}, {1, 1}, {0, 1}, {1, 0}, {0, 0}}},
	{"F16", 2, 2, [][2]int{{1, 0}, {0, 1}, {0, 0}}},
	{"BF16", 1, 2, [][2]int{{0, 1}, {0, 0}}},
	{"Rounded", 1, 1, [][2]int{{0, 0}}},
}

// planes splits the 16 floats at p and the 16 at q and hands out their planes, each rounded to the nearest if round is set and cut off
// otherwise. What is left of the floats after a plane is exact.
func planes(n int, round bool, p, q op.Mem, high reg.VecVirtual, f func(plane int, z reg.VecVirtual)) {
	a, b := asm.ZMM(), asm.ZMM()
	asm.VMOVUPS(p, a)
	asm.VMOVUPS(q, b)
	for i := range n {
		var tops [2]reg.VecVirtual
		for j, x := range []reg.VecVirtual{a, b} {
			tops[j] = x
			if round {
				number := asm.K() // the payload of a NaN could overflow into its sign
				asm.VCMPPS(op.Imm(7), x, x, number)
				tops[j] = asm.ZMM()
				asm.VMOVDQA64(x, tops[j])
				asm.VPADDD_BCST(sym(halfWord, 0), x, number, tops[j])
			}
		}
		z := asm.ZMM()
		asm.VPSRLD(op.Imm(16), tops[0], z)
		asm.VPTERNLOGD(op.Imm(0xf8), high, tops[1], z) // z | tops[1] & high
		if i < n-1 {
			for j, x := range []reg.VecVirtual{a, b} {
				t := asm.ZMM()
				asm.VPANDD(high, tops[j], t)
				asm.VSUBPS(t, x, x)
			}
		}
		f(i, z)
	}
}

// packFloats writes the kernel that packs a column in n planes.
func packFloats(n int) {
	begin("packFloats"+string(rune('0'+n))+"AMX", "func(dst *byte, x *float32, steps int)",
		"writes the planes of 32*steps floats, at least 32.")
	dst, x, steps := gp("dst"), gp("x"), gp("steps")
	high := broadcastZ(highWord)
	asm.Label("step")
	planes(n, n < 3, at(x, 0), at(x, 64), high, func(i int, z reg.VecVirtual) { asm.VMOVDQU64(z, at(dst, i*tileRow)) })
	asm.ADDQ(op.U32(128), x)
	asm.ADDQ(op.U32(uint32(floatColumns*n*tileRow)), dst)
	asm.DECQ(steps)
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
		planes(n, n < 3, at(row, 0), at(row, 64), high, func(i int, z reg.VecVirtual) { asm.VMOVDQU64(z, at(dst, i*tileSize+r*tileRow)) })
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

// packValues writes the kernel that makes half a panel of values: rows of the panel are elements of the values, and
// elements of its rows are keys, so that nothing has to be transposed.
func packValues() {
	begin("packValuesAMX", "func(dst *byte, x *float32, rowBytes, steps int)",
		"writes the tiles of 16 elements, in two planes, of 32*steps values, at least 32, rowBytes apart.")
	dst, x, stride, steps := gp("dst"), gp("x"), gp("rowBytes"), gp("steps")
	far := asm.GP64()
	asm.MOVQ(stride, far)
	asm.SHLQ(op.Imm(4), far)
	high := broadcastZ(highWord)
	asm.Label("step")
	for i := range 16 {
		planes(2, true, at(x, 0), op.Mem{Base: x, Index: far, Scale: 1}, high, func(p int, z reg.VecVirtual) { asm.VMOVDQU64(z, at(dst, p*tileSize+i*tileRow)) })
		asm.ADDQ(stride, x)
	}
	asm.ADDQ(far, x)
	asm.ADDQ(op.U32(4*tileSize), dst)
	asm.DECQ(steps)
	asm.JNZ(op.LabelRef("step"))
	end()
}

// packWeights writes the kernel that makes 32 columns of weights of keys.
func packWeights() {
	begin("packWeightsAMX", "func(dst *byte, x *float32, steps int)", "writes 32 columns, in two planes, of 32*steps rows, at least 32, of 32 floats.")
	dst, x, steps := gp("dst"), gp("x"), gp("steps")
	high := broadcastZ(highWord)
	const row = 4 * floatColumns
	asm.Label("step")
	for h := range 2 {
		for plane := range 2 {
			var rows [16]reg.VecVirtual
			for i := range rows {
				planes(plane+1, true, at(x, i*row+h*halfStep), at(x, (16+i)*row+h*halfStep), high, func(_ int, z reg.VecVirtual) { rows[i] = z })
			}
			for q, z := range transpose16(rows) {
				asm.VMOVDQU64(z, at(dst, ((16*h+q)*2+plane)*tileRow))
			}
		}
	}
	asm.ADDQ(op.U32(32*row), x)
	asm.ADDQ(op.U32(32*2*tileRow), dst)
	asm.DECQ(steps)
	asm.JNZ(op.LabelRef("step"))
	end()
}

func (p products) kernel() {
	begin("tiles"+p.name+"AMX", "func(tiles, steps int, w, a *byte, aBytes int, out *float32, outBytes, clear int)",
		"adds to out, or sets it to if clear is not 0, the products of 32*steps elements of 32 rows and of tiles*32",
		"columns. Groups of 32 columns are aBytes apart, columns of out outBytes. steps and tiles are at least 1.")
	steps, w, a, sums, stride := reg.RAX, reg.RSI, reg.RDI, reg.RDX, reg.RCX
	line, step, half, n, firstW, firstA, next := reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13, reg.RBX
	asm.LEAQ(sym("allTiles", 0), steps)
	tileConfig(steps)
	asm.Load(asm.Param("tiles"), n)
	asm.Load(asm.Param("w"), firstW)
	asm.Load(asm.Param("a"), firstA)
	asm.Load(asm.Param("aBytes"), next)
	asm.Load(asm.Param("out"), sums)
	asm.Load(asm.Param("outBytes"), stride)
	asm.MOVQ(op.U32(tileRow), line)
	asm.MOVQ(op.U32(uint32(p.acts*tileRow)), step)
	each := func(f func(t int, base reg.Register, disp int, stride reg.Register)) {
		for i, base := range []reg.Register{sums, half} {
			for j := range 2 {
				f(2*i+j, base, j*halfStep, stride)
			}
		}
	}
	asm.Label("columns")
	asm.MOVQ(stride, half)
	asm.SHLQ(op.Imm(4), half)
	asm.ADDQ(sums, half)
	asm.Load(asm.Param("clear"), steps)
	asm.TESTQ(steps, steps)
	asm.JZ(op.LabelRef("add"))
	for t := range 4 {
		tileZero(t)
	}
	asm.JMP(op.LabelRef("start"))
	asm.Label("add")
	each(tileLoad)
	asm.Label("start")
	asm.MOVQ(firstW, w)
	asm.MOVQ(firstA, a)
	asm.Load(asm.Param("steps"), steps)
	asm.Label("step")
	wasW, wasX := -1, -1
	for _, o := range p.of {
		newW, newX := o[0] != wasW, o[1] != wasX
		wasW, wasX = o[0], o[1]
		for i := range 2 {
			if newX {
				tileLoad(4+i, a, (16*i*p.acts+o[1])*tileRow, step)
			}
			for j := range 2 {
				if newW && i == 0 {
					tileLoad(6+j, w, (p.weights*j+o[0])*tileSize, line)
				}
				dotBF16(2*i+j, 4+i, 6+j)
			}
		}
	}
	asm.ADDQ(op.U32(uint32(2*p.weights*tileSize)), w)
	asm.ADDQ(op.U32(uint32(floatColumns*p.acts*tileRow)), a)
	asm.DECQ(steps)
	asm.JNZ(op.LabelRef("step"))
	each(tileStore)
	asm.ADDQ(next, firstA)
	asm.MOVQ(stride, half)
	asm.SHLQ(op.Imm(5), half)
	asm.ADDQ(half, sums)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("columns"))
	tileRelease()
	asm.RET()
}
