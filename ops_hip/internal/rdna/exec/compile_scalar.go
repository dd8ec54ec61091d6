package exec

import (
	"fmt"
	"math"
	"strings"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

func (c *compiler) compileScalar(i *decode.Inst) (opFunc, error) {
	name := i.Name
	if a, ok := scalarAlias[name]; ok {
		name = a
	}
	switch i.Format {
	case decode.SOPP:
		return c.compileSOPP(i)
	case decode.SOPK:
		return c.compileSOPK(i, name)
	case decode.SOPC:
		return c.compileSOPC(i, name)
	}
	if f, err := c.compileControl(i, name); f != nil || err != nil {
		return f, err
	}
	idx := make([]uint16, 0, 3)
	for _, o := range sources(i) {
		k, err := c.scalarIdx(o)
		if err != nil {
			return nil, err
		}
		idx = append(idx, k)
	}
	dop := i.Find('D')
	if dop == nil || len(idx) == 0 {
		return nil, errUnsupported
	}
	d := c.scalarDst(dop)
	a := idx[0]
	if i.Format == decode.SOP1 {
		return c.compileSOP1(i, name, d, a)
	}
	b := idx[1]
	if f := scalar32[name]; f != nil && name != "s_bfm_b64" {
		return func(w *wave) { w.s[d] = f(w, w.s[a], w.s[b]) }, nil
	}
	if f := scalar64[name]; f != nil {
		if sources(i)[1].Width == 2 {
			return func(w *wave) { w.setS64(d, f(w, w.s64(a), w.s64(b))) }, nil
		}
		if sources(i)[0].Width == 1 { // s_bfm_b64
			return func(w *wave) { w.setS64(d, f(w, uint64(w.s[a]), uint64(w.s[b]))) }, nil
		}
		return func(w *wave) { w.setS64(d, f(w, w.s64(a), uint64(w.s[b]))) }, nil
	}
	return c.compileScalarFloat(name, d, idx)
}

func (c *compiler) compileSOP1(i *decode.Inst, name string, d, a uint16) (opFunc, error) {
	if name == "s_mov_b32" {
		return func(w *wave) { w.s[d] = w.s[a] }, nil
	}
	if f := unary32[name]; f != nil {
		return func(w *wave) { w.s[d] = f(w, w.s[a]) }, nil
	}
	if f := unary64[name]; f != nil {
		return func(w *wave) { w.setS64(d, f(w, w.s64(a))) }, nil
	}
	if f := narrow64[name]; f != nil {
		return func(w *wave) { w.s[d] = f(w, w.s64(a)) }, nil
	}
	if op, ok := strings.CutSuffix(name, "_saveexec_b32"); ok {
		f := saveExec[strings.TrimPrefix(op, "s_")]
		if f == nil {
			return nil, errUnsupported
		}
		return func(w *wave) {
			e, s := w.exec(), w.s[a]
			w.s[d] = e
			w.s[execIdx] = w.nz(f(s, e))
		}, nil
	}
	switch name {
	case "s_cmov_b32":
		return func(w *wave) {
			if w.s[sccIdx] != 0 {
				w.s[d] = w.s[a]
			}
		}, nil
	case "s_cmov_b64":
		return func(w *wave) {
			if w.s[sccIdx] != 0 {
				w.setS64(d, w.s64(a))
			}
		}, nil
	case "s_bitset0_b32":
		return func(w *wave) { w.s[d] &^= 1 << (w.s[a] & 31) }, nil
	case "s_bitset1_b32":
		return func(w *wave) { w.s[d] |= 1 << (w.s[a] & 31) }, nil
	case "s_bitset0_b64":
		return func(w *wave) { w.setS64(d, w.s64(d)&^(1<<(w.s[a]&63))) }, nil
	case "s_bitset1_b64":
		return func(w *wave) { w.setS64(d, w.s64(d)|1<<(w.s[a]&63)) }, nil
	case "s_bitreplicate_b64_b32":
		return func(w *wave) {
			var r uint64
			for k := 0; k < 32; k++ {
				r |= uint64(w.s[a]>>k&1) * 3 << (2 * k)
			}
			w.setS64(d, r)
		}, nil
	case "s_and_not0_wrexec_b32":
		return func(w *wave) { w.s[execIdx] = w.nz(^w.s[a] & w.exec()); w.s[d] = w.exec() }, nil
	case "s_and_not1_wrexec_b32":
		return func(w *wave) { w.s[execIdx] = w.nz(w.s[a] &^ w.exec()); w.s[d] = w.exec() }, nil
	}
	return c.compileScalarFloat(name, d, []uint16{a})
}

// compileControl compiles jumps through registers and barriers in SOP1.
func (c *compiler) compileControl(i *decode.Inst, name string) (opFunc, error) {
	next := c.prog.base + uint64(i.Offset+i.Size)
	switch name {
	case "s_getpc_b64":
		d := c.scalarDst(i.Find('D'))
		return func(w *wave) { w.setS64(d, w.wg.l.LoadBase+next) }, nil
	case "s_setpc_b64":
		a, err := c.scalarIdx(i.Find('0'))
		return func(w *wave) { w.jump(w.s64(a)) }, err
	case "s_swappc_b64":
		a, err := c.scalarIdx(i.Find('0'))
		d := c.scalarDst(i.Find('D'))
		return func(w *wave) {
			to := w.s64(a)
			w.setS64(d, w.wg.l.LoadBase+next)
			w.jump(to)
		}, err
	case "s_barrier_signal", "s_barrier_signal_isfirst":
		o := i.Find('0')
		if o.Kind != decode.Const || o.Const32() != ^uint32(0) {
			return nil, fmt.Errorf("named barriers have no executor")
		}
		first := name == "s_barrier_signal_isfirst"
		return func(w *wave) {
			if first {
				w.setSCC(w.wg.firstSignal(w))
			}
			w.signals++
			if w.chk != nil {
				w.chk.signal(w)
			}
		}, nil
	}
	return nil, nil
}

// jump continues at an absolute address.
func (w *wave) jump(addr uint64) {
	op := w.thr.operation(addr - w.wg.l.LoadBase)
	if op < 0 {
		w.failAddr(BadJump, -1, addr, "no instruction starts there")
		return
	}
	w.pc = op
}

func (c *compiler) compileSOPC(i *decode.Inst, name string) (opFunc, error) {
	src := sources(i)
	a, err := c.scalarIdx(src[0])
	if err != nil {
		return nil, err
	}
	b, err := c.scalarIdx(src[1])
	if err != nil {
		return nil, err
	}
	cond := strings.TrimPrefix(name, "s_cmp_")
	if f := scalarCompare[cond]; f != nil {
		return func(w *wave) { w.setSCC(f(w.s[a], w.s[b])) }, nil
	}
	switch name {
	case "s_cmp_eq_u64":
		return func(w *wave) { w.setSCC(w.s64(a) == w.s64(b)) }, nil
	case "s_cmp_lg_u64":
		return func(w *wave) { w.setSCC(w.s64(a) != w.s64(b)) }, nil
	case "s_bitcmp0_b32":
		return func(w *wave) { w.setSCC(w.s[a]>>(w.s[b]&31)&1 == 0) }, nil
	case "s_bitcmp1_b32":
		return func(w *wave) { w.setSCC(w.s[a]>>(w.s[b]&31)&1 != 0) }, nil
	case "s_bitcmp0_b64":
		return func(w *wave) { w.setSCC(w.s64(a)>>(w.s[b]&63)&1 == 0) }, nil
	case "s_bitcmp1_b64":
		return func(w *wave) { w.setSCC(w.s64(a)>>(w.s[b]&63)&1 != 0) }, nil
	}
	rel, typ, _ := strings.Cut(cond, "_")
	f := floatCondition(rel)
	switch {
	case f != nil && typ == "f32":
		return func(w *wave) {
			w.setSCC(f(float64(math.Float32frombits(w.s[a])), float64(math.Float32frombits(w.s[b]))))
		}, nil
	case f != nil && typ == "f16":
		return func(w *wave) {
			w.setSCC(f(float64(f16Table[uint16(w.s[a])]), float64(f16Table[uint16(w.s[b])])))
		}, nil
	}
	return nil, errUnsupported
}

func (c *compiler) compileSOPK(i *decode.Inst, name string) (opFunc, error) {
	k := uint32(int32(int16(i.Imm)))
	if cond, ok := strings.CutPrefix(name, "s_cmpk_"); ok {
		d := uint16(i.Find('D').Code)
		f := scalarCompare[cond]
		if strings.HasSuffix(cond, "u32") {
			k = uint32(i.Imm)
		}
		if f == nil {
			return nil, errUnsupported
		}
		return func(w *wave) { w.setSCC(f(w.s[d], k)) }, nil
	}
	if waitInst(name) {
		return func(*wave) {}, nil
	}
	hw := i.Imm & 63
	off, width := uint32(i.Imm>>6&31), uint32(i.Imm>>11)+1
	mask := uint32(uint64(1)<<width-1) << off
	switch name {
	case "s_movk_i32":
		d := c.scalarDst(i.Find('D'))
		return func(w *wave) { w.s[d] = k }, nil
	case "s_cmovk_i32":
		d := c.scalarDst(i.Find('D'))
		return func(w *wave) {
			if w.s[sccIdx] != 0 {
				w.s[d] = k
			}
		}, nil
	case "s_addk_i32":
		d := uint16(i.Find('D').Code)
		add := scalar32["s_add_i32"]
		return func(w *wave) { w.s[d] = add(w, w.s[d], k) }, nil
	case "s_mulk_i32":
		d := uint16(i.Find('D').Code)
		return func(w *wave) { w.s[d] *= k }, nil
	case "s_call_b64":
		d := c.scalarDst(i.Find('D'))
		to, err := c.branchTarget(i)
		next := c.prog.base + uint64(i.Offset+i.Size)
		return func(w *wave) {
			w.setS64(d, w.wg.l.LoadBase+next)
			w.pc = to
		}, err
	case "s_getreg_b32":
		d := c.scalarDst(i.Find('D'))
		if hw != 1 {
			return nil, fmt.Errorf("hardware register %d has no model", hw)
		}
		return func(w *wave) { w.s[d] = w.modeRegister() & mask >> off }, nil
	case "s_setreg_b32", "s_setreg_imm32_b32":
		if hw != 1 {
			return nil, fmt.Errorf("hardware register %d has no model", hw)
		}
		var a uint16
		if o := i.Find('D'); o != nil {
			a = uint16(o.Code)
		} else {
			a = c.prog.constant(i.Find('L').Code)
		}
		return func(w *wave) { w.setMode(w.modeRegister()&^mask | w.s[a]<<off&mask) }, nil
	}
	return nil, errUnsupported
}

// modeRegister returns the MODE register as far as it is modelled.
func (w *wave) modeRegister() uint32 {
	return uint32(w.mode) | b2u(w.dx10)<<8 | b2u(w.ieee)<<9
}

func (w *wave) setMode(m uint32) {
	w.mode, w.dx10, w.ieee = uint8(m), m>>8&1 != 0, m>>9&1 != 0
	w.checkMode()
}

// checkMode refuses modes that the arithmetic does not implement.
func (w *wave) checkMode() {
	switch {
	case w.mode&15 != 0:
		w.fail(Unsupported, -1, "rounding modes other than to nearest even have no executor")
	case w.mode&0xc0 != 0xc0:
		w.fail(Unsupported, -1, "flushing of f16 and f64 denormals has no executor")
	}
}

func (c *compiler) branchTarget(i *decode.Inst) (int32, error) {
	off := i.Target()
	if off < 0 || off/4 >= len(c.prog.index) || c.prog.index[off/4] < 0 {
		return 0, fmt.Errorf("branch to offset %#x, where no instruction starts", off)
	}
	return c.thr.start[c.prog.index[off/4]], nil
}

func (c *compiler) compileSOPP(i *decode.Inst) (opFunc, error) {
	if strings.HasPrefix(i.Name, "s_cbranch_") || i.Name == "s_branch" {
		to, err := c.branchTarget(i)
		if err != nil {
			return nil, err
		}
		switch i.Name {
		case "s_branch":
			return func(w *wave) { w.pc = to }, nil
		case "s_cbranch_scc0":
			return func(w *wave) {
				if w.s[sccIdx] == 0 {
					w.pc = to
				}
			}, nil
		case "s_cbranch_scc1":
			return func(w *wave) {
				if w.s[sccIdx] != 0 {
					w.pc = to
				}
			}, nil
		case "s_cbranch_vccz":
			return func(w *wave) {
				if w.s[vccIdx] == 0 {
					w.pc = to
				}
			}, nil
		case "s_cbranch_vccnz":
			return func(w *wave) {
				if w.s[vccIdx] != 0 {
					w.pc = to
				}
			}, nil
		case "s_cbranch_execz":
			return func(w *wave) {
				if w.s[execIdx] == 0 {
					w.pc = to
				}
			}, nil
		case "s_cbranch_execnz":
			return func(w *wave) {
				if w.s[execIdx] != 0 {
					w.pc = to
				}
			}, nil
		}
		return nil, errUnsupported
	}
	switch i.Name {
	case "s_endpgm":
		return func(w *wave) { w.state = ended }, nil
	case "s_barrier":
		return func(w *wave) {
			w.signals++
			if w.chk != nil {
				w.chk.signal(w)
			}
			w.waits++
			w.state = waiting
		}, nil
	case "s_barrier_wait":
		return func(w *wave) {
			w.waits++
			w.state = waiting
		}, nil
	case "s_trap":
		return func(w *wave) { w.fail(Trap, -1, fmt.Sprintf("trap %d", i.Imm)) }, nil
	case "s_sethalt", "s_sendmsghalt":
		return nil, errUnsupported
	case "s_denorm_mode":
		return func(w *wave) { w.setMode(w.modeRegister()&^0xf0 | uint32(i.Imm&15)<<4) }, nil
	case "s_round_mode":
		return func(w *wave) { w.setMode(w.modeRegister()&^15 | uint32(i.Imm&15)) }, nil
	}
	if waitInst(i.Name) {
		return func(*wave) {}, nil
	}
	return nil, errUnsupported
}

// compileScalarFloat compiles the scalar float instructions of RDNA3.5 and
// RDNA4, with the kernels of the vector instructions on one lane.
func (c *compiler) compileScalarFloat(name string, d uint16, idx []uint16) (opFunc, error) {
	base, half := "v_"+strings.TrimPrefix(name, "s_"), strings.HasSuffix(name, "_f16")
	if name == "s_cvt_hi_f32_f16" {
		a := idx[0]
		return func(w *wave) { w.s[d] = math.Float32bits(f16Table[w.s[a]>>16]) }, nil
	}
	op, ok := vectorOp(base)
	if !ok || !(strings.Contains(name, "_f32") || half) {
		return nil, errUnsupported
	}
	if op.acc {
		idx = append(idx, d)
	}
	return func(w *wave) {
		var v [3]vec
		for k, a := range idx {
			v[k][0] = w.s[a]
			if op.f32 && op.src16 == 0 && op.ints>>k&1 == 0 && w.mode&denorm32In == 0 {
				v[k][0] = flush32(v[k][0])
			}
		}
		var o vec
		switch {
		case op.k1 != nil:
			op.k1(&o, &v[0])
		case op.k2 != nil:
			op.k2(&o, &v[0], &v[1])
		default:
			op.k3(&o, &v[0], &v[1], &v[2])
		}
		r := o[0]
		if op.f32 && !op.dst16 && op.ints&8 == 0 && w.mode&denorm32Out == 0 {
			r = flush32(r)
		}
		w.s[d] = r
	}, nil
}
