package exec

import (
	"math"
	"math/bits"
)

// wideOp is an operation with 64-bit operands, lane by lane; narrow sources
// arrive zero-extended, narrow results are truncated.
type wideOp func(a, b, c uint64) uint64

func f64op2(f func(a, b float64) float64) wideOp {
	return func(a, b, _ uint64) uint64 {
		return math.Float64bits(f(math.Float64frombits(a), math.Float64frombits(b)))
	}
}

func f64op1(f func(a float64) float64) wideOp {
	return func(a, _, _ uint64) uint64 { return math.Float64bits(f(math.Float64frombits(a))) }
}

const (
	nan64 = 0x7ff8000000000000
)

// minNum64 and maxNum64 return the other operand where one is NaN.
func minNum64(a, b float64) float64 {
	switch {
	case a != a:
		return b
	case b != b:
		return a
	}
	return min(a, b)
}

func maxNum64(a, b float64) float64 {
	switch {
	case a != a:
		return b
	case b != b:
		return a
	}
	return max(a, b)
}

var wideOps = map[string]wideOp{
	"v_lshlrev_b64": func(a, b, _ uint64) uint64 { return b << (a & 63) },
	"v_lshrrev_b64": func(a, b, _ uint64) uint64 { return b >> (a & 63) },
	"v_ashrrev_i64": func(a, b, _ uint64) uint64 { return uint64(int64(b) >> (a & 63)) },
	"v_add_f64":     f64op2(func(a, b float64) float64 { return a + b }),
	"v_mul_f64":     f64op2(func(a, b float64) float64 { return a * b }),
	"v_min_f64":     f64op2(minNum64),
	"v_max_f64":     f64op2(maxNum64),
	"v_min_num_f64": f64op2(minNum64),
	"v_max_num_f64": f64op2(maxNum64),
	"v_minimum_f64": f64op2(func(a, b float64) float64 { return min(a, b) }),
	"v_maximum_f64": f64op2(func(a, b float64) float64 { return max(a, b) }),
	"v_fma_f64": func(a, b, c uint64) uint64 {
		return math.Float64bits(math.FMA(math.Float64frombits(a), math.Float64frombits(b), math.Float64frombits(c)))
	},
	"v_rcp_f64":   f64op1(rcp),
	"v_rsq_f64":   f64op1(rsq),
	"v_sqrt_f64":  f64op1(math.Sqrt),
	"v_trunc_f64": f64op1(math.Trunc),
	"v_ceil_f64":  f64op1(math.Ceil),
	"v_floor_f64": f64op1(math.Floor),
	"v_rndne_f64": f64op1(rndne64),
	"v_fract_f64": f64op1(fract64),
	"v_ldexp_f64": func(a, b, _ uint64) uint64 {
		return math.Float64bits(math.Ldexp(math.Float64frombits(a), int(int32(b))))
	},
	"v_frexp_mant_f64": func(a, _, _ uint64) uint64 {
		x := math.Float64frombits(a)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return a
		}
		m, _ := math.Frexp(x)
		return math.Float64bits(m)
	},
	"v_frexp_exp_i32_f64": func(a, _, _ uint64) uint64 {
		x := math.Float64frombits(a)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return 0
		}
		_, e := math.Frexp(x)
		return uint64(uint32(int32(e)))
	},
	"v_cvt_f64_f32": func(a, _, _ uint64) uint64 {
		return math.Float64bits(float64(math.Float32frombits(uint32(a))))
	},
	"v_cvt_f32_f64": func(a, _, _ uint64) uint64 {
		return uint64(math.Float32bits(float32(math.Float64frombits(a))))
	},
	"v_cvt_f64_i32": func(a, _, _ uint64) uint64 { return math.Float64bits(float64(int32(a))) },
	"v_cvt_f64_u32": func(a, _, _ uint64) uint64 { return math.Float64bits(float64(uint32(a))) },
	"v_cvt_i32_f64": func(a, _, _ uint64) uint64 { return uint64(satI32(math.Float64frombits(a))) },
	"v_cvt_u32_f64": func(a, _, _ uint64) uint64 { return uint64(satU32(math.Float64frombits(a))) },
	"v_div_fixup_f64": func(a, b, c uint64) uint64 {
		return divFixup(a, b, c, 52, 11)
	},
	"v_cvt_pk_f32_fp8": func(a, _, _ uint64) uint64 {
		return uint64(math.Float32bits(fp8ToF32(uint8(a)))) | uint64(math.Float32bits(fp8ToF32(uint8(a>>8))))<<32
	},
	"v_cvt_pk_f32_bf8": func(a, _, _ uint64) uint64 {
		return uint64(math.Float32bits(bf8ToF32(uint8(a)))) | uint64(math.Float32bits(bf8ToF32(uint8(a>>8))))<<32
	},
}

// wideCarry are 64-bit multiply-adds with a carry out.
var wideCarry = map[string]func(a, b uint32, c uint64) (uint64, bool){
	"v_mad_u64_u32": func(a, b uint32, c uint64) (uint64, bool) {
		s, carry := bits.Add64(uint64(a)*uint64(b), c, 0)
		return s, carry != 0
	},
	"v_mad_i64_i32": func(a, b uint32, c uint64) (uint64, bool) {
		p := uint64(int64(int32(a)) * int64(int32(b)))
		s := p + c
		return s, (p^s)&(c^s)>>63 != 0
	},
}

