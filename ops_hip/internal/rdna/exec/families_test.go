package exec

import (
	"math"
	"math/big"
	"math/bits"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

type def struct {
	name string
	n    int
	want func(a, b, c uint32) uint32
}

func s(x uint32) int64 { return int64(int32(x)) }

// shift shifts without the masking that hardware and Go share.
func shift(x int64, n uint32) int64 { return x << (n % 32) }

func TestVectorInteger(t *testing.T) {
	tests := []def{
		{"v_add_nc_u32", 2, func(a, b, _ uint32) uint32 { return uint32(uint64(a) + uint64(b)) }},
		{"v_sub_nc_u32", 2, func(a, b, _ uint32) uint32 { return uint32(uint64(a) - uint64(b)) }},
		{"v_subrev_nc_u32", 2, func(a, b, _ uint32) uint32 { return uint32(uint64(b) - uint64(a)) }},
		{"v_and_b32", 2, func(a, b, _ uint32) uint32 { return ^(^a | ^b) }},
		{"v_or_b32", 2, func(a, b, _ uint32) uint32 { return ^(^a & ^b) }},
		{"v_xor_b32", 2, func(a, b, _ uint32) uint32 { return a&^b | b&^a }},
		{"v_xnor_b32", 2, func(a, b, _ uint32) uint32 { return a&b | ^a&^b }},
		{"v_not_b32", 1, func(a, _, _ uint32) uint32 { return -a - 1 }},
		{"v_lshlrev_b32", 2, func(a, b, _ uint32) uint32 { return uint32(shift(int64(b), a)) }},
		{"v_lshrrev_b32", 2, func(a, b, _ uint32) uint32 { return uint32(uint64(b) / (1 << (a % 32))) }},
		{"v_ashrrev_i32", 2, func(a,
			b, _ uint32) uint32 {
			return uint32(math.Floor(float64(int32(b)) / float64(int64(1)<<(a%32))))
		}},
		{"v_min_i32", 2, func(a, b, _ uint32) uint32 { return uint32(min(s(a), s(b))) }},
		{"v_max_i32", 2, func(a, b, _ uint32) uint32 { return uint32(max(s(a), s(b))) }},
		{"v_min_u32", 2, func(a, b, _ uint32) uint32 { return uint32(min(uint64(a), uint64(b))) }},
		{"v_max_u32", 2, func(a, b, _ uint32) uint32 { return uint32(max(uint64(a), uint64(b))) }},
		{"v_mul_lo_u32", 2, func(a, b, _ uint32) uint32 { return uint32(uint64(a) * uint64(b) % (1 << 32)) }},
		{"v_mul_hi_u32", 2, func(a, b, _ uint32) uint32 { hi, _ := bits.Mul32(a, b); return hi }},
		{"v_mul_hi_i32", 2, func(a, b, _ uint32) uint32 { return uint32(s(a) * s(b) >> 32) }},
		{"v_mul_u32_u24", 2, func(a, b, _ uint32) uint32 { return uint32(uint64(a%(1<<24)) * uint64(b%(1<<24))) }},
		{"v_mul_i32_i24", 2, func(a, b, _ uint32) uint32 { return uint32(s(a<<8) / 256 * (s(b<<8) / 256)) }},
		{"v_mad_u32_u24", 3, func(a,
			b, c uint32) uint32 {
			return uint32(uint64(a%(1<<24))*uint64(b%(1<<24)) + uint64(c))
		}},
		{"v_bfe_u32", 3, func(a, b, c uint32) uint32 { return uint32(uint64(a) >> (b % 32) % (1 << (c % 32))) }},
		{"v_bfe_i32", 3, func(a, b, c uint32) uint32 {
			if c %= 32; c == 0 {
				return 0
			}
			x := s(a) >> (b % 32) & (1<<c - 1)
			if x>>(c-1) != 0 {
				x -= 1 << c
			}
			return uint32(x)
		}},
		{"v_bfi_b32", 3, func(a, b, c uint32) uint32 { return c ^ a&(b^c) }},
		{"v_alignbit_b32", 3, func(a, b,
			c uint32) uint32 {
			return uint32((uint64(a)<<32 + uint64(b)) / (1 << (c % 32)))
		}},
		{"v_alignbyte_b32", 3, func(a, b,
			c uint32) uint32 {
			return uint32((uint64(a)<<32 + uint64(b)) / (1 << (c % 4 * 8)))
		}},
		{"v_perm_b32", 3, func(a, b, c uint32) uint32 {
			bytes := []uint32{b & 255, b >> 8 & 255, b >> 16 & 255, b >> 24, a & 255, a >> 8 & 255, a >> 16 & 255,
				a >> 24}
			var r uint32
			for k := range 4 {
				sel := c >> (8 * k) & 255
				var x uint32
				switch {
				case sel < 8:
					x = bytes[sel]
				case sel < 12:
					x = 255 * (bytes[2*(sel-8)+1] >> 7)
				case sel > 12:
					x = 255
				}
				r |= x << (8 * k)
			}
			return r
		}},
		{"v_add3_u32", 3, func(a, b, c uint32) uint32 { return uint32(uint64(a) + uint64(b) + uint64(c)) }},
		{"v_lshl_add_u32", 3, func(a, b, c uint32) uint32 { return uint32(shift(int64(a), b)) + c }},
		{"v_add_lshl_u32", 3, func(a, b, c uint32) uint32 { return uint32(shift(int64(a)+int64(b), c)) }},
		{"v_lshl_or_b32", 3, func(a, b, c uint32) uint32 { return uint32(shift(int64(a), b)) | c }},
		{"v_and_or_b32", 3, func(a, b, c uint32) uint32 { return ^(^(a & b) & ^c) }},
		{"v_or3_b32", 3, func(a, b, c uint32) uint32 { return ^(^a & ^b & ^c) }},
		{"v_xor3_b32", 3, func(a, b, c uint32) uint32 { return a ^ b ^ c }},
		{"v_xad_u32", 3, func(a, b, c uint32) uint32 { return (a&^b | b&^a) + c }},
		{"v_min3_u32", 3, func(a, b, c uint32) uint32 { return uint32(min(uint64(a), uint64(b), uint64(c))) }},
		{"v_max3_i32", 3, func(a, b, c uint32) uint32 { return uint32(max(s(a), s(b), s(c))) }},
		{"v_med3_i32", 3, func(a, b, c uint32) uint32 {
			return uint32(s(a) + s(b) + s(c) - min(s(a), s(b), s(c)) - max(s(a), s(b), s(c)))
		}},
		{"v_maxmin_u32", 3, func(a, b, c uint32) uint32 { return min(max(a, b), c) }},
		{"v_bcnt_u32_b32", 2, func(a, b, _ uint32) uint32 {
			for ; a != 0; a &= a - 1 {
				b++
			}
			return b
		}},
		{"v_bfrev_b32", 1, func(a, _, _ uint32) uint32 {
			var r uint32
			for k := range 32 {
				r |= a >> k & 1 << (31 - k)
			}
			return r
		}},
		{"v_clz_i32_u32", 1, func(a, _, _ uint32) uint32 {
			for k := range uint32(32) {
				if a>>(31-k)&1 != 0 {
					return k
				}
			}
			return ^uint32(0)
		}},
		{"v_ctz_i32_b32", 1, func(a, _, _ uint32) uint32 {
			for k := range uint32(32) {
				if a>>k&1 != 0 {
					return k
				}
			}
			return ^uint32(0)
		}},
		{"v_sad_u8", 3, func(a, b, c uint32) uint32 {
			for k := 0; k < 32; k += 8 {
				c += uint32(math.Abs(float64(a>>k&255) - float64(b>>k&255)))
			}
			return c
		}},
		{"v_cvt_pk_u16_u32", 2, func(a, b, _ uint32) uint32 { return min(a, 65535) + min(b, 65535)*65536 }},
		{"v_mad_u32_u16", 3, func(a, b, c uint32) uint32 { return a%65536*(b%65536) + c }},
	}
	each(t, func(t *testing.T, g decode.Gen) {
		for _, d := range tests {
			check3(t, g, d.name, d.n, false, d.want)
		}
	})
}

// bigFMA rounds a*b+c once with arbitrary precision.
func bigFMA(a, b, c float32) float32 {
	x, y, z := float64(a), float64(b), float64(c)
	if math.IsNaN(x*y+z) || math.IsInf(x*y+z, 0) {
		return float32(x*y + z)
	}
	exact := new(big.Float).SetPrec(2000).Mul(big.NewFloat(x), big.NewFloat(y))
	exact.Add(exact, big.NewFloat(z))
	r, _ := exact.Float32()
	if r == 0 && exact.Sign() == 0 { // the sign of an exact zero is that of floating-point addition
		return float32(x*y + z)
	}
	return r
}

func trans(fn func(float64) float64) func(a, _, _ uint32) uint32 {
	flush := func(u uint32) uint32 {
		if math.Abs(float64(f(u))) < 0x1p-126 {
			return u & 0x80000000
		}
		return u
	}
	return func(a, _, _ uint32) uint32 { return flush(fb(float32(fn(float64(f(flush(a))))))) }
}

func TestVectorFloat(t *testing.T) {
	number := func(pick func(a, b float64) float64) func(a, b, _ uint32) uint32 {
		return func(a, b, _ uint32) uint32 {
			switch x, y := f(a), f(b); {
			case x != x && y != y:
				return 0x7fc00000
			case x != x:
				return b
			case y != y:
				return a
			default:
				return fb(float32(pick(float64(x), float64(y))))
			}
		}
	}
	// in IEEE mode a signalling NaN comes out as a quiet one
	quiet := func(w func(a, b, c uint32) uint32) func(a, b, c uint32) uint32 {
		return func(a, b, c uint32) uint32 {
			for _, x := range [...]uint32{a, b} {
				if f(x) != f(x) && x>>22&1 == 0 {
					return x | 1<<22
				}
			}
			return w(a, b, c)
		}
	}
	each(t, func(t *testing.T, g decode.Gen) {
		tests := []def{
			{"v_add_f32", 2, func(a, b, _ uint32) uint32 { return fb(f(a) + f(b)) }},
			{"v_sub_f32", 2, func(a, b, _ uint32) uint32 { return fb(f(a) - f(b)) }},
			{"v_subrev_f32", 2, func(a, b, _ uint32) uint32 { return fb(f(b) - f(a)) }},
			{"v_mul_f32", 2, func(a, b, _ uint32) uint32 { return fb(f(a) * f(b)) }},
			{"v_fma_f32", 3, func(a, b, c uint32) uint32 { return fb(bigFMA(f(a), f(b), f(c))) }},
			{"v_fmac_f32", 2, func(a, b, c uint32) uint32 { return fb(bigFMA(f(a), f(b), f(c))) }},
			{"v_min_num_f32", 2, number(math.Min)},
			{"v_max_num_f32", 2, number(math.Max)},
			{"v_min_f32", 2, quiet(number(math.Min))},
			{"v_max_f32", 2, quiet(number(math.Max))},
			{"v_minimum_f32", 2, func(a,
				b, _ uint32) uint32 {
				return fb(float32(math.Min(float64(f(a)), float64(f(b)))))
			}},
			{"v_trunc_f32", 1, func(a, _, _ uint32) uint32 { return fb(float32(math.Trunc(float64(f(a))))) }},
			{"v_floor_f32", 1, func(a, _, _ uint32) uint32 { return fb(float32(math.Floor(float64(f(a))))) }},
			{"v_ceil_f32", 1, func(a, _, _ uint32) uint32 { return fb(float32(math.Ceil(float64(f(a))))) }},
			{"v_rndne_f32", 1, func(a, _, _ uint32) uint32 { return fb(float32(math.RoundToEven(float64(f(a))))) }},
			{"v_cvt_f32_i32", 1, func(a, _, _ uint32) uint32 { return fb(float32(int32(a))) }},
			{"v_cvt_f32_u32", 1, func(a, _, _ uint32) uint32 { return fb(float32(a)) }},
			{"v_cvt_f32_ubyte2", 1, func(a, _, _ uint32) uint32 { return fb(float32(a / 65536 % 256)) }},
			{"v_cvt_i32_f32", 1, func(a, _, _ uint32) uint32 {
				x := float64(f(a))
				if x != x {
					return 0
				}
				return uint32(int32(int64(math.Max(-1<<31, math.Min(math.Trunc(x), 1<<31-1)))))
			}},
			{"v_cvt_u32_f32", 1, func(a, _, _ uint32) uint32 {
				x := float64(f(a))
				if x != x {
					return 0
				}
				return uint32(int64(math.Max(0, math.Min(math.Trunc(x), 1<<32-1))))
			}},
			{"v_ldexp_f32", 2, func(a, b,
				_ uint32) uint32 {
				return fb(float32(math.Ldexp(float64(f(a)), int(int32(b)))))
			}},
			{"v_rcp_f32", 1, trans(func(x float64) float64 { return 1 / x })},
			{"v_rsq_f32", 1, trans(func(x float64) float64 { return 1 / math.Sqrt(x) })},
			{"v_sqrt_f32", 1, trans(math.Sqrt)},
			{"v_exp_f32", 1, trans(math.Exp2)},
			{"v_log_f32", 1, trans(math.Log2)},
			{"v_mul_dx9_zero_f32", 2, func(a, b, _ uint32) uint32 {
				if f(a) == 0 || f(b) == 0 {
					return 0
				}
				return fb(f(a) * f(b))
			}},
		}
		for _, d := range tests {
			check3(t, g, d.name, d.n, true, d.want)
		}
		check3(t, g, "v_sin_f32", 1, true, func(a, _, _ uint32) uint32 {
			x := float64(f(a))
			switch {
			case math.Abs(x) > 256:
				return 0
			case math.Abs(x) < 0x1p-126:
				return a & 0x80000000
			}
			// exact at quarter turns, else the library's sine of the reduced angle
			turn := math.Mod(x, 1)
			if q := turn * 4; q == math.Trunc(q) {
				return fb(float32([]float64{0, 1, 0, -1}[((int(q)%4)+4)%4]))&0x7fffffff | fb(
					float32(math.Copysign(1, x*[]float64{1, 1, 1, -1}[((int(math.Abs(q))%4)+4)%4])))&0x80000000
			}
			return fb(float32(math.Sin(2 * math.Pi * turn)))
		})
	})
}

func TestFMAExactTies(t *testing.T) {
	// products and addends whose sum lies next to a tie of binary32, where rounding
	// the sum to binary64 first gives another result
	cases := [][3]float32{
		{1 + 0x1p-12, 1 - 0x1p-12, 0x1p-60}, {1 + 0x1p-23, 1 + 0x1p-23, -0x1p-47}, {0x1p100, 0x1p-40, 0x1p36},
		{0x1.000002p0, 0x1.000002p0, 0x1p-80},
		{0x1p-75, 0x1p-75, 0x1p-149}, {0x1.8p-75, 0x1p-75, 0x1p-149}, {0x1.000002p-64, 0x1.fffffep-64, 0x1p-126},
		{-0x1p-126, 0x1p-30, 0x1p-126},
		{0x1.fffffep127, 1, 0x1p103}, {0x1.fffffep127, 1, 0x1p102}, {0x1p24 + 2, 0x1p24 + 2, 1},
		{0x1.000004p23, 0x1.000004p23, 0x1p-20},
	}
	for _, c := range cases {
		for _, sign := range []float32{1, -1} {
			if got, want := fma32(sign*c[0], c[1], c[2]), bigFMA(sign*c[0], c[1], c[2]); got != want {
				t.Errorf("fma(%g, %g, %g) = %g, want %g", sign*c[0], c[1], c[2], got, want)
			}
		}
	}
}

func TestInlineConstants(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		for code, want := range map[uint32]float64{240: 0.5, 241: -0.5, 242: 1, 243: -1, 244: 2, 245: -2, 246: 4,
			247: -4, 248: 1 / (2 * math.Pi)} {
			m := run(t, g, append(a.vop3("v_mov_b32", 1, mods{}, code), a.vop3("v_add_f64", 2, mods{}, code, 128)...),
				nil).ok()
			if got := m.w.v[1][7]; got != fb(float32(want)) {
				t.Errorf("constant %d as f32 = %#x, want %#x", code, got, fb(float32(want)))
			}
			if got := math.Float64frombits(m.w.lane64(2, 7, 8)); got != want {
				t.Errorf("constant %d as f64 = %v, want %v", code, got, want)
			}
			m = run(t, g, a.vop3("v_add_f16", 1, mods{}, code, 128), nil).ok()
			if got := f16ToF32(uint16(m.w.v[1][7])); math.Abs(float64(got)-want) > 1e-4 {
				t.Errorf("constant %d as f16 = %v, want %v", code, got, want)
			}
		}
		for code, want := range map[uint32]int32{128: 0, 129: 1, 192: 64, 193: -1, 208: -16} {
			if got := run(t, g, a.vop3("v_mov_b32", 1, mods{}, code), nil).ok().w.v[1][7]; int32(got) != want {
				t.Errorf("constant %d = %d, want %d", code, int32(got), want)
			}
		}
	})
}

