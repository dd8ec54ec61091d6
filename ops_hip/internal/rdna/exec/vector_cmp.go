package exec

import (
	"math"
	"strings"
)

// compare returns the lanes for which a condition holds.
type compare func(a, b *vec) uint32

func cmpU32(f func(a, b uint32) bool) compare {
	return func(a, b *vec) (r uint32) {
		for i := range a {
			if f(a[i], b[i]) {
				r |= 1 << i
			}
		}
		return r
	}
}

// The integer compares of inner loops are written out; the others go through a
// function per lane. The bit of each lane moves down from the top, so that after
// 32 lanes bit i is lane i.
var compares32 = map[string]compare{
	"eq_u32": func(a, b *vec) (r uint32) {
		for i, x := range a {
			r = r>>1 | b2u(x == b[i])<<31
		}
		return r
	},
	"ne_u32": func(a, b *vec) (r uint32) {
		for i, x := range a {
			r = r>>1 | b2u(x != b[i])<<31
		}
		return r
	},
	"lt_u32": func(a, b *vec) (r uint32) {
		for i, x := range a {
			r = r>>1 | b2u(x < b[i])<<31
		}
		return r
	},
	"gt_u32": func(a, b *vec) (r uint32) {
		for i, x := range a {
			r = r>>1 | b2u(x > b[i])<<31
		}
		return r
	},
	"lt_i32": func(a, b *vec) (r uint32) {
		for i, x := range a {
			r = r>>1 | b2u(int32(x) < int32(b[i]))<<31
		}
		return r
	},
	"gt_i32": func(a, b *vec) (r uint32) {
		for i, x := range a {
			r = r>>1 | b2u(int32(x) > int32(b[i]))<<31
		}
		return r
	},
}

// floatCondition returns the predicate of a float compare by its name part.
func floatCondition(cond string) func(a, b float64) bool {
	switch cond {
	case "f":
		return func(_, _ float64) bool { return false }
	case "lt":
		return func(a, b float64) bool { return a < b }
	case "eq":
		return func(a, b float64) bool { return a == b }
	case "le":
		return func(a, b float64) bool { return a <= b }
	case "gt":
		return func(a, b float64) bool { return a > b }
	case "lg":
		return func(a, b float64) bool { return a < b || a > b }
	case "ge":
		return func(a, b float64) bool { return a >= b }
	case "o":
		return func(a, b float64) bool { return a == a && b == b }
	case "u":
		return func(a, b float64) bool { return a != a || b != b }
	case "nge":
		return func(a, b float64) bool { return !(a >= b) }
	case "nlg":
		return func(a, b float64) bool { return !(a < b || a > b) }
	case "ngt":
		return func(a, b float64) bool { return !(a > b) }
	case "nle":
		return func(a, b float64) bool { return !(a <= b) }
	case "neq":
		return func(a, b float64) bool { return a != b }
	case "nlt":
		return func(a, b float64) bool { return !(a < b) }
	case "t", "tru":
		return func(_, _ float64) bool { return true }
	}
	return nil
}

// intCondition returns the predicate of an integer compare.
func intCondition(cond string) func(a, b int64) bool {
	switch cond {
	case "f":
		return func(_, _ int64) bool { return false }
	case "lt":
		return func(a, b int64) bool { return a < b }
	case "eq":
		return func(a, b int64) bool { return a == b }
	case "le":
		return func(a, b int64) bool { return a <= b }
	case "gt":
		return func(a, b int64) bool { return a > b }
	case "ne":
		return func(a, b int64) bool { return a != b }
	case "ge":
		return func(a, b int64) bool { return a >= b }
	case "t":
		return func(_, _ int64) bool { return true }
	}
	return nil
}

