package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The layout of a super-block in a tile panel, see tiles.go of package simd: for each 64 elements and 16 rows a tile
// of low bytes and one of high bytes; then what the panel without tiles has behind its scales.
const (
	planesK  = 16 * tileSize
	tileMins = planesK
	tileD    = tileMins + 4*rowStep
	tileDmin = tileD + rowStep
	tileQ4K  = tileDmin + rowStep
	tileQ6KD = planesK
	tileQ6K  = tileQ6KD + rowStep
)

// splitK describes how the tile panels of a type are made from its panels without tiles.
type splitK struct {
	name          string
	run           int // elements that share a scale
	size          int // of the panel without tiles
	rest, restLen int // what is copied
	offset        bool
}

// kernel multiplies codes with their scales. A product takes 16 bits, of which the low and the high byte go to
// different tiles.
func (s splitK) kernel() {
	begin("split"+s.name+"AMX", "func(dst, src *byte, blocks int)", "makes the tile panels of blocks super-blocks, at least 1, from panels of "+s.name+".")
	dst, src, n := gp("dst"), gp("src"), gp("blocks")
	low := broadcastZ("lowBytes")
	pattern := loadZ("wordTwice")
	var off reg.VecVirtual
	if s.offset {
		off = broadcastZ("words32")
	}
	asm.Label("block")
	groups := s.run / 4
	for h := range 2 {
		for sub := range 256 / s.run {
			scale := asm.ZMM()
			asm.VMOVDQU64(at(src, panelQ4KScales+sub*rowStep+h*halfStep), scale)
			asm.VPSHUFB(pattern, scale, scale)
			for i := range groups {
				g := sub*groups + i
				even, odd, hi := asm.ZMM(), asm.ZMM(), asm.ZMM()
				asm.VMOVDQU64(at(src, g*rowStep+h*halfStep), odd)
				asm.VPANDD(low, odd, even)
				asm.VPSRLW(op.Imm(8), odd, odd)
				if s.offset {
					asm.VPSUBW(off, even, even)
					asm.VPSUBW(off, odd, odd)
				}
				asm.VPMULLW(scale, even, even)
				asm.VPMULLW(scale, odd, odd)
				// Bytes of the even products stay where they are or move down, those of the odd ones move up or stay.
				asm.VPSRLW(op.Imm(8), even, hi)
				to := g/16*4*tileSize + h*2*tileSize + g%16*tileRow
				blend := asm.ZMM()
				asm.VPSLLW(op.Imm(8), odd, blend)
				asm.VPTERNLOGD(op.Imm(0xf8), low, even, blend) // blend | even & low
				asm.VMOVDQU64(blend, at(dst, to))
				asm.VPTERNLOGD(op.Imm(0xf4), low, odd, hi) // hi | odd &^ low
				asm.VMOVDQU64(hi, at(dst, to+tileSize))
			}
		}
	}
	for i := 0; i < s.restLen; i += 64 {
		z := asm.ZMM()
		asm.VMOVDQU64(at(src, s.rest+i), z)
		asm.VMOVDQU64(z, at(dst, planesK+i))
	}
	asm.ADDQ(op.U32(uint32(s.size)), src)
	asm.ADDQ(op.U32(uint32(planesK+s.restLen)), dst)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("block"))
	end()
}

// tilesOfK writes the kernel for super-blocks, with mins or without.
func tilesOfK(name, doc string, mins bool) {
	t := beginTiles(name, "shapesK", doc)
	asm.MOVQ(op.U32(superSize), t.step)
	asm.MOVQ(op.U32(tileRow), t.rows)
	// The second half of the registers holds what belongs to rows.
	mn := func(p, h int) reg.VecPhysical { return zregs[16+2*p+h] }
	d := func(h int) reg.VecPhysical { return zregs[24+h] }
	dmin := func(h int) reg.VecPhysical { return zregs[26+h] }
	for h := range 2 {
		if mins {
			for p := range 4 {
				asm.VMOVDQU64(at(t.w, tileMins+p*rowStep+h*halfStep), mn(p, h))
			}
			asm.VMOVUPS(at(t.w, tileD+h*halfStep), d(h))
			asm.VMOVUPS(at(t.w, tileDmin+h*halfStep), dmin(h))
		} else {
			asm.VMOVUPS(at(t.w, tileQ6KD+h*halfStep), d(h))
		}
	}
	// products adds those of 64 elements: tiles 2h and 2h+1 are the sums of low and of high bytes of rows 16h on.
	products := func(s int) {
		x := 4 + s%2
		tileLoad(x, t.a, 64*s, t.step)
		for h := range 2 {
			for plane := range 2 {
				tileLoad(6+plane, t.w, (4*s+2*h+plane)*tileSize, t.rows)
				if s == 0 {
					tileZero(2*h + plane)
				}
				if plane == 0 {
					dotSU(2*h, x, 6)
				} else {
					dotSS(2*h+1, x, 7)
				}
			}
		}
	}
	store := func() {
		for i := range 4 {
			tileStore(i, t.buf, i*tileSize, t.rows)
		}
	}
	// column turns the sums of a column into floats; its activations are disp before t.a.
	column := func(c, disp int) {
		var pair [4]reg.VecPhysical
		act := c*superSize - disp
		if mins {
			for p := range pair {
				pair[p] = zregs[p]
				asm.VPBROADCASTD(at(t.a, act+superSums32+4*p), pair[p])
			}
		}
		da := zregs[4]
		asm.VBROADCASTSS(at(t.a, act+superD), da)
		for h := range 2 {
			s, m := zregs[5+4*(c%2)+2*h], zregs[6+4*(c%2)+2*h]
			asm.VPSLLD(op.Imm(8), at(t.buf, (2*h+1)*tileSize+c*tileRow), s)
			asm.VPADDD(at(t.buf, 2*h*tileSize+c*tileRow), s, s)
			asm.VCVTDQ2PS(s, s)
			asm.VMULPS(d(h), s, s)
			if mins {
				asm.VPMADDWD(pair[0], mn(0, h), m)
				for p := 1; p < 4; p++ {
					asm.VPDPWSSD(pair[p], mn(p, h), m)
				}
				asm.VCVTDQ2PS(m, m)
				asm.VMULPS(dmin(h), m, m)
				asm.VSUBPS(m, s, s)
			}
			asm.VMULPS(da, s, s)
			asm.VADDPS(at(t.src, h*halfStep), s, s)
			asm.VMOVUPS(s, at(t.dst, h*halfStep))
		}
		asm.ADDQ(t.srcBytes, t.src)
		asm.ADDQ(t.dstBytes, t.dst)
	}
	const tileActs = 16 * superSize
	for s := range 4 {
		products(s)
	}
	store()
	asm.Label("tile")
	asm.ADDQ(op.U32(tileActs), t.a)
	asm.DECQ(t.n)
	asm.JZ(op.LabelRef("last"))
	for s := range 4 {
		products(s)
		for c := 4 * s; c < 4*s+4; c++ {
			column(c, tileActs)
		}
	}
	store()
	asm.JMP(op.LabelRef("tile"))
	asm.Label("last")
	for c := range 16 {
		column(c, tileActs)
	}
	t.end()
}
