package main

import (
	"fmt"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// keyRows walks over rows of a cache, some rows at a time: all heads of them, and all queries of each head. What it
// does not need in every step of the innermost loop it keeps in memory.
type keyRows struct {
	l    lanes
	t    floatType
	name string // of labels

	rows, stride, stride3, vector reg.GPVirtual // the first row, bytes between rows, and of a query
	p, head, ahead, n             reg.GPVirtual // here, start of the head, rows to be fetched, steps left
	heads, group                  op.Mem        // what is left of them
}

// fetched is the number of rows that are met together.
const fetched = 4

func newKeyRows(l lanes, t floatType, rows string) *keyRows {
	k := &keyRows{l: l, t: t, rows: gp(rows), stride: gp("rowBytes"), stride3: asm.GP64(), vector: gp("steps"),
		p: asm.GP64(), head: asm.GP64(), ahead: asm.GP64(), n: asm.GP64()}
	locals := asm.AllocLocal(16)
	k.heads, k.group = locals, locals.Offset(8)
	asm.LEAQ(op.Mem{Base: k.stride, Index: k.stride, Scale: 2}, k.stride3)
	asm.SHLQ(op.Imm(6), k.vector)
	return k
}

// row returns the memory at disp of row i from p on.
func (k *keyRows) row(p reg.GPVirtual, i, disp int) op.Mem {
	m := op.Mem{Base: p, Disp: disp}
	switch i {
	case 1, 2:
		m.Index, m.Scale = k.stride, uint8(i)
	case 3:
		m.Index, m.Scale = k.stride3, 1
	}
	return m
}

// fetch lets the rows behind these be fetched, or those from next on if left, in memory, is at most rows.
func (k *keyRows) fetch(left op.Mem, rows int) {
	asm.LEAQ(op.Mem{Base: k.rows, Index: k.stride, Scale: 4}, k.ahead)
	asm.CMPQ(left, op.Imm(uint64(rows)))
	t := asm.GP64()
	asm.Load(asm.Param("next"), t)
	asm.CMOVQLE(t, k.ahead)
	asm.SUBQ(k.rows, k.ahead)
}

// each writes the loops over heads and queries: body for two queries at once where it can, if pairs, else for one.
func (k *keyRows) each(name string, pairs bool, body func(name string, queries int)) {
	t := asm.GP64()
	asm.Load(asm.Param("heads"), t)
	asm.MOVQ(t, k.heads)
	asm.MOVQ(k.rows, k.head)
	asm.Label(name + "head")
	asm.Load(asm.Param("group"), t)
	asm.MOVQ(t, k.group)
	if pairs {
		asm.SUBQ(op.Imm(2), k.group)
		asm.JLT(op.LabelRef(name + "last"))
		asm.Label(name + "pair")
		body(name+"2", 2)
		asm.SUBQ(op.Imm(2), k.group)
		asm.JGE(op.LabelRef(name + "pair"))
		asm.Label(name + "last")
		asm.ADDQ(op.Imm(2), k.group)
		asm.JZ(op.LabelRef(name + "next"))
		body(name+"1", 1)
		asm.Label(name + "next")
	} else {
		asm.Label(name + "query")
		body(name+"1", 1)
		asm.DECQ(k.group)
		asm.JNZ(op.LabelRef(name + "query"))
	}
	asm.MOVQ(k.p, k.head)
	asm.DECQ(k.heads)
	asm.JNZ(op.LabelRef(name + "head"))
}

// steps writes the loop over 16 elements of the rows.
func (k *keyRows) steps(label string, body func()) {
	asm.MOVQ(k.head, k.p)
	asm.Load(asm.Param("steps"), k.n)
	asm.Label(label)
	body()
	asm.ADDQ(op.Imm(uint64(16*k.t.size)), k.p)
	asm.DECQ(k.n)
	asm.JNZ(op.LabelRef(label))
}

// prefetch asks for what lies ahead of the current step.
func (k *keyRows) prefetch() {
	t := asm.GP64()
	asm.LEAQ(op.Mem{Base: k.p, Index: k.ahead, Scale: 1}, t)
	for i := range fetched {
		asm.PREFETCHT0(k.row(t, i, 0))
	}
}

// rowScores writes the products of rows of keys with the queries of their heads.
func rowScores(l lanes, t floatType) {
	begin("rowScores"+t.name+l.level,
		"func(out *float32, outBytes int, keys *byte, rowBytes, quads, heads, group, steps int, q *float32, next *byte)", "is dotF32Row",
		"for 4*quads rows of keys, rowBytes bytes apart: heads heads of 16*steps elements of type "+t.name+", each of which meets group",
		"queries. Queries lie one behind the other, and their results are outBytes bytes apart. The rows from next on are",
		"fetched. All counts must be positive.")
	out, q, o := gp("out"), asm.GP64(), asm.GP64()
	k := newKeyRows(l, t, "keys")
	left := asm.AllocLocal(8)
	tmp := asm.GP64()
	asm.Load(asm.Param("quads"), tmp)
	asm.MOVQ(tmp, left)
	parts := 16 / l.n
	asm.Label("quad")
	k.fetch(left, 1)
	asm.Load(asm.Param("q"), q)
	asm.MOVQ(out, o)
	k.each("", l.wide, func(name string, queries int) {
		var acc [2][fetched][2]reg.VecVirtual
		for c := range queries {
			for r := range fetched {
				for h := range parts {
					acc[c][r][h] = l.vec()
					l.zero(acc[c][r][h])
				}
			}
		}
		k.steps("step"+name, func() {
			k.prefetch()
			for h := range parts {
				var qs [2]reg.VecVirtual
				for c := range queries {
					qs[c] = l.vec()
					m := at(q, h*l.bytes())
					if c > 0 {
						m.Index, m.Scale = k.vector, 1
					}
					asm.VMOVUPS(m, qs[c])
				}
				for r := range fetched {
					m := k.row(k.p, r, h*l.n*t.size)
					if t == f32 && queries == 1 {
						asm.VFMADD231PS(m, qs[0], acc[0][r][h])
						continue
					}
					w := l.vec()
					l.load(t, m, w)
					for c := range queries {
						asm.VFMADD231PS(w, qs[c], acc[c][r][h])
					}
				}
			}
			asm.ADDQ(op.Imm(64), q)
		})
		outBytes := asm.GP64()
		asm.Load(asm.Param("outBytes"), outBytes)
		for c := range queries {
			var s [fetched]reg.VecVirtual
			for r := range s {
				a := acc[c][r]
				if l.wide {
					s[r] = asm.YMM()
					asm.VEXTRACTF64X4(op.Imm(1), a[0], s[r])
					asm.VADDPS(s[r], a[0].AsY(), s[r])
				} else {
					s[r] = a[0]
					asm.VADDPS(a[1], s[r], s[r])
				}
			}
			asm.VMOVUPS(fold16(s, l.wide), at(o, 0))
			asm.ADDQ(outBytes, o)
			if c > 0 {
				asm.ADDQ(k.vector, q)
			}
		}
	})
	asm.ADDQ(op.Imm(16), out)
	asm.LEAQ(op.Mem{Base: k.rows, Index: k.stride, Scale: 4}, k.rows)
	asm.DECQ(left)
	asm.JNZ(op.LabelRef("quad"))
	end()
}

// rowValues writes the weighted sums of rows of values.
func rowValues(l lanes, t floatType) {
	begin("rowValues"+t.name+l.level,
		"func(out *float32, values *byte, rowBytes, n, heads, group, steps int, weights *float32, weightBytes int, next *byte)", "is addRow",
		"for n rows of values, rowBytes bytes apart: heads heads of 16*steps elements of type "+t.name+", each of which is added to",
		"group results. Results lie one behind the other, and their weights are weightBytes bytes apart. The rows from next on",
		"are fetched. All counts must be positive.")
	weights, o, w := gp("weights"), asm.GP64(), asm.GP64()
	k := newKeyRows(l, t, "values")
	left := asm.AllocLocal(8)
	tmp := asm.GP64()
	asm.Load(asm.Param("n"), tmp)
	asm.MOVQ(tmp, left)
	parts := 16 / l.n
	pass := func(rows int) {
		asm.Load(asm.Param("out"), o)
		asm.MOVQ(weights, w)
		k.each(fmt.Sprintf("rows%d", rows), l.wide, func(name string, queries int) {
			weightBytes := asm.GP64()
			asm.Load(asm.Param("weightBytes"), weightBytes)
			var b [2][fetched]reg.VecVirtual
			for c := range queries {
				for r := range rows {
					b[c][r] = l.vec()
					asm.VBROADCASTSS(at(w, 4*r), b[c][r])
				}
				asm.ADDQ(weightBytes, w)
			}
			k.steps("step"+name, func() {
				if rows > 1 {
					k.prefetch()
				}
				for h := range parts {
					var vs [fetched]reg.VecVirtual
					for r := range rows {
						vs[r] = l.vec()
						l.load(t, k.row(k.p, r, h*l.n*t.size), vs[r])
					}
					for c := range queries {
						m := at(o, h*l.bytes())
						if c > 0 {
							m.Index, m.Scale = k.vector, 1
						}
						acc := l.vec()
						asm.VMOVUPS(m, acc)
						for r := range rows {
							asm.VFMADD231PS(vs[r], b[c][r], acc)
						}
						asm.VMOVUPS(acc, m)
					}
				}
				asm.ADDQ(op.Imm(64), o)
			})
			if queries > 1 {
				asm.ADDQ(k.vector, o)
			}
		})
		asm.ADDQ(op.Imm(uint64(4*rows)), weights)
	}
	asm.SUBQ(op.Imm(fetched), left)
	asm.JLT(op.LabelRef("rest"))
	asm.Label("quad")
	k.fetch(left, fetched-1)
	pass(fetched)
	asm.LEAQ(op.Mem{Base: k.rows, Index: k.stride, Scale: 4}, k.rows)
	asm.SUBQ(op.Imm(fetched), left)
	asm.JGE(op.LabelRef("quad"))
	asm.Label("rest")
	asm.ADDQ(op.Imm(fetched), left)
	asm.JZ(op.LabelRef("done"))
	asm.Label("one")
	pass(1)
	asm.ADDQ(k.stride, k.rows)
	asm.DECQ(left)
	asm.JNZ(op.LabelRef("one"))
	asm.Label("done")
	end()
}
