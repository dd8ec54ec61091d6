package exec

import (
	"math"
	"math/bits"
)

// scalar32 are SOP2 and SOPK instructions on 32-bit operands.
var scalar32 = map[string]func(w *wave, a, b uint32) uint32{
	"s_add_u32": func(w *wave, a, b uint32) uint32 { w.setSCC(a+b < a); return a + b },
	"s_sub_u32": func(w *wave, a, b uint32) uint32 { w.setSCC(b > a); return a - b },
	"s_add_i32": func(w *wave, a, b uint32) uint32 {
		r := a + b
		w.setSCC((a^r)&(b^r)>>31 != 0)
		return r
	},
	"s_sub_i32": func(w *wave, a, b uint32) uint32 {
		r := a - b
		w.setSCC((a^b)&(a^r)>>31 != 0)
		return r
	},
	"s_addc_u32": func(w *wave, a, b uint32) uint32 {
		r, c := bits.Add32(a, b, w.s[sccIdx])
		w.s[sccIdx] = c
		return r
	},
	"s_subb_u32": func(w *wave, a, b uint32) uint32 {
		r, c := bits.Sub32(a, b, w.s[sccIdx])
		w.s[sccIdx] = c
		return r
	},
	"s_absdiff_i32": func(w *wave, a, b uint32) uint32 {
		r := a - b
		if int32(r) < 0 {
			r = -r
		}
		return w.nz(r)
	},
	"s_lshl_b32":      func(w *wave, a, b uint32) uint32 { return w.nz(a << (b & 31)) },
	"s_lshr_b32":      func(w *wave, a, b uint32) uint32 { return w.nz(a >> (b & 31)) },
	"s_ashr_i32":      func(w *wave, a, b uint32) uint32 { return w.nz(uint32(int32(a) >> (b & 31))) },
	"s_lshl1_add_u32": shlAdd(1),
	"s_lshl2_add_u32": shlAdd(2),
	"s_lshl3_add_u32": shlAdd(3),
	"s_lshl4_add_u32": shlAdd(4),
	"s_min_i32":       func(w *wave, a, b uint32) uint32 { return w.pick(int32(a) < int32(b), a, b) },
	"s_min_u32":       func(w *wave, a, b uint32) uint32 { return w.pick(a < b, a, b) },
	"s_max_i32":       func(w *wave, a, b uint32) uint32 { return w.pick(int32(a) >= int32(b), a, b) },
	"s_max_u32":       func(w *wave, a, b uint32) uint32 { return w.pick(a >= b, a, b) },
	"s_and_b32":       func(w *wave, a, b uint32) uint32 { return w.nz(a & b) },
	"s_or_b32":        func(w *wave, a, b uint32) uint32 { return w.nz(a | b) },
	"s_xor_b32":       func(w *wave, a, b uint32) uint32 { return w.nz(a ^ b) },
	"s_nand_b32":      func(w *wave, a, b uint32) uint32 { return w.nz(^(a & b)) },
	"s_nor_b32":       func(w *wave, a, b uint32) uint32 { return w.nz(^(a | b)) },
	"s_xnor_b32":      func(w *wave, a, b uint32) uint32 { return w.nz(^(a ^ b)) },
	"s_and_not1_b32":  func(w *wave, a, b uint32) uint32 { return w.nz(a &^ b) },
	"s_or_not1_b32":   func(w *wave, a, b uint32) uint32 { return w.nz(a | ^b) },
	"s_bfe_u32": func(w *wave, a,
		b uint32) uint32 {
		return w.nz(uint32(bfeU(uint64(a), b&31, b>>16&127, 32)))
	},
	"s_bfe_i32": func(w *wave, a,
		b uint32) uint32 {
		return w.nz(uint32(bfeI(uint64(a), b&31, b>>16&127, 32)))
	},
	"s_bfm_b32":    func(_ *wave, a, b uint32) uint32 { return (1<<(a&31) - 1) << (b & 31) },
	"s_mul_i32":    func(_ *wave, a, b uint32) uint32 { return a * b },
	"s_mul_hi_u32": func(_ *wave, a, b uint32) uint32 { return uint32(uint64(a) * uint64(b) >> 32) },
	"s_mul_hi_i32": func(_ *wave, a,
		b uint32) uint32 {
		return uint32(uint64(int64(int32(a))*int64(int32(b))) >> 32)
	},
	"s_pack_ll_b32_b16": func(_ *wave, a, b uint32) uint32 { return a&0xffff | b<<16 },
	"s_pack_lh_b32_b16": func(_ *wave, a, b uint32) uint32 { return a&0xffff | b&^0xffff },
	"s_pack_hh_b32_b16": func(_ *wave, a, b uint32) uint32 { return a>>16 | b&^0xffff },
	"s_pack_hl_b32_b16": func(_ *wave, a, b uint32) uint32 { return a>>16 | b<<16 },
	"s_cselect_b32": func(w *wave, a, b uint32) uint32 {
		if w.s[sccIdx] != 0 {
			return a
		}
		return b
	},
	"s_cvt_pk_rtz_f16_f32": func(_ *wave, a, b uint32) uint32 {
		return uint32(f32ToF16RTZ(math.Float32frombits(a))) | uint32(f32ToF16RTZ(math.Float32frombits(b)))<<16
	},
}