func TestFloatModifiers(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		tests := []struct {
			name string
			m    mods
			x, y float32
			want float32
		}{
			{"neg", mods{neg: 1}, 3, 4, 1},
			{"abs", mods{abs: 2}, 3, -4, 7},
			{"neg of abs", mods{neg: 2, abs: 2}, 3, -4, -1},
			{"clamp above", mods{clamp: true}, 3, 4, 1},
			{"clamp below", mods{clamp: true}, -3, 1, 0},
			{"clamp inside", mods{clamp: true}, 0.25, 0.5, 0.75},
			{"clamp of NaN", mods{clamp: true}, float32(math.NaN()), 1, 0},
			{"times 2", mods{omod: 1}, 3, 4, 14},
			{"times 4", mods{omod: 2}, 3, 4, 28},
			{"half", mods{omod: 3}, 3, 4, 3.5},
		}
		for _, c := range tests {
			m := run(t, g, a.vop3("v_add_f32", 2, c.m, v(0), v(1)),
				func(m *machine) { splat(&m.w.v[0], fb(c.x)); splat(&m.w.v[1], fb(c.y)) }).ok()
			if got := f(m.w.v[2][9]); got != c.want {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
	})
}

// TestExecMask checks that inactive lanes keep their registers in the fast, the
// modified and the wide path.
func TestExecMask(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		code := append(a.vop3("v_add_nc_u32", 4, mods{}, v(0), v(1)),
			a.vop3("v_add_f32", 5, mods{neg: 1}, v(0), v(1))...)
		code = append(code, a.vop3("v_lshrrev_b64", 6, mods{}, 129, v(0))...)
		m := run(t, g, code, func(m *machine) {
			m.w.s[execIdx] = 0x0ff0f00f
			for k := range 8 {
				splat(&m.w.v[k], uint32(100+k))
			}
		}).ok()
		for i := range lanes {
			active := 0x0ff0f00f>>i&1 != 0
			for r := 4; r < 8; r++ {
				if changed := m.w.v[r][i] != uint32(100+r); changed != active {
					t.Fatalf("v%d lane %d changed: %v, active: %v", r, i, changed, active)
				}
			}
		}
	})
}
