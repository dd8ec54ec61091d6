package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tilesOf32 writes the kernel for groups of four blocks of 32. Panels are those without tiles, but for signed codes.
// Sums of each block and half of the rows are a tile in one half of buf, while those in the other half become floats.
func tilesOf32() {
	t := beginTiles("tilesQ8_0AMX", "shapes32", "is dotQ8_0Row")
	other := reg.R12
	asm.MOVQ(op.U32(groupSize), t.step)
	asm.MOVQ(op.U32(rowStep), t.rows)
	line := reg.R13
	asm.MOVQ(op.U32(tileRow), line)
	asm.LEAQ(at(t.buf, 8*tileSize), other)
	d := func(b, h int) reg.VecPhysical { return zregs[24+2*b+h] }
	for b := range 4 {
		for h := range 2 {
			asm.VMOVUPS(at(t.w, panelQ8_0D+b*rowStep+h*halfStep), d(b, h))
		}
	}
	products := func(b, h int) {
		x, c := 4+b%2, (2*b+h)%4
		if h == 0 {
			tileLoad(x, t.a, 32*b, t.step)
		}
		tileLoad(6+h, t.w, 8*b*rowStep+h*halfStep, t.rows)
		tileZero(c)
		dotSS(c, x, 6+h)
		tileStore(c, t.buf, (2*b+h)*tileSize, line)
	}
	// scaled adds the sums of block b of columns 8*half on to their results, in registers.
	scaled := func(half, b, disp int) {
		for i := range 8 {
			c := 8*half + i
			da := zregs[16+i%2]
			asm.VBROADCASTSS(at(t.a, c*groupSize+groupD+4*b-disp), da)
			for h := range 2 {
				s := zregs[18+(2*i+h)%6]
				asm.VCVTDQ2PS(at(other, (2*b+h)*tileSize+c*tileRow), s)
				asm.VMULPS(d(b, h), s, s)
				asm.VMULPS(da, s, s)
				asm.VADDPS(s, zregs[2*i+h], zregs[2*i+h])
			}
		}
	}
	load := func() {
		for i := range 8 {
			for h := range 2 {
				asm.VMOVUPS(at(t.src, h*halfStep), zregs[2*i+h])
			}
			asm.ADDQ(t.srcBytes, t.src)
		}
	}
	save := func() {
		for i := range 8 {
			for h := range 2 {
				asm.VMOVUPS(zregs[2*i+h], at(t.dst, h*halfStep))
			}
			asm.ADDQ(t.dstBytes, t.dst)
		}
	}
	const tileActs = 16 * groupSize
	for b := range 4 {
		for h := range 2 {
			products(b, h)
		}
	}
	asm.Label("tile")
	asm.ADDQ(op.U32(tileActs), t.a)
	asm.XCHGQ(t.buf, other)
	asm.DECQ(t.n)
	asm.JZ(op.LabelRef("last"))
	for half := range 2 {
		load()
		for b := range 4 {
			products(2*half+b/2, b%2)
			scaled(half, b, tileActs)
		}
		save()
	}
	asm.JMP(op.LabelRef("tile"))
	asm.Label("last")
	for half := range 2 {
		load()
		for b := range 4 {
			scaled(half, b, tileActs)
		}
		save()
	}
	t.end()
}
