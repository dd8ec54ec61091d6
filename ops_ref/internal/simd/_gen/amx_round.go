package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Panels of quantized weights, as package simd makes them for vectors, become tiles of bfloat16: each element is
// code*scale-least, rounded once to float32 and once more to bfloat16. Rows lie in lanes as they do in a tile, so
// that nothing has to be transposed.

// affine is what makes numbers of the codes of a run, in 16 rows.
type affine struct{ scale, least reg.VecVirtual }

// canonical replaces each NaN of x: rounding could carry its payload into the sign.
func canonical(x reg.VecVirtual) {
	nan := asm.K()
	asm.VCMPPS(op.Imm(3), x, x, nan)
	asm.VPBROADCASTD(sym(nanBits, 0), nan, x)
}

// panelPart is where a kernel reads: a panel, and of its current 64 elements the codes, what comes once for each run
// of them, and mins.
type panelPart struct{ panel, codes, runs, mins reg.GPVirtual }

// rounding describes the kernel for a type.
type rounding struct {
	name, what string
	elements   int // of a block
	size       int // of its panel
	runs, mins int // where they start
	run        int // elements of a run

	// affine is that of elements first to first+15 of the current 64, of 16 rows from 16*half on.
	affine func(p panelPart, half, first int) affine
}

func (t rounding) kernel() {
	begin("round"+t.name+"AMX", "func(dst, src *byte, blocks int)", "writes the tiles of blocks "+t.what+", at least 1, from their panels.")
	dst, n := gp("dst"), gp("blocks")
	p := panelPart{gp("src"), asm.GP64(), asm.GP64(), asm.GP64()}
	high, up, low := broadcastZ(highWord), broadcastZ(halfWord), broadcastZ(lowByte)
	left := asm.GP64()
	asm.Label("block")
	asm.MOVQ(p.panel, p.codes)
	asm.LEAQ(at(p.panel, t.runs), p.runs)
	asm.LEAQ(at(p.panel, t.mins), p.mins)
	asm.MOVQ(op.U32(uint32(t.elements/64)), left)
	asm.Label("part")
	for h := range 2 {
		for k := 0; k < 64; k += 32 {
			runs := [2]affine{t.affine(p, h, k), t.affine(p, h, k+16)}
			for g := range 4 {
				var codes [2]reg.VecVirtual
				for i := range codes {
					codes[i] = asm.ZMM()
					asm.VMOVDQU64(at(p.codes, (k/4+4*i+g)*rowStep+h*halfStep), codes[i])
				}
				for b := range 4 {
					var x [2]reg.VecVirtual
					for i := range x {
						x[i] = asm.ZMM()
						from := codes[i]
						if b > 0 {
							asm.VPSRLD(op.Imm(uint64(8*b)), from, x[i])
							from = x[i]
						}
						if b < 3 {
							asm.VPANDD(low, from, x[i])
						}
						asm.VCVTDQ2PS(x[i], x[i])
						asm.VFMSUB213PS(runs[i].least, runs[i].scale, x[i])
						asm.VPADDD(up, x[i], x[i])
					}
					asm.VPSRLD(op.Imm(16), x[0], x[0])
					asm.VPTERNLOGD(op.Imm(0xf8), high, x[1], x[0]) // x[0] | x[1] & high
					asm.VMOVDQU64(x[0], at(dst, (k/32*2+h)*tileSize+(4*g+b)*tileRow))
				}
			}
		}
	}
	asm.ADDQ(op.U32(4*tileSize), dst)
	asm.ADDQ(op.U32(16*rowStep), p.codes)
	asm.ADDQ(op.U32(uint32(64/t.run*rowStep)), p.runs)
	asm.ADDQ(op.U32(rowStep), p.mins)
	asm.DECQ(left)
	asm.JNZ(op.LabelRef("part"))
	asm.ADDQ(op.U32(uint32(t.size)), p.panel)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("block"))
	end()
}

// offset returns scale, and as the least the given multiple of it.
func offset(scale reg.VecVirtual, by string) affine {
	canonical(scale)
	least := asm.ZMM()
	asm.VMULPS_BCST(sym(by, 0), scale, least)
	return affine{scale, least}
}

// roundings writes the kernels for all types.
func roundings() {
	dwords("offset128", []uint32{0x43000000})
	for _, t := range []rounding{
		{"Q8_0", "groups of four blocks", 128, panelQ8_0, panelQ8_0D, 0, 32, func(p panelPart, half, first int) affine {
			scale := asm.ZMM()
			asm.VMOVUPS(at(p.runs, first/32*rowStep+half*halfStep), scale)
			return offset(scale, "offset128")
		}},
		{"Q4K", "super-blocks of Q4_K or Q5_K", 256, panelQ4K, panelQ4KScales, panelQ4KMins, 32, func(p panelPart, half, first int) affine {
			scale, least := asm.ZMM(), asm.ZMM()
			asm.VCVTDQ2PS(at(p.runs, first/32*rowStep+half*halfStep), scale)
			asm.VMULPS(at(p.panel, panelQ4KD+half*halfStep), scale, scale)
			if first < 32 { // of the two words
				asm.VPSLLD(op.Imm(16), at(p.mins, half*halfStep), least)
				asm.VPSRLD(op.Imm(16), least, least)
			} else {
				asm.VPSRLD(op.Imm(16), at(p.mins, half*halfStep), least)
			}
			asm.VCVTDQ2PS(least, least)
			asm.VMULPS(at(p.panel, panelQ4KDmin+half*halfStep), least, least)
			canonical(scale)
			canonical(least)
			return affine{scale, least}
		}},
		{"Q6K", "super-blocks", 256, panelQ6K, panelQ6KScales, 0, 16, func(p panelPart, half, first int) affine {
			scale := asm.ZMM()
			asm.VCVTDQ2PS(at(p.runs, first/16*rowStep+half*halfStep), scale)
			asm.VMULPS(at(p.panel, panelQ6KD+half*halfStep), scale, scale)
			return offset(scale, "offset128")
		}},
	} {
		t.kernel()
	}
}
