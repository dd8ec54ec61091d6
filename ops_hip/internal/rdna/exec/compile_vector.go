package exec

import (
	"math"
	"strings"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// compileCompare compiles v_cmp (mask to a scalar) and v_cmpx (mask to EXEC).
func (c *compiler) compileCompare(i *decode.Inst) (opFunc, error) {
	d := uint16(execIdx)
	name, isX := strings.CutPrefix(i.Name, "v_cmpx_")
	if !isX {
		name = strings.TrimPrefix(i.Name, "v_cmp_")
		d = c.scalarDst(i.Find('D'))
	}
	src := sources(i)
	if src[0].Width == 2 {
		f := compare64(name)
		if f == nil {
			return nil, errUnsupported
		}
		a, err := c.wide(src[0])
		if err != nil {
			return nil, err
		}
		b, err := c.wide(src[1])
		if err != nil {
			return nil, err
		}
		return func(w *wave) {
			var r uint32
			activeLanes(w.exec(), func(k int) { r |= b2u(f(a.lane(w, k), b.lane(w, k))) << k })
			w.s[d] = r
		}, nil
	}
	f, src16 := compare16or32(name)
	if f == nil {
		return nil, errUnsupported
	}
	float := strings.HasSuffix(name, "f32")
	op := vop{src16: src16, f32: float, k2: func(_, _, _ *vec) {}}
	if strings.HasPrefix(name, "class_") {
		op.ints = 2 // the second source is a set of classes
	}
	v, err := c.vectorNoDst(i, op)
	if err != nil {
		return nil, err
	}
	if v.plain() {
		a, b := v.src[0], v.src[1]
		return func(w *wave) {
			if float && w.mode&denorm32In == 0 {
				w.s[d] = v.compareSlow(w, f)
				return
			}
			w.s[d] = f(w.vec(&a, 0), w.vec(&b, 1)) & w.exec()
		}, nil
	}
	return func(w *wave) { w.s[d] = v.compareSlow(w, f) }, nil
}

// compareSlow compares with DPP, modifiers and flushing. Lanes that DPP disables
// give 0.
func (v *valu) compareSlow(w *wave, f compare) uint32 {
	var r uint32
	run := *v
	run.op.k2 = func(_, a, b *vec) { r = f(a, b) }
	mask := w.exec()
	run.compute(w, &w.tmp[3], &mask)
	return r & mask
}

// vectorNoDst is vector for instructions whose destination is no VGPR.
func (c *compiler) vectorNoDst(i *decode.Inst, op vop) (*valu, error) {
	j := *i
	j.Operands = append([]decode.Operand{{Field: 'D', Kind: decode.VGPR, Width: 1}}, sourcesOf(i)...)
	j.Clamp = false
	return c.vector(&j, op)
}

func sourcesOf(i *decode.Inst) (s []decode.Operand) {
	for _, o := range sources(i) {
		s = append(s, *o)
	}
	return s
}

// wideSrc is a source read lane by lane with one or two dwords.
type wideSrc struct {
	lo, hi   vsrc
	two      bool
	neg, abs bool
}

func (c *compiler) wide(o *decode.Operand) (wideSrc, error) {
	s := wideSrc{two: o.Width == 2, neg: o.Neg, abs: o.Abs}
	if !s.two {
		s.lo = c.source(o)
		return s, nil
	}
	if o.Kind == decode.VGPR {
		s.lo, s.hi = vsrc{kind: fromVGPR, reg: uint8(o.Code)}, vsrc{kind: fromVGPR, reg: uint8(o.Code + 1)}
		return s, nil
	}
	k, err := c.scalarIdx(o)
	s.lo, s.hi = vsrc{kind: fromSGPR, idx: k}, vsrc{kind: fromSGPR, idx: k + 1}
	return s, err
}

func (v *vsrc) lane(w *wave, k int) uint32 {
	switch v.kind {
	case fromVGPR:
		return w.v[v.reg][k]
	case fromConst:
		return v.con[k]
	}
	return w.s[v.idx]
}

func (s *wideSrc) lane(w *wave, k int) uint64 {
	x := uint64(s.lo.lane(w, k))
	sign := uint64(1) << 31
	if s.two {
		x |= uint64(s.hi.lane(w, k)) << 32
		sign = 1 << 63
	}
	if s.abs {
		x &^= sign
	}
	if s.neg {
		x ^= sign
	}
	return x
}

// wideSources resolves up to three sources.
func (c *compiler) wideSources(i *decode.Inst) (s [3]wideSrc, n int, err error) {
	if i.DPP.Kind != decode.NoDPP {
		return s, 0, errUnsupported
	}
	for _, o := range sources(i) {
		if s[n], err = c.wide(o); err != nil {
			return s, n, err
		}
		n++
	}
	return s, n, nil
}

// compileWide compiles an operation with 64-bit operands.
func (c *compiler) compileWide(i *decode.Inst, op wideOp) (opFunc, error) {
	s, n, err := c.wideSources(i)
	if err != nil {
		return nil, err
	}
	d, two := uint8(i.Find('D').Code), i.Find('D').Width == 2
	clamp, omod := i.Clamp, i.Omod
	f32Out := strings.HasPrefix(i.Name, "v_cvt_f32_f64")
	f32In := i.Name == "v_cvt_f64_f32"
	if (clamp || omod != 0) && !two {
		return nil, errUnsupported
	}
	return func(w *wave) {
		activeLanes(w.exec(), func(k int) {
			var x [3]uint64
			for j := 0; j < n; j++ {
				x[j] = s[j].lane(w, k)
			}
			if f32In && w.mode&denorm32In == 0 {
				x[0] = uint64(flush32(uint32(x[0])))
			}
			r := op(x[0], x[1], x[2])
			if clamp || omod != 0 {
				r = finish64(w, r, clamp, omod)
			}
			if f32Out && w.mode&denorm32Out == 0 {
				r = uint64(flush32(uint32(r)))
			}
			w.v[d][k] = uint32(r)
			if two {
				w.v[d+1][k] = uint32(r >> 32)
			}
		})
	}, nil
}

// finish64 applies output modifier and clamp to binary64.
func finish64(w *wave, r uint64, clamp bool, omod uint8) uint64 {
	f := math.Float64frombits(r) * [...]float64{1, 2, 4, 0.5}[omod]
	if clamp {
		if f != f && w.dx10 {
			f = 0
		} else if f == f {
			f = max(0, min(f, 1))
		}
	}
	return math.Float64bits(f)
}

// compileCndmask compiles v_cndmask_b32: source 1 where the mask is set.
func (c *compiler) compileCndmask(i *decode.Inst) (opFunc, error) {
	mask := uint16(vccIdx)
	if o := i.Find('2'); o != nil {
		var err error
		if mask, err = c.scalarIdx(o); err != nil {
			return nil, err
		}
	}
	j := *i
	j.Operands = nil
	for _, o := range i.Operands {
		if o.Field != '2' {
			j.Operands = append(j.Operands, o)
		}
	}
	op := vop{}
	if i.Name == "v_cndmask_b16" {
		op.src16, op.dst16 = 3, true
	}
	op.k2 = func(_, _, _ *vec) {}
	v, err := c.vector(&j, op)
	if err != nil {
		return nil, err
	}
	if v.plain() {
		d, a, b := v.d, v.src[0], v.src[1]
		return func(w *wave) {
			x, y, m := w.vec(&a, 0), w.vec(&b, 1), w.s[mask]
			e := w.exec()
			o := &w.v[d]
			if e != fullExec {
				o = &w.tmp[3]
			}
			for k := range o {
				s := -(m & 1)
				m >>= 1
				o[k] = x[k]&^s | y[k]&s
			}
			if e != fullExec {
				blend(&w.v[d], o, e)
			}
		}, nil
	}
	return func(w *wave) {
		run, m := *v, w.s[mask]
		run.op.k2 = func(o, x, y *vec) {
			for k := range o {
				s := -(m >> k & 1)
				o[k] = x[k]&^s | y[k]&s
			}
		}
		run.slow(w)
	}, nil
}

// carryOps are additions and subtractions with carry; the result mask holds the
// carry out of each lane.
var carryOps = map[string]func(d, a, b *vec, in uint32) uint32{
	"v_add_co_u32":       addCarry,
	"v_add_co_ci_u32":    addCarry,
	"v_sub_co_u32":       subCarry,
	"v_sub_co_ci_u32":    subCarry,
	"v_subrev_co_u32":    func(d, a, b *vec, in uint32) uint32 { return subCarry(d, b, a, in) },
	"v_subrev_co_ci_u32": func(d, a, b *vec, in uint32) uint32 { return subCarry(d, b, a, in) },
}

func addCarry(d, a, b *vec, in uint32) (out uint32) {
	if in == 0 {
		for k, x := range a {
			s := x + b[k]
			d[k] = s
			out = out>>1 | b2u(s < x)<<31 // after 32 lanes the carry of lane k is bit k
		}
		return out
	}
	for k, x := range a {
		s := uint64(x) + uint64(b[k]) + uint64(in&1)
		in >>= 1
		d[k] = uint32(s)
		out = out>>1 | uint32(s>>32)<<31
	}
	return out
}

func subCarry(d, a, b *vec, in uint32) (out uint32) {
	for k, x := range a {
		s := uint64(x) - uint64(b[k]) - uint64(in&1)
		in >>= 1
		d[k] = uint32(s)
		out = out>>1 | uint32(s>>63)<<31
	}
	return out
}

func (c *compiler) compileCarry(i *decode.Inst, f func(d, a, b *vec, in uint32) uint32) (opFunc, error) {
	if i.DPP.Kind != decode.NoDPP || i.Clamp {
		return nil, errUnsupported
	}
	a, b := c.source(i.Find('0')), c.source(i.Find('1'))
	d, out := uint8(i.Find('D').Code), c.scalarDst(i.Find('S'))
	in := c.prog.constant(0)
	if o := i.Find('2'); o != nil {
		var err error
		if in, err = c.scalarIdx(o); err != nil {
			return nil, err
		}
	}
	return func(w *wave) {
		e := w.exec()
		x, y := w.vec(&a, 0), w.vec(&b, 1)
		if e == fullExec {
			w.s[out] = f(&w.v[d], x, y, w.s[in])
			return
		}
		o := &w.tmp[3]
		carry := f(o, x, y, w.s[in])
		blend(&w.v[d], o, e)
		w.s[out] = carry & e
	}, nil
}
