package exec

import (
	"math/bits"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// vop describes a vector operation lane by lane. Exactly one kernel is set; its
// arity is that of the instruction. Kernels compute all lanes, may be called
// with d equal to a source, and ignore the upper half of 16-bit sources.
type vop struct {
	k1     func(d, a *vec)
	k2     func(d, a, b *vec)
	k3     func(d, a, b, c *vec)
	src16  uint8 // sources (bit 0..2) that are 16 bits wide
	dst16  bool  // the result is 16 bits wide and the other half of the register stays
	f32    bool  // inputs and result follow the f32 denormal mode; clamp and omod are float
	ints   uint8 // f32 operations: sources (bit 0..2) and result (bit 3) that are integers
	acc    bool  // the destination is the last source
	clampI func(d, a, b *vec)
}

type srcKind uint8

const (
	fromVGPR srcKind = iota
	fromConst
	fromSGPR
)

// vsrc is a resolved vector source.
type vsrc struct {
	kind srcKind
	reg  uint8
	idx  uint16 // scalar file index
	con  *vec
}

// vec returns the lanes of a source; scalars are spread into a temporary.
func (w *wave) vec(s *vsrc, slot int) *vec {
	switch s.kind {
	case fromVGPR:
		return &w.v[s.reg]
	case fromConst:
		return s.con
	}
	t := &w.tmp[slot]
	splat(t, w.s[s.idx])
	return t
}

func splat(t *vec, x uint32) {
	for i := range t {
		t[i] = x
	}
}

// valu is a compiled vector instruction.
type valu struct {
	op       vop
	n        int
	d        uint8
	src      [3]vsrc
	neg, abs uint8
	opsel    uint8
	clamp    bool
	omod     uint8
	dpp      *decode.DPP
}

// plain reports whether the fast path applies.
func (v *valu) plain() bool {
	return v.neg|v.abs == 0 && v.opsel == 0 && !v.clamp && v.omod == 0 && v.dpp == nil && !v.op.dst16
}

// closure returns the fastest executor for the instruction.
func (v *valu) closure() opFunc {
	if !v.plain() {
		return v.slow
	}
	d, op := v.d, v.op
	s0, s1, s2 := v.src[0], v.src[1], v.src[2]
	if op.f32 { // the mode may ask for flushing
		fast := (&valu{op: vop{k1: op.k1, k2: op.k2, k3: op.k3}, n: v.n, d: v.d, src: v.src}).closure()
		return func(w *wave) {
			if w.mode&(denorm32In|denorm32Out) == denorm32In|denorm32Out {
				fast(w)
				return
			}
			v.slow(w)
		}
	}
	switch v.n {
	case 1:
		k := op.k1
		return func(w *wave) {
			a := w.vec(&s0, 0)
			if e := w.exec(); e != fullExec {
				o := &w.tmp[3]
				k(o, a)
				blend(&w.v[d], o, e)
				return
			}
			k(&w.v[d], a)
		}
	case 2:
		k := op.k2
		if s0.kind == fromVGPR && s1.kind == fromVGPR {
			r0, r1 := s0.reg, s1.reg
			return func(w *wave) {
				if e := w.exec(); e != fullExec {
					o := &w.tmp[3]
					k(o, &w.v[r0], &w.v[r1])
					blend(&w.v[d], o, e)
					return
				}
				k(&w.v[d], &w.v[r0], &w.v[r1])
			}
		}
		return func(w *wave) {
			a, b := w.vec(&s0, 0), w.vec(&s1, 1)
			if e := w.exec(); e != fullExec {
				o := &w.tmp[3]
				k(o, a, b)
				blend(&w.v[d], o, e)
				return
			}
			k(&w.v[d], a, b)
		}
	}
	k := op.k3
	return func(w *wave) {
		a, b, c := w.vec(&s0, 0), w.vec(&s1, 1), w.vec(&s2, 2)
		if e := w.exec(); e != fullExec {
			o := &w.tmp[3]
			k(o, a, b, c)
			blend(&w.v[d], o, e)
			return
		}
		k(&w.v[d], a, b, c)
	}
}

// slow handles DPP, modifiers, 16-bit results and flushed denormals.
func (v *valu) slow(w *wave) {
	mask := w.exec()
	o := &w.tmp[3]
	if !v.compute(w, o, &mask) {
		return
	}
	d := &w.v[v.d]
	if v.op.dst16 {
		if v.opsel&8 != 0 {
			for i := range o {
				o[i] = o[i]<<16 | d[i]&0xffff
			}
		} else {
			for i := range o {
				o[i] = o[i]&0xffff | d[i]&^0xffff
			}
		}
	}
	blend(d, o, mask)
}

// compute evaluates the instruction into o and removes from mask the lanes that
// DPP disables.
func (v *valu) compute(w *wave, o *vec, mask *uint32) bool {
	var in [3]*vec
	for k := 0; k < v.n; k++ {
		in[k] = w.vec(&v.src[k], k)
	}
	if v.dpp != nil {
		in[0] = w.permute(v.dpp, in[0], &w.tmp[0], mask)
	}
	for k := 0; k < v.n; k++ {
		bit := uint8(1) << k
		half := v.op.src16&bit != 0
		if (v.neg|v.abs|v.opsel)&bit != 0 {
			in[k] = modify(&w.tmp[k], in[k], half, v.opsel&bit != 0, v.neg&bit != 0, v.abs&bit != 0)
		}
		if v.op.f32 && !half && v.op.ints&bit == 0 && w.mode&denorm32In == 0 {
			t := &w.tmp[k]
			for i, x := range in[k] {
				t[i] = flush32(x)
			}
			in[k] = t
		}
	}
	switch {
	case v.clamp && v.op.clampI != nil:
		v.op.clampI(o, in[0], in[1])
		return true
	case v.n == 1:
		v.op.k1(o, in[0])
	case v.n == 2:
		v.op.k2(o, in[0], in[1])
	default:
		v.op.k3(o, in[0], in[1], in[2])
	}
	if v.op.f32 && !v.op.dst16 && v.op.ints&8 == 0 && w.mode&denorm32Out == 0 {
		for i, x := range o {
			o[i] = flush32(x)
		}
	}
	if v.omod != 0 {
		v.scale(o)
	}
	if v.clamp {
		v.saturate(w, o)
	}
	return true
}

// modify applies half selection, absolute value and negation.
func modify(t, a *vec, half, hi, neg, abs bool) *vec {
	sign := uint32(1) << 31
	if half {
		sign = 1 << 15
	}
	shift, keep, flip := uint32(0), ^uint32(0), uint32(0)
	if half && hi {
		shift = 16
	}
	if abs {
		keep = ^sign
	}
	if neg {
		flip = sign
	}
	for i, x := range a {
		t[i] = x>>(shift&31)&keep ^ flip
	}
	return t
}

// scale applies the output modifier.
func (v *valu) scale(o *vec) {
	m := [...]float32{1, 2, 4, 0.5}[v.omod]
	if v.op.dst16 {
		for i, x := range o {
			o[i] = uint32(f32ToF16(f16Table[uint16(x)] * m))
		}
		return
	}
	for i, x := range o.f32() {
		o.f32()[i] = x * m
	}
}

// saturate clamps to 0..1; NaN becomes 0 in DX10 mode and stays otherwise.
func (v *valu) saturate(w *wave, o *vec) {
	clamp := func(x float32) float32 {
		switch {
		case x != x:
			if w.dx10 {
				return 0
			}
			return x
		case x <= 0:
			return 0
		case x > 1:
			return 1
		}
		return x
	}
	if v.op.dst16 {
		for i, x := range o {
			o[i] = uint32(f32ToF16(clamp(f16Table[uint16(x)])))
		}
		return
	}
	f := o.f32()
	for i, x := range f {
		f[i] = clamp(x)
	}
}

// permute gathers the DPP source lanes into t. Lanes whose source is invalid
// read 0 or are removed from mask, depending on bound_ctrl; inactive source
// lanes are invalid unless FI is set.
func (w *wave) permute(p *decode.DPP, a, t *vec, mask *uint32) *vec {
	e := w.exec()
	src := *a // a copy: t may be a
	if p.Kind == decode.DPP8 {
		for i := range t {
			k := i&^7 | int(p.Lanes[i&7])
			if p.FI || e>>k&1 != 0 {
				t[i] = src[k]
			} else {
				t[i] = 0
			}
		}
		return t
	}
	var enable uint32
	for i := range t {
		k := dppLane(p.Ctrl, i)
		valid := k >= 0 && (p.FI || e>>k&1 != 0)
		t[i] = 0
		if valid {
			t[i] = src[k]
		}
		if (valid || p.BoundCtrl) && p.RowMask>>(i>>4)&1 != 0 && p.BankMask>>(i>>2&3)&1 != 0 {
			enable |= 1 << i
		}
	}
	*mask &= enable
	return t
}

// dppLane returns the lane that lane i reads under a DPP16 control, or -1.
func dppLane(ctrl uint16, i int) int {
	row, n, k := i&^15, int(ctrl&15), i&15
	switch {
	case ctrl <= 0xff: // quad_perm
		return i&^3 | int(ctrl>>(2*(i&3))&3)
	case ctrl < 0x110: // row_shl
		if k+n > 15 {
			return -1
		}
		return row | (k + n)
	case ctrl < 0x120: // row_shr
		if k < n {
			return -1
		}
		return row | (k - n)
	case ctrl < 0x130: // row_ror
		return row | (k-n)&15
	case ctrl == 0x140: // row_mirror
		return row | 15 - k
	case ctrl == 0x141: // row_half_mirror
		return row | k&8 | 7 - k&7
	case ctrl < 0x160: // row_share
		return row | n
	}
	return row | k ^ n // row_xmask
}

// activeLanes calls f for every lane of mask.
func activeLanes(mask uint32, f func(i int)) {
	for m := mask; m != 0; m &= m - 1 {
		f(bits.TrailingZeros32(m))
	}
}
