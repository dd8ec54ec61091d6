package exec

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// compileSpecial compiles vector instructions that are not lane-by-lane
// functions of VGPR sources.
func (c *compiler) compileSpecial(i *decode.Inst) (opFunc, error) {
	name := i.Name
	switch name { // GFX12 renamed these
	case "v_mad_co_u64_u32":
		name = "v_mad_u64_u32"
	case "v_mad_co_i64_i32":
		name = "v_mad_i64_i32"
	}
	if f, ok := carryOps[name]; ok {
		return c.compileCarry(i, f)
	}
	if f, ok := wideCarry[name]; ok {
		return c.compileWideCarry(i, f)
	}
	switch name {
	case "v_cndmask_b32", "v_cndmask_b16":
		return c.compileCndmask(i)
	case "v_readfirstlane_b32":
		a, d := c.source(i.Find('0')), c.scalarDst(i.Find('D'))
		return func(w *wave) {
			k := 0
			if e := w.exec(); e != 0 {
				k = bits.TrailingZeros32(e)
			}
			w.s[d] = a.lane(w, k)
		}, nil
	case "v_readlane_b32":
		a, d := c.source(i.Find('0')), c.scalarDst(i.Find('D'))
		l, err := c.scalarIdx(i.Find('1'))
		return func(w *wave) { w.s[d] = a.lane(w, int(w.s[l]&31)) }, err
	case "v_writelane_b32":
		d := uint8(i.Find('D').Code)
		a, err := c.scalarIdx(i.Find('0'))
		if err != nil {
			return nil, err
		}
		l, err := c.scalarIdx(i.Find('1'))
		return func(w *wave) { w.v[d][w.s[l]&31] = w.s[a] }, err
	case "v_permlane16_b32", "v_permlanex16_b32":
		return c.compilePermlane(i, name == "v_permlanex16_b32", false), nil
	case "v_permlane16_var_b32", "v_permlanex16_var_b32":
		return c.compilePermlane(i, name == "v_permlanex16_var_b32", true), nil
	case "v_swap_b32":
		d, a := uint8(i.Find('D').Code), uint8(i.Find('0').Code)
		return func(w *wave) {
			old := w.v[d]
			blend(&w.v[d], &w.v[a], w.exec())
			blend(&w.v[a], &old, w.exec())
		}, nil
	case "v_mbcnt_lo_u32_b32":
		return c.compileMbcnt(i)
	case "v_mbcnt_hi_u32_b32": // no lane of wave32 has a lane 32 or above below it
		b, d := c.source(i.Find('1')), uint8(i.Find('D').Code)
		return func(w *wave) { blend(&w.v[d], w.vec(&b, 0), w.exec()) }, nil
	case "v_div_scale_f32", "v_div_scale_f64":
		return c.compileDivScale(i)
	case "v_div_fmas_f32", "v_div_fmas_f64":
		return c.compileDivFmas(i)
	case "v_dot2acc_f32_f16", "v_dot2c_f32_f16":
		v, err := c.vector(i, dot2acc("v_dot2acc_f32_f16"))
		if err != nil {
			return nil, err
		}
		return v.closure(), nil
	case "v_pk_fmac_f16":
		return c.compilePackedFMAC(i)
	case "v_dot2_f16_f16", "v_dot2_bf16_bf16":
		return c.compileDot2Half(i)
	case "v_movrels_b32", "v_movreld_b32":
		return nil, fmt.Errorf("register indexing through M0 has no executor")
	}
	return c.compileScalarTrans(i)
}

// compileScalarTrans compiles the v_s_* instructions of GFX12: transcendental
// functions of scalars.
func (c *compiler) compileScalarTrans(i *decode.Inst) (opFunc, error) {
	if len(i.Name) < 4 || i.Name[:4] != "v_s_" {
		return nil, errUnsupported
	}
	op, ok := vectorOp("v_" + i.Name[4:])
	if !ok || i.Clamp || i.Omod != 0 {
		return nil, errUnsupported
	}
	o := i.Find('0')
	a, err := c.scalarIdx(o)
	d := c.scalarDst(i.Find('D'))
	neg, abs := o.Neg, o.Abs
	half := op.src16 != 0
	return func(w *wave) {
		var x, r vec
		x[0] = w.s[a]
		modify(&x, &x, half, false, neg, abs)
		op.k1(&r, &x)
		w.s[d] = r[0]
	}, err
}

