package exec

import (
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// compiler turns one instruction into a closure.
type compiler struct {
	prog *Program
	thr  *threaded
	at   int // instruction number
}

func (c *compiler) compile(i *decode.Inst) (opFunc, error) {
	switch i.Format {
	case decode.SOP1, decode.SOP2, decode.SOPC, decode.SOPK, decode.SOPP:
		if i.Name == ".long" {
			return nil, errUnsupported
		}
		return c.compileScalar(i)
	case decode.SMEM:
		name, ok := strings.CutPrefix(i.Name, "s_load_")
		if !ok {
			return nil, errUnsupported
		}
		d := i.Find('D')
		return c.compileSMEM(i, accessKinds[name], int(d.Width)), nil
	case decode.DS:
		return c.compileDS(i)
	case decode.FLAT, decode.GLOBAL, decode.SCRATCH:
		return c.compileVMEM(i)
	case decode.VOPD:
		return c.compileDual(i)
	case decode.VOP3P:
		return c.compileVOP3P(i)
	case decode.MUBUF:
		return nil, errUnsupported
	}
	return c.compileVector(i)
}

func (c *compiler) compileVMEM(i *decode.Inst) (opFunc, error) {
	if strings.Contains(i.Name, "_atomic_") {
		return c.compileAtomic(i)
	}
	m := c.vmem(i)
	_, name, _ := strings.Cut(i.Name, "_")
	if kind, ok := strings.CutPrefix(name, "load_"); ok {
		k, known := accessKinds[kind]
		if !known {
			return nil, errUnsupported
		}
		m.kind, m.reg = k, uint8(i.Find('D').Code)
		return m.loadFunc(), nil
	}
	kind, ok := strings.CutPrefix(name, "store_")
	k, known := accessKinds[kind]
	if !ok || !known {
		return nil, errUnsupported
	}
	m.kind, m.reg = k, uint8(i.Find('0').Code)
	return m.storeFunc(), nil
}

// scalarIdx returns the scalar file index of a scalar source of its width.
func (c *compiler) scalarIdx(o *decode.Operand) (uint16, error) {
	wide := o.Width == 2
	switch o.Kind {
	case decode.SGPR:
		switch {
		case o.Code == decode.SharedBase && wide:
			return c.prog.constant64(sharedAperture), nil
		case o.Code == decode.PrivateBase && wide:
			return c.prog.constant64(privateAperture), nil
		case o.Code >= decode.SharedBase && o.Code <= decode.PrivateLimit:
			return 0, fmt.Errorf("aperture register read with %d dwords", o.Width)
		case o.Code == decode.Null && wide:
			return c.prog.constant64(0), nil
		}
		return uint16(o.Code), nil
	case decode.Const:
		switch {
		case wide:
			return c.prog.constant64(o.Const64()), nil
		case o.Type == decode.F16:
			return c.prog.constant(o.ConstF16()), nil
		case o.Type != decode.B32:
			return c.prog.constant(o.ConstF16()), nil
		}
		return uint16(o.Code), nil
	case decode.Literal, decode.Imm:
		if wide {
			return c.prog.constant64(c.literal64(o.Code)), nil
		}
		return c.prog.constant(o.Code), nil
	}
	return 0, errUnsupported
}

// literal64 widens a 32-bit literal: floats keep it as the upper half, signed
// integers extend its sign.
func (c *compiler) literal64(v uint32) uint64 {
	name := c.prog.insts[c.at].Name
	switch {
	case strings.HasSuffix(name, "_f64"), strings.Contains(name, "_f64_") && !strings.HasPrefix(name, "v_cvt_f64"),
		strings.HasSuffix(name, "i32_f64"):
		return uint64(v) << 32
	case strings.HasSuffix(name, "_i64"), strings.HasSuffix(name, "i64_i32"):
		return uint64(int64(int32(v)))
	}
	return uint64(v)
}

// scalarDst returns the scalar file index of a destination; null goes to a sink.
func (c *compiler) scalarDst(o *decode.Operand) uint16 {
	if o.Code == decode.Null {
		return sinkIdx
	}
	return uint16(o.Code)
}

// source resolves a vector source of one dword.
func (c *compiler) source(o *decode.Operand) vsrc {
	switch o.Kind {
	case decode.VGPR:
		return vsrc{kind: fromVGPR, reg: uint8(o.Code)}
	case decode.SGPR:
		if o.Code == decode.Null {
			return vsrc{kind: fromConst, con: c.constVec(0)}
		}
		return vsrc{kind: fromSGPR, idx: uint16(o.Code)}
	case decode.Const:
		if o.Type != decode.B32 {
			return vsrc{kind: fromConst, con: c.constVec(o.ConstF16())}
		}
		return vsrc{kind: fromConst, con: c.constVec(o.Const32())}
	}
	return vsrc{kind: fromConst, con: c.constVec(o.Code)}
}

func (c *compiler) constVec(x uint32) *vec {
	t := new(vec)
	splat(t, x)
	return t
}

// vectorOp finds the kernel of a vector operation by base name.
func vectorOp(name string) (vop, bool) {
	if op, ok := intOps[name]; ok {
		return op, true
	}
	if op, ok := floatOps[name]; ok {
		return op, true
	}
	op, ok := halfOps[name]
	return op, ok
}

// sources lists the operands that a kernel reads, in kernel order: a literal
// stands where it is printed.
func sources(i *decode.Inst) []*decode.Operand {
	var s []*decode.Operand
	for k := range i.Operands {
		switch f := i.Operands[k].Field; f {
		case '0', '1', '2', 'L':
			s = append(s, &i.Operands[k])
		}
	}
	return s
}

// vector builds the valu of an instruction with a kernel.
func (c *compiler) vector(i *decode.Inst, op vop) (*valu, error) {
	v := &valu{op: op, d: uint8(i.Find('D').Code), clamp: i.Clamp, omod: i.Omod}
	for _, o := range sources(i) {
		if v.n == 3 {
			return nil, errUnsupported
		}
		v.src[v.n] = c.source(o)
		bit := uint8(1) << v.n
		if o.Neg {
			v.neg |= bit
		}
		if o.Abs {
			v.abs |= bit
		}
		v.n++
	}
	if op.acc {
		v.src[v.n] = vsrc{kind: fromVGPR, reg: v.d}
		v.n++
	}
	want := 1
	if op.k2 != nil {
		want = 2
	} else if op.k3 != nil {
		want = 3
	}
	if v.n != want || v.clamp && !op.f32 && op.clampI == nil && !strings.HasSuffix(i.Name, "f16") {
		return nil, errUnsupported
	}
	v.opsel = i.OpSel
	if op.acc { // op_sel of the accumulator is that of the destination
		v.opsel |= i.OpSel >> 3 << 2
	}
	if i.DPP.Kind != decode.NoDPP {
		v.dpp = &i.DPP
	}
	return v, nil
}

// compileVector compiles VOP1, VOP2, VOPC and VOP3.
func (c *compiler) compileVector(i *decode.Inst) (opFunc, error) {
	if strings.HasPrefix(i.Name, "v_cmp_") || strings.HasPrefix(i.Name, "v_cmpx_") {
		return c.compileCompare(i)
	}
	if op, ok := vectorOp(i.Name); ok {
		v, err := c.vector(i, op)
		if err != nil {
			return nil, err
		}
		if k := ieeeOps[i.Name]; k != nil && c.prog.gen != decode.GFX12 {
			q := *v
			q.op.k2 = k
			plain, ieee := v.closure(), q.closure()
			return func(w *wave) {
				if w.ieee {
					ieee(w)
					return
				}
				plain(w)
			}, nil
		}
		return v.closure(), nil
	}
	if op, ok := wideOps[i.Name]; ok {
		return c.compileWide(i, op)
	}
	return c.compileSpecial(i)
}

// compileDual compiles both halves of a VOPD. Both read before either writes.
func (c *compiler) compileDual(i *decode.Inst) (opFunc, error) {
	var half [2]*valu
	var sel [2]opFunc
	for k, h := range []*decode.Inst{i, i.Y} {
		if h.Name == "v_cndmask_b32" {
			f, err := c.compileCndmask(h)
			if err != nil {
				return nil, err
			}
			sel[k] = f
			continue
		}
		op, ok := vectorOp(h.Name)
		if h.Name == "v_dot2acc_f32_f16" || h.Name == "v_dot2acc_f32_bf16" {
			op, ok = dot2acc(h.Name), true
		}
		if !ok {
			return nil, errUnsupported
		}
		v, err := c.vector(h, op)
		if err != nil {
			return nil, err
		}
		half[k], sel[k] = v, v.closure()
	}
	x, y := sel[0], sel[1]
	if !readsVGPR(i.Y, uint8(i.Find('D').Code)) {
		return func(w *wave) { x(w); y(w) }, nil
	}
	if !readsVGPR(i, uint8(i.Y.Find('D').Code)) { // the other order is free of the hazard
		return func(w *wave) { y(w); x(w) }, nil
	}
	d := uint8(i.Find('D').Code)
	return func(w *wave) { // run X aside: Y still has to see the old register
		old := w.v[d]
		x(w)
		res := w.v[d]
		w.v[d] = old
		y(w)
		w.v[d] = res
	}, nil
}

// readsVGPR reports whether a VOPD half reads a register.
func readsVGPR(i *decode.Inst, r uint8) bool {
	for _, o := range i.Operands {
		acc := o.Field == 'D' && (strings.HasPrefix(i.Name, "v_fmac") || strings.HasPrefix(i.Name, "v_dot2acc"))
		if o.Kind == decode.VGPR && uint8(o.Code) == r && (o.Field != 'D' || acc) {
			return true
		}
	}
	return false
}