func divFixup32(a, b, c uint32) uint32 {
	return uint32(divFixup(uint64(a), uint64(b), uint64(c), 23, 8))
}

func divFixup16(a, b, c uint32) uint32 {
	return uint32(divFixup(uint64(a&0xffff), uint64(b&0xffff), uint64(c&0xffff), 10, 5))
}

// divFixup finishes a division: q is the quotient so far, d the denominator, n
// the numerator; fracBits and expBits give the format. Source: RDNA3 ISA,
// V_DIV_FIXUP.
func divFixup(q, d, n uint64, fracBits, expBits uint) uint64 {
	signBit := uint64(1) << (fracBits + expBits)
	inf := (uint64(1)<<expBits - 1) << fracBits
	quiet := uint64(1) << (fracBits - 1)
	sign := (d ^ n) & signBit
	ad, an := d&^signBit, n&^signBit
	expOf := func(x uint64) int { return int(x >> fracBits) }
	switch {
	case an > inf:
		return n | quiet
	case ad > inf:
		return d | quiet
	case ad == 0 && an == 0, ad == inf && an == inf:
		return signBit | inf | quiet
	case ad == 0, an == inf:
		return sign | inf
	case ad == inf, an == 0:
		return sign
	case fracBits == 23 && expOf(an)-expOf(ad) < -150, fracBits == 52 && expOf(an)-expOf(ad) < -1075:
		return sign // rounds to zero
	case q&^signBit > inf: // finite operands whose quotient overflowed on the way here
		return sign | inf
	}
	return q&^signBit | sign
}

// divScale32 returns the scaled operand and whether v_div_fmas has to scale
// back. x is the operand to scale (equal to d or n), d the denominator, n the
// numerator. Source: RDNA3 ISA, V_DIV_SCALE_F32; the cases are chosen such that
// no intermediate of LLVM's division sequence is denormal or overflows.
func divScale32(x, d, n uint32) (uint32, bool) {
	scale := func(u uint32, e int) uint32 {
		return math.Float32bits(float32(math.Ldexp(float64(math.Float32frombits(u)), e)))
	}
	fd, fn := math.Abs(float64(math.Float32frombits(d))), math.Abs(float64(math.Float32frombits(n)))
	tiny := func(v float64) bool { return v != 0 && v < 0x1p-126 }
	switch {
	case fd == 0 || fn == 0:
		return nan32, false
	case exponent32(n)-exponent32(d) >= 96:
		if x == d {
			return scale(x, 64), true
		}
		return x, true
	case isDenorm32(d):
		return scale(x, 64), false
	case tiny(1/fd) && tiny(fn/fd):
		if x == d {
			return scale(x, -64), true
		}
		return x, true
	case tiny(1 / fd):
		return scale(x, -64), false
	case tiny(fn / fd):
		if x == n {
			return scale(x, 64), true
		}
		return x, true
	case exponent32(n) <= 23:
		return scale(x, 64), false
	}
	return x, false
}

// divScale64 is divScale32 for binary64.
func divScale64(x, d, n uint64) (uint64, bool) {
	scale := func(u uint64, e int) uint64 { return math.Float64bits(math.Ldexp(math.Float64frombits(u), e)) }
	fd, fn := math.Abs(math.Float64frombits(d)), math.Abs(math.Float64frombits(n))
	tiny := func(v float64) bool { return v < 0x1p-1022 }
	exp := func(u uint64) int { return int(u >> 52 & 0x7ff) }
	switch {
	case fd == 0 || fn == 0:
		return nan64, false
	case exp(n)-exp(d) >= 768:
		if x == d {
			return scale(x, 128), true
		}
		return x, true
	case exp(d) == 0:
		return scale(x, 128), false
	case tiny(1/fd) && tiny(fn/fd):
		if x == d {
			return scale(x, -128), true
		}
		return x, true
	case tiny(1 / fd):
		return scale(x, -128), false
	case tiny(fn / fd):
		if x == n {
			return scale(x, 128), true
		}
		return x, true
	case exp(n) <= 53:
		return scale(x, 128), false
	}
	return x, false
}

// divFmas32 is a fused multiply-add whose result is scaled back where
// v_div_scale scaled one operand alone: up where the quotient is large, else
// down. The scaling happens before the only rounding.
func divFmas32(a, b, c uint32, scaled bool) uint32 {
	x, y, z := math.Float32frombits(a), math.Float32frombits(b), math.Float32frombits(c)
	if !scaled {
		return math.Float32bits(fma32(x, y, z))
	}
	p := float64(x) * float64(y)
	s := roundToOdd(p, float64(z), p+float64(z))
	if exponent32(c) > 127 {
		return math.Float32bits(float32(math.Ldexp(s, 64)))
	}
	return math.Float32bits(float32(math.Ldexp(s, -64)))
}

// divFmas64 is divFmas32 for binary64; a denormal result may be rounded twice.
func divFmas64(a, b, c uint64, scaled bool) uint64 {
	r := math.FMA(math.Float64frombits(a), math.Float64frombits(b), math.Float64frombits(c))
	if scaled {
		if c>>52&0x7ff > 1023 {
			r = math.Ldexp(r, 128)
		} else {
			r = math.Ldexp(r, -128)
		}
	}
	return math.Float64bits(r)
}