// dot2acc is the two-operand dot product that adds onto its destination.
func dot2acc(name string) vop {
	conv := halfToF32
	if name == "v_dot2acc_f32_bf16" {
		conv = bf16ToF32
	}
	return vop{acc: true, k3: func(d, a, b, c *vec) { dot2(d, a, b, c, conv) }}
}

func (c *compiler) compileMbcnt(i *decode.Inst) (opFunc, error) {
	a, b, d := c.source(i.Find('0')), c.source(i.Find('1')), uint8(i.Find('D').Code)
	return func(w *wave) {
		x, y, o := w.vec(&a, 0), w.vec(&b, 1), &w.tmp[3]
		for k := range o {
			o[k] = uint32(bits.OnesCount32(x[k]&(1<<k-1))) + y[k]
		}
		blend(&w.v[d], o, w.exec())
	}, nil
}

func (c *compiler) compileWideCarry(i *decode.Inst, f func(a, b uint32, c uint64) (uint64, bool)) (opFunc, error) {
	s, _, err := c.wideSources(i)
	if err != nil || i.Clamp {
		return nil, errUnsupported
	}
	d, out := uint8(i.Find('D').Code), c.scalarDst(i.Find('S'))
	return func(w *wave) {
		var carry uint32
		for e := w.exec(); e != 0; e &= e - 1 {
			k := bits.TrailingZeros32(e)
			r, cy := f(s[0].lo.lane(w, k), s[1].lo.lane(w, k), s[2].lane(w, k))
			w.v[d][k], w.v[d+1][k] = uint32(r), uint32(r>>32)
			carry |= b2u(cy) << k
		}
		w.s[out] = carry
	}, nil
}

func (c *compiler) compileDivScale(i *decode.Inst) (opFunc, error) {
	s, _, err := c.wideSources(i)
	if err != nil {
		return nil, err
	}
	d, out, two := uint8(i.Find('D').Code), c.scalarDst(i.Find('S')), i.Find('D').Width == 2
	return func(w *wave) {
		var flags uint32
		activeLanes(w.exec(), func(k int) {
			x, den, num := s[0].lane(w, k), s[1].lane(w, k), s[2].lane(w, k)
			var scaled bool
			if two {
				x, scaled = divScale64(x, den, num)
				w.setLane64(d, k, 8, x)
			} else {
				w.v[d][k], scaled = divScale32(uint32(x), uint32(den), uint32(num))
			}
			flags |= b2u(scaled) << k
		})
		w.s[out] = flags
	}, nil
}

func (c *compiler) compileDivFmas(i *decode.Inst) (opFunc, error) {
	s, _, err := c.wideSources(i)
	if err != nil {
		return nil, err
	}
	d, two := uint8(i.Find('D').Code), i.Find('D').Width == 2
	return func(w *wave) {
		vcc := w.s[vccIdx]
		activeLanes(w.exec(), func(k int) {
			a, b, x := s[0].lane(w, k), s[1].lane(w, k), s[2].lane(w, k)
			if two {
				w.setLane64(d, k, 8, divFmas64(a, b, x, vcc>>k&1 != 0))
			} else {
				w.v[d][k] = divFmas32(uint32(a), uint32(b), uint32(x), vcc>>k&1 != 0)
			}
		})
	}, nil
}

// compilePackedFMAC compiles v_pk_fmac_f16, the VOP2 form without modifiers.
func (c *compiler) compilePackedFMAC(i *decode.Inst) (opFunc, error) {
	if i.DPP.Kind != decode.NoDPP {
		return nil, errUnsupported
	}
	v, err := c.vector(i, vop{acc: true, k3: func(d, a, b, x *vec) {
		for k := range d {
			lo := fma16(f16Table[uint16(a[k])], f16Table[uint16(b[k])], f16Table[uint16(x[k])])
			hi := fma16(f16Table[a[k]>>16], f16Table[b[k]>>16], f16Table[x[k]>>16])
			d[k] = uint32(lo) | uint32(hi)<<16
		}
	}})
	if err != nil {
		return nil, err
	}
	return v.closure(), nil
}

