package main

import (
	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// addRows writes the weighted sum of rows of values, 16 elements of the result at a time.
func addRows(t floatType, wide bool) {
	level := "AVX2"
	if wide {
		level = "AVX512"
	}
	begin("addRows"+t.name+level, "func(dst *float32, steps int, rows *byte, rowBytes int, weights *float32, n int)",
		"is addRow for 16*steps elements.", "Both counts must be positive.")
	dst, steps, rows, rowBytes := gp("dst"), gp("steps"), gp("rows"), gp("rowBytes")
	weights, n := gp("weights"), gp("n")
	// Four vectors of results at a time hide the latency of their sums.
	part := func(name string, vectors int) {
		asm.Label(name)
		var acc []reg.VecVirtual
		size := 32
		if wide {
			size = 64
		}
		for v := range vectors {
			var z reg.VecVirtual
			if wide {
				z = asm.ZMM()
			} else {
				z = asm.YMM()
			}
			asm.VMOVUPS(at(dst, v*size), z)
			acc = append(acc, z)
		}
		p, w, left := asm.GP64(), asm.GP64(), asm.GP64()
		asm.MOVQ(rows, p)
		asm.MOVQ(weights, w)
		asm.MOVQ(n, left)
		asm.Label(name + "Row")
		var b reg.VecVirtual
		if wide {
			b = asm.ZMM()
		} else {
			b = asm.YMM()
		}
		asm.VBROADCASTSS(at(w, 0), b)
		for v := range vectors {
			if wide {
				x := asm.ZMM()
				t.loadZ(at(p, v*16*t.size), x)
				asm.VFMADD231PS(x, b, acc[v])
			} else {
				x := asm.YMM()
				t.loadY(at(p, v*8*t.size), x)
				asm.VFMADD231PS(x, b, acc[v])
			}
		}
		asm.ADDQ(rowBytes, p)
		asm.ADDQ(op.Imm(4), w)
		asm.DECQ(left)
		asm.JNZ(op.LabelRef(name + "Row"))
		for v := range vectors {
			asm.VMOVUPS(acc[v], at(dst, v*size))
		}
	}
	perStep := 2
	if wide {
		perStep = 1
	}
	asm.Label("next")
	asm.CMPQ(steps, op.Imm(4))
	asm.JLT(op.LabelRef("one"))
	part("four", 4*perStep)
	asm.ADDQ(op.U32(256), dst)
	asm.ADDQ(op.U32(uint32(64*t.size)), rows)
	asm.SUBQ(op.Imm(4), steps)
	asm.JNZ(op.LabelRef("next"))
	asm.JMP(op.LabelRef("done"))
	part("one", perStep)
	asm.ADDQ(op.Imm(64), dst)
	asm.ADDQ(op.Imm(uint64(16*t.size)), rows)
	asm.DECQ(steps)
	asm.JNZ(op.LabelRef("one"))
	asm.Label("done")
	end()
}

// deltaStep writes one token of the gated delta rule for rows of the state, four at a time; or, with scan, one of a
// state-space model, which writes v as it is and does not scale.
func deltaStep(wide, scan bool) {
	level := "AVX2"
	if wide {
		level = "AVX512"
	}
	const counts = " for 4*quads rows of 16*steps elements. Both counts must be positive."
	if scan {
		begin("scanStep"+level, "func(state *float32, quads, steps int, q, k, v, o *float32, decay float32)",
			"is scanRow"+counts)
	} else {
		begin("deltaStep"+level,
			"func(state *float32, quads, steps int, q, k, v, o *float32, decay, beta, scale float32)", "is deltaRow"+counts)
	}
	state, quads, steps := gp("state"), gp("quads"), gp("steps")
	q, k, v, o := gp("q"), gp("k"), gp("v"), gp("o")
	broadcast := func(name string, r reg.VecVirtual) {
		addr, err := asm.Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		asm.VBROADCASTSS(addr.Addr, r)
	}
	vec := func() reg.VecVirtual {
		if wide {
			return asm.ZMM()
		}
		return asm.YMM()
	}
	zero := func(r reg.VecVirtual) {
		if wide {
			asm.VPXORD(r, r, r)
		} else {
			asm.VXORPS(r, r, r)
		}
	}
	parts, size := 2, 32 // of 16 elements
	if wide {
		parts, size = 1, 64
	}
	decay, beta, scale := vec(), asm.XMM(), asm.XMM()
	broadcast("decay", decay)
	if !scan {
		broadcast("beta", beta)
		broadcast("scale", scale)
	}
	stride, stride3 := asm.GP64(), asm.GP64()
	asm.MOVQ(steps, stride)
	asm.SHLQ(op.Imm(6), stride)
	asm.LEAQ(op.Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	pass := func(label string, vector reg.GPVirtual, each func(r int, row op.Mem, x reg.VecVirtual, acc reg.VecVirtual)) reg.VecVirtual {
		var acc [4][]reg.VecVirtual
		for r := range acc {
			for range parts {
				z := vec()
				zero(z)
				acc[r] = append(acc[r], z)
			}
		}
		p, x, n := asm.GP64(), asm.GP64(), asm.GP64()
		asm.MOVQ(state, p)
		asm.MOVQ(vector, x)
		asm.MOVQ(steps, n)
		asm.Label(label)
		for h := range parts {
			xs := vec()
			asm.VMOVUPS(at(x, h*size), xs)
			for r := range 4 {
				m := op.Mem{Base: p, Disp: h * size}
				switch r {
				case 1, 2:
					m.Index, m.Scale = stride, uint8(r)
				case 3:
					m.Index, m.Scale = stride3, 1
				}
				each(r, m, xs, acc[r][h])
			}
		}
		asm.ADDQ(op.Imm(64), p)
		asm.ADDQ(op.Imm(64), x)
		asm.DECQ(n)
		asm.JNZ(op.LabelRef(label))
		var s [4]reg.VecVirtual
		for r := range 4 {
			if wide {
				s[r] = asm.YMM()
				asm.VEXTRACTF64X4(op.Imm(1), acc[r][0], s[r])
				asm.VADDPS(s[r], acc[r][0].AsY(), s[r])
			} else {
				s[r] = acc[r][0]
				asm.VADDPS(acc[r][1], s[r], s[r])
			}
		}
		return fold16(s, wide)
	}
	asm.Label("rows")
	u := asm.XMM()
	if scan {
		asm.VMOVUPS(at(v, 0), u)
	} else {
		predicted := pass("decayed", k, func(r int, row op.Mem, ks, acc reg.VecVirtual) {
			x := vec()
			asm.VMULPS(row, decay, x)
			asm.VMOVUPS(x, row)
			asm.VFMADD231PS(x, ks, acc)
		})
		asm.VMOVUPS(at(v, 0), u)
		asm.VSUBPS(predicted, u, u)
		asm.VMULPS(beta, u, u)
	}
	var us [4]reg.VecVirtual
	for r := range us {
		us[r] = vec()
		if wide {
			t := asm.XMM()
			asm.VSHUFPS(op.Imm(uint64(0x55*r)), u, u, t)
			asm.VBROADCASTSS(t, us[r])
		} else {
			t := asm.XMM()
			asm.VPERMILPS(op.Imm(uint64(0x55*r)), u, t)
			asm.VBROADCASTSS(t, us[r])
		}
	}
	// The second pass reads k beside q.
	kq := asm.GP64()
	asm.MOVQ(k, kq)
	asm.SUBQ(q, kq)
	result := func() reg.VecVirtual {
		var acc [4][]reg.VecVirtual
		for r := range acc {
			for range parts {
				z := vec()
				zero(z)
				acc[r] = append(acc[r], z)
			}
		}
		p, x, n := asm.GP64(), asm.GP64(), asm.GP64()
		asm.MOVQ(state, p)
		asm.MOVQ(q, x)
		asm.MOVQ(steps, n)
		asm.Label("written")
		for h := range parts {
			ks := vec()
			asm.VMOVUPS(op.Mem{Base: x, Index: kq, Scale: 1, Disp: h * size}, ks)
			for r := range 4 {
				m := op.Mem{Base: p, Disp: h * size}
				switch r {
				case 1, 2:
					m.Index, m.Scale = stride, uint8(r)
				case 3:
					m.Index, m.Scale = stride3, 1
				}
				s := vec()
				if scan {
					asm.VMULPS(m, decay, s)
				} else {
					asm.VMOVUPS(m, s)
				}
				asm.VFMADD231PS(us[r], ks, s)
				asm.VMOVUPS(s, m)
				asm.VFMADD231PS(at(x, h*size), s, acc[r][h])
			}
		}
		asm.ADDQ(op.Imm(64), p)
		asm.ADDQ(op.Imm(64), x)
		asm.DECQ(n)
		asm.JNZ(op.LabelRef("written"))
		var s [4]reg.VecVirtual
		for r := range 4 {
			if wide {
				s[r] = asm.YMM()
				asm.VEXTRACTF64X4(op.Imm(1), acc[r][0], s[r])
				asm.VADDPS(s[r], acc[r][0].AsY(), s[r])
			} else {
				s[r] = acc[r][0]
				asm.VADDPS(acc[r][1], s[r], s[r])
			}
		}
		return fold16(s, wide)
	}()
	if !scan {
		asm.VMULPS(scale, result, result)
	}
	asm.VMOVUPS(result, at(o, 0))
	asm.ADDQ(op.Imm(16), v)
	asm.ADDQ(op.Imm(16), o)
	asm.LEAQ(op.Mem{Base: state, Index: stride, Scale: 4}, state)
	asm.DECQ(quads)
	asm.JNZ(op.LabelRef("rows"))
	end()
}