// scalarAlias maps GFX12 names to GFX11 names of the same operation.
var scalarAlias = map[string]string{"s_add_co_u32": "s_add_u32", "s_sub_co_u32": "s_sub_u32",
	"s_add_co_i32": "s_add_i32",
	"s_sub_co_i32": "s_sub_i32", "s_add_co_ci_u32": "s_addc_u32", "s_sub_co_ci_u32": "s_subb_u32",
	"s_addk_co_i32": "s_addk_i32"}

func shlAdd(n uint32) func(w *wave, a, b uint32) uint32 {
	return func(w *wave, a, b uint32) uint32 {
		r := uint64(a)<<n + uint64(b)
		w.setSCC(r>>32 != 0)
		return uint32(r)
	}
}

// nz sets SCC to "result is not zero".
func (w *wave) nz(r uint32) uint32 {
	w.setSCC(r != 0)
	return r
}

func (w *wave) nz64(r uint64) uint64 {
	w.setSCC(r != 0)
	return r
}

// pick sets SCC and selects.
func (w *wave) pick(c bool, a, b uint32) uint32 {
	w.setSCC(c)
	if c {
		return a
	}
	return b
}

// bfeU extracts width bits at off; bfeI sign-extends them.
func bfeU(a uint64, off, width, size uint32) uint64 {
	if width == 0 {
		return 0
	}
	a >>= off
	if width < size {
		a &= 1<<width - 1
	}
	return a
}

func bfeI(a uint64, off, width, size uint32) uint64 {
	if width == 0 {
		return 0
	}
	if size == 32 {
		a = uint64(int64(int32(a)))
	}
	a = uint64(int64(a) >> off)
	if width < 64 {
		a = uint64(int64(a<<(64-width)) >> (64 - width))
	}
	return a
}

// scalar64 are SOP2 instructions on 64-bit operands; shifts and field
// extractions take a 32-bit second operand.
var scalar64 = map[string]func(w *wave, a, b uint64) uint64{
	"s_lshl_b64":     func(w *wave, a, b uint64) uint64 { return w.nz64(a << (b & 63)) },
	"s_lshr_b64":     func(w *wave, a, b uint64) uint64 { return w.nz64(a >> (b & 63)) },
	"s_ashr_i64":     func(w *wave, a, b uint64) uint64 { return w.nz64(uint64(int64(a) >> (b & 63))) },
	"s_and_b64":      func(w *wave, a, b uint64) uint64 { return w.nz64(a & b) },
	"s_or_b64":       func(w *wave, a, b uint64) uint64 { return w.nz64(a | b) },
	"s_xor_b64":      func(w *wave, a, b uint64) uint64 { return w.nz64(a ^ b) },
	"s_nand_b64":     func(w *wave, a, b uint64) uint64 { return w.nz64(^(a & b)) },
	"s_nor_b64":      func(w *wave, a, b uint64) uint64 { return w.nz64(^(a | b)) },
	"s_xnor_b64":     func(w *wave, a, b uint64) uint64 { return w.nz64(^(a ^ b)) },
	"s_and_not1_b64": func(w *wave, a, b uint64) uint64 { return w.nz64(a &^ b) },
	"s_or_not1_b64":  func(w *wave, a, b uint64) uint64 { return w.nz64(a | ^b) },
	"s_bfe_u64": func(w *wave, a,
		b uint64) uint64 {
		return w.nz64(bfeU(a, uint32(b)&63, uint32(b)>>16&127, 64))
	},
	"s_bfe_i64": func(w *wave, a,
		b uint64) uint64 {
		return w.nz64(bfeI(a, uint32(b)&63, uint32(b)>>16&127, 64))
	},
	"s_bfm_b64": func(_ *wave, a, b uint64) uint64 { return (1<<(a&63) - 1) << (b & 63) },
	"s_cselect_b64": func(w *wave, a, b uint64) uint64 {
		if w.s[sccIdx] != 0 {
			return a
		}
		return b
	},
	"s_add_nc_u64": func(_ *wave, a, b uint64) uint64 { return a + b },
	"s_sub_nc_u64": func(_ *wave, a, b uint64) uint64 { return a - b },
	"s_mul_u64":    func(_ *wave, a, b uint64) uint64 { return a * b },
}

// scalarCompare are SOPC and s_cmpk instructions.
var scalarCompare = map[string]func(a, b uint32) bool{
	"eq_i32": func(a, b uint32) bool { return a == b }, "lg_i32": func(a, b uint32) bool { return a != b },
	"gt_i32": func(a, b uint32) bool { return int32(a) > int32(b) },
	"ge_i32": func(a, b uint32) bool { return int32(a) >= int32(b) },
	"lt_i32": func(a, b uint32) bool { return int32(a) < int32(b) },
	"le_i32": func(a, b uint32) bool { return int32(a) <= int32(b) },
	"eq_u32": func(a, b uint32) bool { return a == b }, "lg_u32": func(a, b uint32) bool { return a != b },
	"gt_u32": func(a, b uint32) bool { return a > b }, "ge_u32": func(a, b uint32) bool { return a >= b },
	"lt_u32": func(a, b uint32) bool { return a < b }, "le_u32": func(a, b uint32) bool { return a <= b },
}

