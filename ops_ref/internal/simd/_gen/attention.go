package main

import (
	"fmt"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Sizes that attention.go of package simd shares.
const (
	panelQueries = 32               // queries of a panel
	panelRow     = 4 * panelQueries // bytes of a row of a panel
	blockQueries = 8                // queries of a call of values
)

// lanes is the kind of vectors that a kernel is written for.
type lanes struct {
	level string
	wide  bool // AVX-512
	n     int  // float32 in a vector
	regs  []reg.VecPhysical
}

var (
	avx2 = lanes{"AVX2", false, 8, []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9,
		reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}}
	avx512 = lanes{"AVX512", true, 16, []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9,
		reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31}}
)

// bytes of a vector.
func (l lanes) bytes() int { return 4 * l.n }

// zero clears r.
func (l lanes) zero(r op.Op) {
	if l.wide {
		asm.VPXORD(r, r, r)
	} else {
		asm.VPXOR(r, r, r)
	}
}

// vec returns a new virtual vector.
func (l lanes) vec() reg.VecVirtual {
	if l.wide {
		return asm.ZMM()
	}
	return asm.YMM()
}

// load converts l.n elements of type t.
func (l lanes) load(t floatType, m op.Mem, r reg.VecVirtual) {
	if l.wide {
		t.loadZ(m, r)
	} else {
		t.loadY(m, r)
	}
}

// attention writes the kernels of attention.
func attention() {
	transpose()
	addWeighted()
	mergeRows()
	for _, l := range []lanes{avx2, avx512} {
		scorePanel(l)
		panelValues(l)
		for _, t := range []floatType{f32, f16, bf16} {
			widenRows(l, t)
			rowScores(l, t)
			rowValues(l, t)
		}
	}
	softmaxPanel512()
	softmaxPanel2()
}

