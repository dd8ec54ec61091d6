package main

import (
	"fmt"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Products of rows of types that become Codes, without writing them as such: the same integers. Vectors of codes hold
// runs of 32 in pairs, as in dotQ6KColumns.

// convertedConstants writes the constants of these kernels.
func convertedConstants() {
	dwords("fours", []uint32{0x04040404})
	dwords("leastExponent", []uint32{104})
	dwords("mostExponent", []uint32{143 - 104})
	dwords("exponentBias", []uint32{104 - 1})
	dwords("bias16", []uint32{0x70707070})
	sameWords("sixteens", 0x1010)
	var q4, fp4 []byte
	for i := range 16 {
		q4 = append(q4, byte(i+128-8))
		fp4 = append(fp4, byte([]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}[i])^0x80)
	}
	bytes("q4_0Codes", q4)
	bytes("fp4Codes", fp4)
	var lanes []uint32 // as qwords
	for _, l := range []uint32{0, 1, 0, 1, 2, 3, 2, 3} {
		lanes = append(lanes, l, 0)
	}
	dwords("lanesTwiceQ", lanes)
	for p := range 2 {
		shifts := make([]uint16, 32)
		for l := range shifts {
			shifts[l] = uint16(4*p + 2*(l/16))
		}
		words(fmt.Sprintf("q3Crumbs%d", p), shifts)
	}
	for p := range 4 {
		bits := make([]byte, 64)
		for l := range bits {
			bits[l] = 1 << (2*p + l/32)
		}
		bytes(fmt.Sprintf("q3Mask%d", p), bits)
	}
}

// converted is a kernel of this kind in the middle of a row.
type converted struct {
	quad
	size  int // bytes of a block
	scale [2]reg.VecVirtual
	zero  reg.VecVirtual
	sums  [][4]reg.VecVirtual
}

// beginConverted starts a kernel; startRows opens its loops.
func beginConverted(name string, size, cols int) *converted {
	v := &converted{quad: beginColumns("dot"+name+times(cols)+"AVX512", "is dotCodesRow of what convertCodes makes of "+name, cols), size: size}
	v.scale = [2]reg.VecVirtual{loadZ("q6Scale0"), loadZ("q6Scale1")}
	v.zero = asm.ZMM()
	asm.VPXORD(v.zero, v.zero, v.zero)
	return v
}

// add multiplies the products of two pairs of runs of half h of row r, x and y, with their scales, the words of sc.
func (v *converted) add(c, r, h int, sc, x, y reg.VecVirtual) {
	s := asm.ZMM()
	asm.VPERMW(sc, v.scale[h], s)
	asm.VPACKSSDW(y, x, x) // at most 4·15·127
	asm.VPDPWSSD(s, x, v.sums[c][r])
}

func (v *converted) end(d int) {
	scales := v.scales4(d)
	for c, s := range v.sums {
		v.addSymmetric(c, sum4Z(s[0], s[1], s[2], s[3]), scales, superD)
	}
	v.endBlock(v.size, superSize)
	v.endRows()
}

// scalesQ3K returns the scales of the block of which m gives the bytes from 96 on, as bytes.
func scalesQ3K(m func(disp int) op.Mem) reg.VecVirtual {
	low, up, bits := asm.XMM(), asm.XMM(), asm.XMM()
	asm.VPBROADCASTQ(m(96), low)
	asm.VPSRLW(op.Imm(4), low, up)
	asm.VPBLENDD(op.Imm(0xc), up, low, low)
	asm.VPAND(sym("low4y", 0), low, low)
	asm.VPBROADCASTD(m(104), bits)
	asm.VPSRLVD(sym("crumbShifts", 0), bits, bits)
	asm.VPSLLW(op.Imm(4), bits, bits)
	asm.VPAND(sym("bits45", 0), bits, bits)
	asm.VPOR(bits, low, low)
	asm.VPSUBB(sym("thirtyTwo", 0), low, low)
	return low
}

