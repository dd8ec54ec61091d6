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
	}
}