// compileDot2Half compiles the dot products with a half accumulator.
func (c *compiler) compileDot2Half(i *decode.Inst) (opFunc, error) {
	bf := i.Name == "v_dot2_bf16_bf16"
	op := vop{dst16: true, src16: 4, k3: func(d, a, b, x *vec) {
		for k := range d {
			if bf {
				s := fma32(bf16ToF32(uint16(a[k])), bf16ToF32(uint16(b[k])), bf16ToF32(uint16(x[k])))
				d[k] = uint32(f32ToBF16(fma32(bf16ToF32(uint16(a[k]>>16)), bf16ToF32(uint16(b[k]>>16)), s)))
				continue
			}
			s := fma16(f16Table[uint16(a[k])], f16Table[uint16(b[k])], f16Table[uint16(x[k])])
			d[k] = uint32(fma16(f16Table[a[k]>>16], f16Table[b[k]>>16], f16Table[s]))
		}
	}}
	if i.OpSel&3 != 0 || i.Clamp {
		return nil, errUnsupported
	}
	for _, o := range i.Operands {
		if o.Neg || o.Abs {
			return nil, errUnsupported
		}
	}
	v, err := c.vector(i, op)
	if err != nil {
		return nil, err
	}
	return v.closure(), nil
}

// compileVOP3P compiles packed, dot, mixed-precision and matrix instructions.
func (c *compiler) compileVOP3P(i *decode.Inst) (opFunc, error) {
	if shape, ok := wmmaOps[i.Name]; ok {
		return c.compileWMMA(i, shape)
	}
	if base, ok := packed[i.Name]; ok {
		return c.compilePacked(i, halfOps[base])
	}
	if k, ok := intDots[i.Name]; ok {
		return c.compileIntDot(i, k)
	}
	switch i.Name {
	case "v_fma_mix_f32", "v_fma_mixlo_f16", "v_fma_mixhi_f16":
		return c.compileMix(i)
	case "v_dot2_f32_f16":
		return c.compileDot2(i, halfToF32, false)
	case "v_dot2_f32_bf16":
		return c.compileDot2(i, bf16ToF32, true)
	}
	return nil, errUnsupported
}

// packedSource resolves a source of a packed instruction: float inline constants
// are halves in the lower half for f16 operations and f32 patterns for integer ones.
func (c *compiler) packedSource(i *decode.Inst, o *decode.Operand, half bool) vsrc {
	if o.Kind == decode.Const && half {
		p := *o
		p.Type = decode.F16
		return c.source(&p)
	}
	return c.source(o)
}

func (c *compiler) compilePacked(i *decode.Inst, op vop) (opFunc, error) {
	var src [3]vsrc
	n := 0
	name := i.Name
	float := name[len(name)-3:] == "f16"
	for _, o := range sources(i) {
		src[n] = c.packedSource(i, o, float)
		n++
	}
	lo := valu{op: op, n: n, d: 0, src: src, neg: i.NegLo, opsel: i.OpSel, clamp: i.Clamp}
	hi := lo
	hi.neg, hi.opsel = i.NegHi, i.OpSelHi
	if !float {
		lo.neg, hi.neg = 0, 0
	}
	d := uint8(i.Find('D').Code)
	if i.DPP.Kind != decode.NoDPP || i.Clamp && !float && op.clampI == nil {
		return nil, errUnsupported
	}
	return func(w *wave) {
		mask := w.exec()
		a, b := &w.tmp[8], &w.tmp[9]
		lo.compute(w, a, &mask)
		hi.compute(w, b, &mask)
		for k := range a {
			a[k] = a[k]&0xffff | b[k]<<16
		}
		blend(&w.v[d], a, mask)
	}, nil
}