// transpose writes the transposition of rows of queries, 8 by 8.
func transpose() {
	begin("transposeQueriesAVX2", "func(dst, src *float32, steps int)",
		"writes element d of row i of 32 rows of 16*steps elements to dst[32*d+i]. steps must be positive.")
	dst, src, steps := gp("dst"), gp("src"), gp("steps")
	stride, stride3, group, s, d, n := asm.GP64(), asm.GP64(), asm.GP64(), asm.GP64(), asm.GP64(), asm.GP64()
	asm.MOVQ(steps, stride)
	asm.SHLQ(op.Imm(6), stride)
	asm.LEAQ(op.Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	asm.MOVQ(op.U32(panelQueries/8), group)
	asm.Label("group")
	asm.MOVQ(src, s)
	asm.MOVQ(dst, d)
	asm.MOVQ(steps, n)
	asm.ADDQ(n, n)
	asm.Label("step")
	low := asm.GP64()
	asm.LEAQ(op.Mem{Base: s, Index: stride, Scale: 4}, low)
	var r [8]ymm
	for i := range r {
		m := op.Mem{Base: s}
		if i >= 4 {
			m.Base = low
		}
		switch i % 4 {
		case 1, 2:
			m.Index, m.Scale = stride, uint8(i%4)
		case 3:
			m.Index, m.Scale = stride3, 1
		}
		r[i] = load(m)
	}
	pick := func(f func(a, b, to ymm), a, b ymm) ymm {
		to := asm.YMM()
		f(a, b, to)
		return to
	}
	shuffle := func(imm uint64) func(a, b, to ymm) {
		return func(a, b, to ymm) { asm.VSHUFPS(op.Imm(imm), b, a, to) }
	}
	permute := func(imm uint64) func(a, b, to ymm) {
		return func(a, b, to ymm) { asm.VPERM2F128(op.Imm(imm), b, a, to) }
	}
	unpackLow := func(a, b, to ymm) { asm.VUNPCKLPS(b, a, to) }
	unpackHigh := func(a, b, to ymm) { asm.VUNPCKHPS(b, a, to) }
	var u [8]ymm
	for h := range 2 {
		q := r[4*h:]
		l0, h0, l1, h1 := pick(unpackLow, q[0], q[1]), pick(unpackHigh, q[0], q[1]), pick(unpackLow, q[2], q[3]), pick(unpackHigh, q[2], q[3])
		u[4*h], u[4*h+1] = pick(shuffle(0x44), l0, l1), pick(shuffle(0xee), l0, l1)
		u[4*h+2], u[4*h+3] = pick(shuffle(0x44), h0, h1), pick(shuffle(0xee), h0, h1)
	}
	for i := range 4 {
		asm.VMOVUPS(pick(permute(0x20), u[i], u[4+i]), at(d, i*panelRow))
		asm.VMOVUPS(pick(permute(0x31), u[i], u[4+i]), at(d, (4+i)*panelRow))
	}
	asm.ADDQ(op.Imm(32), s)
	asm.ADDQ(op.U32(8*panelRow), d)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	asm.LEAQ(op.Mem{Base: src, Index: stride, Scale: 8}, src)
	asm.ADDQ(op.Imm(32), dst)
	asm.DECQ(group)
	asm.JNZ(op.LabelRef("group"))
	end()
}

// scorePanel writes the products of keys with a panel of queries. The sums of dotF32Row are made one after the other,
// so that nothing crosses lanes: a lane is a query.
func scorePanel(l lanes) {
	begin("scorePanel"+l.level, "func(out, keys *float32, quads, steps int, q *float32)", "is dotF32Row",
		"for 4*quads rows of 16*steps elements and a panel of queries, which transposeQueries wrote: out[32*j+i] is the",
		"product of row j and query i. Both counts must be positive.")
	out, keys, quads, steps, q := reg.RDI, reg.RSI, reg.RDX, reg.RCX, reg.R8
	asm.Load(asm.Param("out"), out)
	asm.Load(asm.Param("keys"), keys)
	asm.Load(asm.Param("quads"), quads)
	asm.Load(asm.Param("steps"), steps)
	asm.Load(asm.Param("q"), q)
	stride, stride3, k, x, n, o, panel, column := reg.R9, reg.R10, reg.R11, reg.R12, reg.R13, reg.RAX, reg.RBX, reg.R15
	const rows = 4
	vecs := 2 // of queries
	if !l.wide {
		vecs = 1
	}
	acc, first, second := l.regs[:rows*vecs], l.regs[rows*vecs:2*rows*vecs], l.regs[2*rows*vecs:3*rows*vecs]
	qs, ks := l.regs[3*rows*vecs:][:vecs], l.regs[3*rows*vecs+vecs:]
	kept := asm.AllocLocal(rows * vecs * l.bytes())
	asm.MOVQ(steps, stride)
	asm.SHLQ(op.Imm(6), stride)
	asm.LEAQ(op.Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	asm.Label("quad")
	asm.MOVQ(q, panel)
	asm.MOVQ(out, o)
	columns := panelQueries / (vecs * l.n)
	if columns > 1 {
		asm.MOVQ(op.U32(uint32(columns)), column)
		asm.Label("column")
	}
	// residue sums the products of elements r mod 16 in acc.
	residue := func(r int) {
		for _, a := range acc {
			l.zero(a)
		}
		asm.MOVQ(keys, k)
		asm.MOVQ(panel, x)
		asm.MOVQ(steps, n)
		label := fmt.Sprintf("residue%d", r)
		asm.Label(label)
		for v := range vecs {
			asm.VMOVUPS(at(x, r*panelRow+v*l.bytes()), qs[v])
		}
		for i := range rows {
			m := op.Mem{Base: k, Disp: 4 * r}
			switch i {
			case 1, 2:
				m.Index, m.Scale = stride, uint8(i)
			case 3:
				m.Index, m.Scale = stride3, 1
			}
			key := ks[i%len(ks)]
			asm.VBROADCASTSS(m, key)
			for v := range vecs {
				asm.VFMADD231PS(qs[v], key, acc[i*vecs+v])
			}
		}
		asm.ADDQ(op.Imm(64), k)
		asm.ADDQ(op.U32(16*panelRow), x)
		asm.DECQ(n)
		asm.JNZ(op.LabelRef(label))
	}
	result := func(i int) op.Mem { return at(o, i/vecs*panelRow+i%vecs*l.bytes()) }
	keep := func(i int) op.Mem { return kept.Offset(i * l.bytes()) }
	for i := range 4 {
		for s, r := range []int{i, i + 8, i + 4, i + 12} {
			residue(r)
			for j, a := range acc {
				switch s {
				case 0:
					asm.VMOVAPS(a, first[j])
				case 1:
					asm.VADDPS(a, first[j], first[j])
				case 2:
					asm.VMOVAPS(a, second[j])
				case 3:
					asm.VADDPS(a, second[j], second[j])
					asm.VADDPS(second[j], first[j], first[j])
				}
			}
		}
		for j, f := range first { // (0 + 1) + (2 + 3)
			switch i {
			case 0:
				asm.VMOVUPS(f, result(j))
			case 1:
				asm.VADDPS(result(j), f, f)
				asm.VMOVUPS(f, result(j))
			case 2:
				asm.VMOVUPS(f, keep(j))
			case 3:
				asm.VADDPS(keep(j), f, f)
				asm.VADDPS(result(j), f, f)
				asm.VMOVUPS(f, result(j))
			}
		}
	}
	if columns > 1 {
		asm.ADDQ(op.U32(uint32(vecs*l.bytes())), panel)
		asm.ADDQ(op.U32(uint32(vecs*l.bytes())), o)
		asm.DECQ(column)
		asm.JNZ(op.LabelRef("column"))
	}
	asm.LEAQ(op.Mem{Base: keys, Index: stride, Scale: 4}, keys)
	asm.ADDQ(op.U32(rows*panelRow), out)
	asm.DECQ(quads)
	asm.JNZ(op.LabelRef("quad"))
	end()
}

// panelValues writes the weighted sums of rows of values for eight queries of a panel.
func panelValues(l lanes) {
	begin("panelValues"+l.level, "func(out *float32, steps int, values, weights *float32, n int)", "is addRow",
		"for 8 queries, 16*steps elements of n rows, and weights of query i at weights[32*j+i]; rows of results and of",
		"values lie one behind the other. Both counts must be positive.")
	out, steps, values, weights, n := gp("out"), gp("steps"), gp("values"), gp("weights"), gp("n")
	stride, stride3 := asm.GP64(), asm.GP64()
	asm.MOVQ(steps, stride)
	asm.SHLQ(op.Imm(6), stride)
	asm.LEAQ(op.Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	at4 := func(p, low reg.GPVirtual, i, disp int) op.Mem {
		m := op.Mem{Base: p, Disp: disp}
		if i >= 4 {
			m.Base = low
		}
		switch i % 4 {
		case 1, 2:
			m.Index, m.Scale = stride, uint8(i%4)
		case 3:
			m.Index, m.Scale = stride3, 1
		}
		return m
	}
	// tile is a part of vecs vectors of some queries.
	tile := func(label string, first, queries, vecs int) {
		low := asm.GP64()
		asm.LEAQ(op.Mem{Base: out, Index: stride, Scale: 4}, low)
		acc := make([]reg.VecVirtual, queries*vecs)
		for i := range acc {
			acc[i] = l.vec()
			asm.VMOVUPS(at4(out, low, first+i/vecs, i%vecs*l.bytes()), acc[i])
		}
		v, w, left := asm.GP64(), asm.GP64(), asm.GP64()
		asm.MOVQ(values, v)
		asm.MOVQ(weights, w)
		asm.MOVQ(n, left)
		asm.Label(label)
		rows := make([]reg.VecVirtual, vecs)
		for i := range rows {
			rows[i] = l.vec()
			asm.VMOVUPS(at(v, i*l.bytes()), rows[i])
		}
		for i := range queries {
			b := l.vec()
			asm.VBROADCASTSS(at(w, 4*(first+i)), b)
			for j, r := range rows {
				asm.VFMADD231PS(r, b, acc[i*vecs+j])
			}
		}
		asm.ADDQ(stride, v)
		asm.ADDQ(op.U32(panelRow), w)
		asm.DECQ(left)
		asm.JNZ(op.LabelRef(label))
		for i := range acc {
			asm.VMOVUPS(acc[i], at4(out, low, first+i/vecs, i%vecs*l.bytes()))
		}
	}
	advance := func(elems int) {
		asm.ADDQ(op.Imm(uint64(4*elems)), out)
		asm.ADDQ(op.Imm(uint64(4*elems)), values)
	}
	if !l.wide {
		asm.Label("step")
		tile("upper", 0, 4, 2)
		tile("lower", 4, 4, 2)
		advance(16)
		asm.DECQ(steps)
		asm.JNZ(op.LabelRef("step"))
		end()
		return
	}
	asm.SUBQ(op.Imm(2), steps)
	asm.JLT(op.LabelRef("last"))
	asm.Label("step")
	tile("pair", 0, 8, 2)
	advance(32)
	asm.SUBQ(op.Imm(2), steps)
	asm.JGE(op.LabelRef("step"))
	asm.Label("last")
	asm.ADDQ(op.Imm(2), steps)
	asm.JZ(op.LabelRef("done"))
	tile("single", 0, 8, 1)
	asm.Label("done")
	end()
}

// addWeighted writes the weighted sum of rows for one query of a panel.
func addWeighted() {
	begin("addWeightedAVX2", "func(dst *float32, steps int, values, weights *float32, n int)",
		"is addRow for 16*steps elements of n rows, one behind the other, and weights 32 elements apart. Both counts must be positive.")
	dst, steps, values, weights, n := gp("dst"), gp("steps"), gp("values"), gp("weights"), gp("n")
	stride := asm.GP64()
	asm.MOVQ(steps, stride)
	asm.SHLQ(op.Imm(6), stride)
	asm.Label("step")
	acc := [2]ymm{load(at(dst, 0)), load(at(dst, 32))}
	v, w, left := asm.GP64(), asm.GP64(), asm.GP64()
	asm.MOVQ(values, v)
	asm.MOVQ(weights, w)
	asm.MOVQ(n, left)
	asm.Label("row")
	b := asm.YMM()
	asm.VBROADCASTSS(at(w, 0), b)
	for i, a := range acc {
		asm.VFMADD231PS(at(v, 32*i), b, a)
	}
	asm.ADDQ(stride, v)
	asm.ADDQ(op.U32(panelRow), w)
	asm.DECQ(left)
	asm.JNZ(op.LabelRef("row"))
	for i, a := range acc {
		asm.VMOVUPS(a, at(dst, 32*i))
	}
	asm.ADDQ(op.Imm(64), dst)
	asm.ADDQ(op.Imm(64), values)
	asm.DECQ(steps)
	asm.JNZ(op.LabelRef("step"))
	end()
}

// mergeRows writes the sum of two sets of rows with weights.
func mergeRows() {
	begin("mergeRowsAVX2", "func(dst, x, a, b *float32, rows, steps int)",
		"is mergeRow for rows of 16*steps elements, one behind the other. Both counts must be positive.")
	dst, x, a, b, rows, steps := gp("dst"), gp("x"), gp("a"), gp("b"), gp("rows"), gp("steps")
	n := asm.GP64()
	asm.Label("row")
	asm.MOVQ(steps, n)
	wa, wb := asm.YMM(), asm.YMM()
	asm.VBROADCASTSS(at(a, 0), wa)
	asm.VBROADCASTSS(at(b, 0), wb)
	asm.Label("step")
	for i := range 2 {
		d := mul(wa, at(dst, 32*i))
		asm.VFMADD231PS(at(x, 32*i), wb, d)
		asm.VMOVUPS(d, at(dst, 32*i))
	}
	asm.ADDQ(op.Imm(64), dst)
	asm.ADDQ(op.Imm(64), x)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	asm.ADDQ(op.Imm(4), a)
	asm.ADDQ(op.Imm(4), b)
	asm.DECQ(rows)
	asm.JNZ(op.LabelRef("row"))
	end()
}

// widenRows writes the conversion of rows to float32, one behind the other.
func widenRows(l lanes, t floatType) {
	begin("widenRows"+t.name+l.level, "func(dst *float32, src *byte, rowBytes, rows, steps int)",
		"converts rows of 16*steps elements of type "+t.name+", rowBytes bytes apart. Both counts must be positive.")
	dst, src, rowBytes, rows, steps := gp("dst"), gp("src"), gp("rowBytes"), gp("rows"), gp("steps")
	s, n := asm.GP64(), asm.GP64()
	asm.Label("row")
	asm.MOVQ(src, s)
	asm.MOVQ(steps, n)
	asm.Label("step")
	for i := range 16 / l.n {
		v := l.vec()
		l.load(t, at(s, i*l.n*t.size), v)
		asm.VMOVUPS(v, at(dst, i*l.bytes()))
	}
	asm.ADDQ(op.Imm(uint64(16*t.size)), s)
	asm.ADDQ(op.Imm(64), dst)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	asm.ADDQ(rowBytes, src)
	asm.DECQ(rows)
	asm.JNZ(op.LabelRef("row"))
	end()
}