func dotQ3KColumns(cols int) {
	v := beginConverted("Q3K", 110, cols)
	four := broadcastZ("fours")
	v.startRows()
	// Codes are 4 too large. For one column, sums start at -4 times the sum of four activations.
	var start [4]reg.VecVirtual
	for i := range start {
		start[i] = v.zero
		if cols == 1 {
			start[i] = asm.ZMM()
			asm.VMOVDQA64(v.zero, start[i])
			asm.VPDPBUSD(at(v.y, 64*i), four, start[i])
			asm.VPSUBD(start[i], v.zero, start[i])
		}
	}
	v.sums = make([][4]reg.VecVirtual, cols)
	for r := range 4 {
		sc := asm.ZMM()
		asm.VPMOVSXBW(scalesQ3K(func(disp int) op.Mem { return v.row(r, disp) }), sc.AsY())
		for c := range cols {
			sum := asm.ZMM()
			v.sums[c][r] = sum
			if cols == 1 {
				asm.VMOVDQA64(v.zero, sum)
				continue
			}
			asm.VPMADDWD(v.column(c, superSums16), sc.AsY(), sum.AsY())
			asm.VPSLLD(op.Imm(2), sum.AsY(), sum.AsY())
			asm.VPSUBD(sum.AsY(), v.zero.AsY(), sum.AsY())
		}
		mask := asm.ZMM()
		asm.VBROADCASTI64X4(v.row(r, 0), mask)
		for h := range 2 {
			fetch(v.ahead, 4*110, 2*r+h, 8)
			qs := asm.ZMM()
			asm.VBROADCASTI64X4(v.row(r, 32+32*h), qs)
			var codes [2]reg.VecVirtual
			for p := range codes {
				z, k := asm.ZMM(), asm.K()
				asm.VPSRLVW(sym(fmt.Sprintf("q3Crumbs%d", p), 0), qs, z)
				asm.VPANDD_BCST(sym(low2, 0), z, z)
				asm.VPTESTMB(sym(fmt.Sprintf("q3Mask%d", 2*h+p), 0), mask, k)
				asm.VPADDB(four, z, k, z)
				codes[p] = z
			}
			for c := range cols {
				x, y := asm.ZMM(), asm.ZMM()
				asm.VMOVDQA64(start[2*h], x)
				asm.VMOVDQA64(start[2*h+1], y)
				asm.VPDPBUSD(v.column(c, 128*h), codes[0], x)
				asm.VPDPBUSD(v.column(c, 128*h+64), codes[1], y)
				v.add(c, r, h, sc, x, y)
			}
		}
	}
	v.end(108)
}

// convertedKernels writes the kernels.
func convertedKernels() {
	convertedConstants()
	for _, cols := range dotCols {
		dotQ3KColumns(cols)
		if cols == 4 { // for which registers do not suffice
			continue
		}
		dotNibbles("Q4_0", 18, 2, "q4_0Codes", cols)
		dotNibbles("IQ4_NL", 18, 2, "iq4Codes", cols)
		dotNibbles("MXFP4", 17, 1, "fp4Codes", cols)
		dotQ5_0Columns(cols)
	}
}

// nibblePair returns the nibbles of blocks 2p and 2p+1 of row r, of which codes start at byte qs.
func (q *quad) nibblePair(r, p, size, qs int) reg.VecVirtual {
	z := asm.ZMM()
	asm.VMOVDQU64(q.row(r, 2*p*size+qs), z.AsX())
	asm.VINSERTI32X4(op.Imm(1), q.row(r, (2*p+1)*size+qs), z.AsY(), z.AsY())
	asm.VPERMQ(z, loadZ("lanesTwiceQ"), z)
	asm.VPSRLVW(sym("nibbleLanes", 0), z, z)
	asm.VPANDD_BCST(sym(nibbles, 0), z, z)
	return z
}

// dotNibbles writes the kernel for a type whose codes stand for the values of a table.
func dotNibbles(name string, size, qs int, table string, cols int) {
	scales := halfScales
	about := "is dotQ8_0Row of what convertBlock makes of " + name
	if name == "MXFP4" {
		about += ", or NaN if a scale has no float16,"
		scales = func(dw reg.VecVirtual) { // exponents, see halfExponent
			beyond := asm.K()
			asm.VPANDD_BCST(sym(lowByte, 0), dw, dw)
			asm.VPSUBD_BCST(sym("leastExponent", 0), dw, dw)
			asm.VPCMPUD_BCST(op.Imm(6), sym("mostExponent", 0), dw, beyond) // not less or equal
			asm.VPADDD_BCST(sym("exponentBias", 0), dw, dw)
			asm.VPSLLD(op.Imm(23), dw, dw)
			asm.VPBROADCASTD(sym(nanBits, 0), beyond, dw)
		}
	}
	dot32{name, about, size, func(q *quad, r, p int) reg.VecVirtual {
		z, values := q.nibblePair(r, p, size, qs), asm.ZMM()
		asm.VBROADCASTI32X4(sym(table, 0), values)
		asm.VPSHUFB(z, values, z)
		return z
	}, scales}.kernel(cols)
}

// dotQ5_0Columns writes the kernel for codes with a fifth bit, which adds 16.
func dotQ5_0Columns(cols int) {
	dot32{"Q5_0", "is dotQ8_0Row of what convertBlock makes of Q5_0", 22, func(q *quad, r, p int) reg.VecVirtual {
		z, k, up := q.nibblePair(r, p, 22, 6), asm.K(), asm.K()
		asm.KMOVD(q.row(r, 2*p*22+2), k)
		asm.KMOVD(q.row(r, (2*p+1)*22+2), up)
		asm.KUNPCKDQ(k, up, k)
		asm.VPADDD_BCST(sym("bias16", 0), z, z)
		asm.VPADDB(loadZ("sixteens"), z, k, z)
		return z
	}, halfScales}.kernel(cols)
}