func (c *compiler) compileIntDot(i *decode.Inst, k intDot) (opFunc, error) {
	a, b, x := c.source(i.Find('0')), c.source(i.Find('1')), c.source(i.Find('2'))
	sa, sb := k.signed && i.NegLo&1 != 0, k.signed && i.NegLo&2 != 0
	d, clamp := uint8(i.Find('D').Code), i.Clamp
	if i.DPP.Kind != decode.NoDPP {
		return nil, errUnsupported
	}
	return func(w *wave) {
		e := w.exec()
		o := &w.v[d]
		if e != fullExec {
			o = &w.tmp[3]
		}
		p, q, r := w.vec(&a, 0), w.vec(&b, 1), w.vec(&x, 2)
		switch {
		case clamp:
			dotClamp(o, p, q, r, k, sa, sb)
		case k.bits == 8:
			dot4(o, p, q, r, sa, sb)
		default:
			for n := range o {
				o[n] = r[n] + uint32(dotFields(p[n], q[n], k.bits, sa, sb))
			}
		}
		if e != fullExec {
			blend(&w.v[d], o, e)
		}
	}, nil
}

// compileDot2 compiles v_dot2_f32_*; op_sel picks the halves of each factor.
func (c *compiler) compileDot2(i *decode.Inst, conv func(uint16) float32, bf bool) (opFunc, error) {
	a, b, x := c.packedSource(i, i.Find('0'), !bf), c.packedSource(i, i.Find('1'), !bf), c.source(i.Find('2'))
	d := uint8(i.Find('D').Code)
	if i.OpSel&3 != 0 || i.OpSelHi&3 != 3 || (i.NegLo|i.NegHi)&3 != 0 {
		return nil, fmt.Errorf("half selection and negation of v_dot2 have no executor")
	}
	v := &valu{op: vop{f32: true, k3: func(o, p, q, r *vec) { dot2(o, p, q, r, conv) }}, n: 3, d: d,
		src:   [3]vsrc{a, b, x},
		clamp: i.Clamp, neg: i.NegLo & 4, abs: i.NegHi & 4}
	v.op.src16 = 3 // packed halves are no f32 and are never flushed
	if i.DPP.Kind != decode.NoDPP {
		v.dpp = &i.DPP
	}
	return v.closure(), nil
}

// compileMix compiles v_fma_mix*: each source is f32, or the half of a register
// that op_sel picks where op_sel_hi is set.
func (c *compiler) compileMix(i *decode.Inst) (opFunc, error) {
	var src [3]vsrc
	for n, o := range sources(i) {
		p := *o
		p.Type = decode.B32
		if i.OpSelHi>>n&1 != 0 {
			p.Type = decode.F16
		}
		src[n] = c.source(&p)
	}
	d, hiSel, sel, neg, abs := uint8(i.Find('D').Code), i.OpSelHi, i.OpSel, i.NegLo, i.NegHi
	clamp, name := i.Clamp, i.Name
	var dpp *decode.DPP
	if i.DPP.Kind != decode.NoDPP {
		dpp = &i.DPP
	}
	return func(w *wave) {
		mask := w.exec()
		var in [3]*vec
		for n := range in {
			in[n] = w.vec(&src[n], n)
			if n == 0 && dpp != nil {
				in[0] = w.permute(dpp, in[0], &w.tmp[0], &mask)
			}
			if hiSel>>n&1 == 0 && (neg|abs)>>n&1 == 0 && w.mode&denorm32In != 0 {
				continue
			}
			t := &w.tmp[n]
			for k, x := range in[n] {
				switch {
				case hiSel>>n&1 != 0:
					x = math.Float32bits(f16Table[uint16(x>>(16*(sel>>n&1)))])
				case w.mode&denorm32In == 0:
					x = flush32(x)
				}
				if abs>>n&1 != 0 {
					x &^= 1 << 31
				}
				if neg>>n&1 != 0 {
					x ^= 1 << 31
				}
				t[k] = x
			}
			in[n] = t
		}
		o := &w.tmp[3]
		fmaLanes(o, in[0], in[1], in[2])
		if clamp {
			(&valu{}).saturate(w, o)
		}
		old := &w.v[d]
		switch name {
		case "v_fma_mixlo_f16":
			for k, x := range o {
				o[k] = old[k]&^0xffff | uint32(f32ToF16(math.Float32frombits(x)))
			}
		case "v_fma_mixhi_f16":
			for k, x := range o {
				o[k] = old[k]&0xffff | uint32(f32ToF16(math.Float32frombits(x)))<<16
			}
		default:
			if w.mode&denorm32Out == 0 {
				for k, x := range o {
					o[k] = flush32(x)
				}
			}
		}
		blend(old, o, mask)
	}, nil
}
