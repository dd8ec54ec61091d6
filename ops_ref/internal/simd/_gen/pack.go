package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// packing turns six rows of sixteen dwords into sixteen runs of six: a transposition of 96 dwords.
type packing struct {
	rows   [tileColumns]reg.GPVirtual // of activations
	panel  reg.GPVirtual
	blocks reg.GPVirtual
	pairs  [2]reg.VecVirtual // permutations of dwords: halves of two rows, by turns
	both   [3]reg.VecVirtual // of qwords: pairs of rows 0 to 3 where they go in each of three vectors
	third  [3]reg.VecVirtual // and those of rows 4 and 5 among them
}

// packConstants writes the permutations.
func packConstants() {
	var halves [2][]uint32
	for i := range uint32(16) {
		for h := range halves {
			halves[h] = append(halves[h], i/2+8*uint32(h)+16*(i%2))
		}
	}
	dwords("packPair0", halves[0])
	dwords("packPair1", halves[1])
	for v := range 3 {
		var both, third []uint32 // qwords as two dwords, of which the second is 0
		for i := range uint32(8) {
			at := 8*uint32(v) + i // run at/3, pair at%3
			run, pair := at/3, at%3
			switch pair {
			case 2:
				both, third = append(both, 0, 0), append(third, 8+run, 0)
			default:
				both, third = append(both, 8*pair+run, 0), append(third, i, 0)
			}
		}
		dwords([]string{"packBoth0", "packBoth1", "packBoth2"}[v], both)
		dwords([]string{"packThird0", "packThird1", "packThird2"}[v], third)
	}
}

// beginPack starts a kernel; its loop over blocks is open when it returns.
func beginPack(name, doc string) *packing {
	begin(name, "func(panel *byte, acts **byte, blocks int)", doc,
		"for six columns, whose quantized activations are where acts says, of blocks blocks (groups of four for types with",
		"blocks of 32), at least 1.")
	p := &packing{panel: gp("panel")}
	acts := gp("acts")
	for c := range p.rows {
		p.rows[c] = asm.GP64()
		asm.MOVQ(at(acts, 8*c), p.rows[c])
	}
	p.blocks = gp("blocks")
	p.pairs = [2]reg.VecVirtual{loadZ("packPair0"), loadZ("packPair1")}
	p.both = [3]reg.VecVirtual{loadZ("packBoth0"), loadZ("packBoth1"), loadZ("packBoth2")}
	p.third = [3]reg.VecVirtual{loadZ("packThird0"), loadZ("packThird1"), loadZ("packThird2")}
	asm.Label("block")
	return p
}

// permute returns the elements of a and b that index names.
func permute(f func(b, a, index op.Op), index, a, b reg.VecVirtual) reg.VecVirtual {
	to := asm.ZMM()
	asm.VMOVDQA64(index, to)
	f(b, a, to)
	return to
}

// transpose writes the first vecs vectors of what rows, sixteen dwords of each column, become, at disp of the panel.
func (p *packing) transpose(rows [tileColumns]reg.VecVirtual, vecs, disp int) {
	dword := func(b, a, index op.Op) { asm.VPERMI2D(b, a, index) }
	qword := func(b, a, index op.Op) { asm.VPERMI2Q(b, a, index) }
	for first := 0; first < vecs; first += 3 {
		var pair [3]reg.VecVirtual
		for i := range pair {
			pair[i] = permute(dword, p.pairs[first/3], rows[2*i], rows[2*i+1])
		}
		for v := range min(3, vecs-first) {
			z := permute(qword, p.both[v], pair[0], pair[1])
			asm.VMOVDQU64(permute(qword, p.third[v], z, pair[2]), at(p.panel, disp+64*(first+v)))
		}
	}
}

// load returns sixteen dwords of each column.
func (p *packing) load(f func(row reg.Register) reg.VecVirtual) (rows [tileColumns]reg.VecVirtual) {
	for c := range rows {
		rows[c] = f(p.rows[c])
	}
	return rows
}

// codes transposes n runs of 64 codes.
func (p *packing) codes(n int) {
	for i := range n {
		p.transpose(p.load(func(row reg.Register) reg.VecVirtual {
			z := asm.ZMM()
			asm.VMOVDQU64(at(row, 64*i), z)
			return z
		}), tileColumns, 16*columnStep*i)
	}
}

func (p *packing) end(actBytes, panelBytes int) {
	for _, row := range p.rows {
		asm.ADDQ(op.U32(uint32(actBytes)), row)
	}
	asm.ADDQ(op.U32(uint32(panelBytes)), p.panel)
	asm.DECQ(p.blocks)
	asm.JNZ(op.LabelRef("block"))
	end()
}

// packColumnsK writes the columns of K types. Behind the codes come 21 dwords of each: the sums of 32 codes in pairs, the
// negative sums of 16, and the scale.
func packColumnsK() {
	p := beginPack("packColumnsKAVX512", "is packColumnK")
	p.codes(4)
	sums := func(row reg.Register) reg.VecVirtual {
		z := asm.ZMM()
		asm.VPMOVSXWD(at(row, superSums16), z)
		asm.VPSLLD(op.Imm(7), z, z)
		zero := asm.ZMM()
		asm.VPXORD(zero, zero, zero)
		asm.VPSUBD(z, zero, z)
		return z
	}
	p.transpose(p.load(func(row reg.Register) reg.VecVirtual {
		before, z := asm.ZMM(), sums(row) // the sums of 32 are its last four dwords
		asm.VMOVDQU64(at(row, superSums32-48), before)
		asm.VALIGND(op.Imm(12), before, z, z)
		return z
	}), tileColumns, colsKSum32)
	p.transpose(p.load(func(row reg.Register) reg.VecVirtual {
		scale, z := asm.XMM(), sums(row)
		asm.VMOVD(at(row, superD), scale)
		asm.VALIGND(op.Imm(12), z, scale.AsZ(), z)
		return z
	}), 2, colsKNeg16+12*columnStep) // what is left of the second is room
	p.end(superSize, colsK)
}

// packColumns32 writes the columns of types with blocks of 32.
func packColumns32() {
	p := beginPack("packColumns32AVX512", "is packColumn32")
	p.codes(2)
	p.transpose(p.load(func(row reg.Register) reg.VecVirtual {
		sum, z := asm.XMM(), asm.YMM()
		zero := asm.XMM()
		asm.VPXORD(zero, zero, zero)
		asm.VMOVDQU64(at(row, groupSums), sum)
		asm.VPSLLD(op.Imm(7), sum, sum)
		asm.VPSUBD(sum, zero, sum)
		asm.VINSERTI32X4(op.Imm(1), at(row, groupD), sum.AsY(), z)
		return z.AsZ().(reg.VecVirtual)
	}), 3, cols32Neg)
	p.end(groupSize, cols32)
}