// unary32 are SOP1 instructions on a 32-bit source with a 32-bit result.
var unary32 = map[string]func(w *wave, a uint32) uint32{
	"s_mov_b32":     func(_ *wave, a uint32) uint32 { return a },
	"s_brev_b32":    func(_ *wave, a uint32) uint32 { return bits.Reverse32(a) },
	"s_ctz_i32_b32": func(_ *wave, a uint32) uint32 { return ctz32(a) },
	"s_clz_i32_u32": func(_ *wave, a uint32) uint32 { return clz32(a) },
	"s_cls_i32":     func(_ *wave, a uint32) uint32 { return cls32(a) },
	"s_sext_i32_i8": func(_ *wave, a uint32) uint32 { return uint32(int32(int8(a))) },
	"s_sext_i32_i16": func(_ *wave, a uint32) uint32 {
		return uint32(int32(int16(a)))
	},
	"s_abs_i32": func(w *wave, a uint32) uint32 {
		if int32(a) < 0 {
			a = -a
		}
		return w.nz(a)
	},
	"s_bcnt0_i32_b32": func(w *wave, a uint32) uint32 { return w.nz(uint32(32 - bits.OnesCount32(a))) },
	"s_bcnt1_i32_b32": func(w *wave, a uint32) uint32 { return w.nz(uint32(bits.OnesCount32(a))) },
	"s_not_b32":       func(w *wave, a uint32) uint32 { return w.nz(^a) },
	"s_quadmask_b32": func(w *wave, a uint32) uint32 {
		var r uint32
		for i := 0; i < 8; i++ {
			r |= b2u(a>>(4*i)&15 != 0) << i
		}
		return w.nz(r)
	},
	"s_wqm_b32": func(w *wave, a uint32) uint32 {
		var r uint32
		for i := 0; i < 8; i++ {
			if a>>(4*i)&15 != 0 {
				r |= 15 << (4 * i)
			}
		}
		return w.nz(r)
	},
}

// unary64 are SOP1 instructions on a 64-bit source; those of narrow have a
// 32-bit result.
var unary64 = map[string]func(w *wave, a uint64) uint64{
	"s_mov_b64":  func(_ *wave, a uint64) uint64 { return a },
	"s_brev_b64": func(_ *wave, a uint64) uint64 { return bits.Reverse64(a) },
	"s_not_b64":  func(w *wave, a uint64) uint64 { return w.nz64(^a) },
}

var narrow64 = map[string]func(w *wave, a uint64) uint32{
	"s_ctz_i32_b64": func(_ *wave, a uint64) uint32 {
		if a == 0 {
			return ^uint32(0)
		}
		return uint32(bits.TrailingZeros64(a))
	},
	"s_clz_i32_u64": func(_ *wave, a uint64) uint32 {
		if a == 0 {
			return ^uint32(0)
		}
		return uint32(bits.LeadingZeros64(a))
	},
	"s_bcnt0_i32_b64": func(w *wave, a uint64) uint32 { return w.nz(uint32(64 - bits.OnesCount64(a))) },
	"s_bcnt1_i32_b64": func(w *wave, a uint64) uint32 { return w.nz(uint32(bits.OnesCount64(a))) },
}

func ctz32(a uint32) uint32 {
	if a == 0 {
		return ^uint32(0)
	}
	return uint32(bits.TrailingZeros32(a))
}

func clz32(a uint32) uint32 {
	if a == 0 {
		return ^uint32(0)
	}
	return uint32(bits.LeadingZeros32(a))
}

// cls32 counts the sign bits after the first, or returns -1 when all are equal.
func cls32(a uint32) uint32 {
	if int32(a) < 0 {
		a = ^a
	}
	return clz32(a)
}

// saveExec are the s_*_saveexec_b32 operations on (source, EXEC).
var saveExec = map[string]func(s, e uint32) uint32{
	"and": func(s, e uint32) uint32 { return s & e }, "or": func(s, e uint32) uint32 { return s | e },
	"xor": func(s, e uint32) uint32 { return s ^ e }, "nand": func(s, e uint32) uint32 { return ^(s & e) },
	"nor": func(s, e uint32) uint32 { return ^(s | e) }, "xnor": func(s, e uint32) uint32 { return ^(s ^ e) },
	"and_not0": func(s, e uint32) uint32 { return ^s & e }, "or_not0": func(s, e uint32) uint32 { return ^s | e },
	"and_not1": func(s, e uint32) uint32 { return s &^ e }, "or_not1": func(s, e uint32) uint32 { return s | ^e },
}