// compare16or32 returns the compare of a name such as "lt_f32" and which
// sources are 16 bits wide.
func compare16or32(name string) (c compare, src16 uint8) {
	if name == "eq_i32" || name == "ne_i32" {
		name = name[:3] + "u32"
	}
	if c := compares32[name]; c != nil {
		return c, 0
	}
	for not, of := range map[string]string{"le_u32": "gt_u32", "ge_u32": "lt_u32", "le_i32": "gt_i32",
		"ge_i32": "lt_i32"} {
		if name == not {
			c := compares32[of]
			return func(a, b *vec) uint32 { return ^c(a, b) }, 0
		}
	}
	cond, typ, _ := strings.Cut(name, "_")
	if cond == "class" {
		return classCompare(typ)
	}
	switch typ {
	case "f32":
		if f := floatCondition(cond); f != nil {
			return cmpU32(func(a, b uint32) bool {
				return f(float64(math.Float32frombits(a)), float64(math.Float32frombits(b)))
			}), 0
		}
	case "f16":
		if f := floatCondition(cond); f != nil {
			return cmpU32(func(a, b uint32) bool {
				return f(float64(f16Table[uint16(a)]),
					float64(f16Table[uint16(b)]))
			}), 3
		}
	case "i32", "u32", "i16", "u16":
		f := intCondition(cond)
		if f == nil {
			return nil, 0
		}
		switch typ {
		case "i32":
			return cmpU32(func(a, b uint32) bool { return f(int64(int32(a)), int64(int32(b))) }), 0
		case "u32":
			return cmpU32(func(a, b uint32) bool { return f(int64(a), int64(b)) }), 0
		case "i16":
			return cmpU32(func(a, b uint32) bool { return f(int64(int16(a)), int64(int16(b))) }), 3
		default:
			return cmpU32(func(a, b uint32) bool { return f(int64(uint16(a)), int64(uint16(b))) }), 3
		}
	}
	return nil, 0
}

// compare64 returns the compare of a name such as "lt_f64".
func compare64(name string) func(a, b uint64) bool {
	cond, typ, _ := strings.Cut(name, "_")
	switch typ {
	case "f64":
		if cond == "class" {
			return func(a, b uint64) bool { return uint32(b)>>classOf(a, 52, 11)&1 != 0 }
		}
		if f := floatCondition(cond); f != nil {
			return func(a, b uint64) bool { return f(math.Float64frombits(a), math.Float64frombits(b)) }
		}
	case "i64":
		if f := intCondition(cond); f != nil {
			return func(a, b uint64) bool { return f(int64(a), int64(b)) }
		}
	case "u64":
		if f := intCondition(cond); f != nil {
			const bias = 1 << 63
			return func(a, b uint64) bool { return f(int64(a^bias), int64(b^bias)) }
		}
	}
	return nil
}

func classCompare(typ string) (compare, uint8) {
	switch typ {
	case "f32":
		return cmpU32(func(a, b uint32) bool { return b>>classOf(uint64(a), 23, 8)&1 != 0 }), 0
	case "f16":
		return cmpU32(func(a, b uint32) bool { return b>>classOf(uint64(a&0xffff), 10, 5)&1 != 0 }), 3
	}
	return nil, 0
}

// classOf returns the class bit of a float: 0 signalling NaN, 1 quiet NaN, 2
// -inf, 3 -normal, 4 -denormal, 5 -0, 6 +0, 7 +denormal, 8 +normal, 9 +inf.
func classOf(u uint64, fracBits, expBits uint) uint {
	frac := u & (1<<fracBits - 1)
	exp := u >> fracBits & (1<<expBits - 1)
	neg := u>>(fracBits+expBits)&1 != 0
	var k uint
	switch {
	case exp == 1<<expBits-1 && frac != 0:
		return uint(frac >> (fracBits - 1) & 1)
	case exp == 1<<expBits-1:
		k = 9
	case exp != 0:
		k = 8
	case frac != 0:
		k = 7
	default:
		k = 6
	}
	if neg {
		return 11 - k
	}
	return k
}
