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
	far                           op.Mem        // what the second cache is to fetch next
}

// fetched is the number of rows that are met together, and farFetched how many before them the second cache fetches
// rows, if all heads are read, in the order of memory: the first has too few fetches under way to fill the latency of
// memory, and the processor itself helps only where it sees lines follow one another.
const (
	fetched    = 4
	farShift   = 4
	farFetched = 1 << farShift
)

// most is the largest number of queries that are met together.
const most = 4

func newKeyRows(l lanes, t floatType, rows string) *keyRows {
	k := &keyRows{l: l, t: t, rows: gp(rows), stride: gp("rowBytes"), stride3: asm.GP64(), vector: gp("steps"),
		p: asm.GP64(), head: asm.GP64(), ahead: asm.GP64(), n: asm.GP64()}
	locals := asm.AllocLocal(24)
	k.heads, k.group, k.far = locals, locals.Offset(8), locals.Offset(16)
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

// fetch lets the rows behind these be fetched, and behind the last those from next on. left says how many rows there are
// from these on.
func (k *keyRows) fetch(left reg.GPVirtual) {
	next, far, past := asm.GP64(), asm.GP64(), asm.GP64()
	asm.Load(asm.Param("next"), next)
	asm.LEAQ(op.Mem{Base: k.rows, Index: k.stride, Scale: 4}, k.ahead)
	asm.CMPQ(left, op.Imm(fetched))
	asm.CMOVQLE(next, k.ahead)
	asm.SUBQ(k.rows, k.ahead)
	asm.MOVQ(k.stride, far)
	asm.SHLQ(op.Imm(farShift), far)
	asm.ADDQ(k.rows, far)
	asm.MOVQ(left, past) // rows from next on
	asm.NEGQ(past)
	asm.ADDQ(op.Imm(farFetched), past)
	asm.IMULQ(k.stride, past)
	asm.ADDQ(next, past)
	asm.CMPQ(left, op.Imm(farFetched))
	asm.CMOVQLE(past, far)
	asm.Load(asm.Param("heads"), past) // bytes of a row that are read
	asm.Load(asm.Param("steps"), next)
	asm.IMULQ(next, past)
	asm.IMUL3Q(op.U8(uint8(16*k.t.size)), past, past)
	asm.CMPQ(past, k.stride)
	asm.CMOVQNE(k.rows, far)
	asm.MOVQ(far, k.far)
}

// each writes the loops over heads and queries: body for as many queries at once as can be.
func (k *keyRows) each(name string, body func(name string, queries int)) {
	t := asm.GP64()
	asm.Load(asm.Param("heads"), t)
	asm.MOVQ(t, k.heads)
	asm.MOVQ(k.rows, k.head)
	asm.Label(name + "head")
	asm.Load(asm.Param("group"), t)
	asm.MOVQ(t, k.group)
	queries := 1
	if k.l.wide {
		queries = most
	}
	for ; queries > 0; queries /= 2 {
		label := fmt.Sprint(name, "queries", queries)
		asm.Label(label)
		asm.CMPQ(k.group, op.Imm(uint64(queries)))
		asm.JLT(op.LabelRef(label + "done"))
		body(fmt.Sprint(name, queries), queries)
		asm.SUBQ(op.Imm(uint64(queries)), k.group)
		asm.JMP(op.LabelRef(label))
		asm.Label(label + "done")
	}
	asm.MOVQ(k.p, k.head)
	asm.DECQ(k.heads)
	asm.JNZ(op.LabelRef(name + "head"))
}

// vectors returns the memory at disp of each of several vectors of a query's size, one behind the other from p on.
func (k *keyRows) vectors(p reg.GPVirtual, queries, disp int) (ms []op.Mem) {
	for c := range queries {
		if c == 2 {
			third := asm.GP64()
			asm.LEAQ(op.Mem{Base: p, Index: k.vector, Scale: 2}, third)
			p = third
		}
		m := at(p, disp)
		if c%2 == 1 {
			m.Index, m.Scale = k.vector, 1
		}
		ms = append(ms, m)
	}
	return ms
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
	asm.MOVQ(k.far, t)
	for i := 0; i < fetched*16*k.t.size; i += 64 {
		asm.PREFETCHT1(at(t, i))
	}
	asm.ADDQ(op.U32(uint32(fetched*16*k.t.size)), t)
	asm.MOVQ(t, k.far)
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
	clear := l.zero
	if l.wide { // a copy of a zero, unlike VPXORD, does not count as a use of its target
		zero := l.vec()
		l.zero(zero)
		clear = func(r op.Op) { asm.VMOVDQA64(zero, r) }
	}
	asm.Label("quad")
	rows := asm.GP64()
	asm.MOVQ(left, rows)
	asm.SHLQ(op.Imm(2), rows)
	k.fetch(rows)
	asm.Load(asm.Param("q"), q)
	asm.MOVQ(out, o)
	k.each("", func(name string, queries int) {
		var acc [most][fetched][2]reg.VecVirtual
		for c := range queries {
			for r := range fetched {
				for h := range parts {
					acc[c][r][h] = l.vec()
					clear(acc[c][r][h])
				}
			}
		}
		k.steps("step"+name, func() {
			k.prefetch()
			for h := range parts {
				var qs [most]reg.VecVirtual
				for c, m := range k.vectors(q, queries, h*l.bytes()) {
					qs[c] = l.vec()
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
				s[r] = a[0]
				if !l.wide {
					asm.VADDPS(a[1], s[r], s[r])
				}
			}
			if l.wide {
				asm.VMOVUPS(fold16Z(s), at(o, 0))
			} else {
				asm.VMOVUPS(fold16(s, false), at(o, 0))
			}
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
		k.each(fmt.Sprintf("rows%d", rows), func(name string, queries int) {
			weightBytes := asm.GP64()
			asm.Load(asm.Param("weightBytes"), weightBytes)
			var b [most][fetched]reg.VecVirtual
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
					for c, m := range k.vectors(o, queries, h*l.bytes()) {
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
			for range queries - 1 {
				asm.ADDQ(k.vector, o)
			}
		})
		asm.ADDQ(op.Imm(uint64(4*rows)), weights)
	}
	asm.SUBQ(op.Imm(fetched), left)
	asm.JLT(op.LabelRef("rest"))
	asm.Label("quad")
	all := asm.GP64()
	asm.MOVQ(left, all)
	asm.ADDQ(op.Imm(fetched), all)
	k.fetch(all)
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
