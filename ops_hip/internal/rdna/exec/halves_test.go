package exec

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// h is the value of a binary16 pattern, from its fields.
func h(x uint32) float64 {
	e, m := int(x>>10&31), float64(x&1023)
	r := math.Ldexp(m, -24)
	switch {
	case e == 31 && m != 0:
		return math.NaN()
	case e == 31:
		r = math.Inf(1)
	case e > 0:
		r = math.Ldexp(1+m/1024, e-15)
	}
	if x>>15&1 != 0 {
		return -r
	}
	return r
}

// hb rounds to binary16: it compares x with the midpoint of the two neighbours.
func hb(x float64) uint32 {
	sign := uint32(0)
	if math.Signbit(x) {
		sign, x = 0x8000, -x
	}
	switch {
	case x != x:
		return 0x7e00
	case x >= 65520:
		return sign | 0x7c00
	}
	lo, hi := uint32(0), uint32(0x7c00)
	for hi-lo > 1 { // largest pattern that is not above x
		if mid := (lo + hi) / 2; h(mid) <= x {
			lo = mid
		} else {
			hi = mid
		}
	}
	up := h(lo + 1)
	if lo+1 == 0x7c00 {
		up = 65536
	}
	if d := x - h(lo) - (up - x); d > 0 || d == 0 && lo&1 != 0 {
		lo++
	}
	return sign | lo
}

func sameHalf(got, want uint32) bool {
	return got&0xffff == want&0xffff || h(got) != h(got) && h(want) != h(want)
}

func TestHalfConversions(t *testing.T) {
	for x := range uint32(1 << 16) {
		if got, want := float64(f16ToF32(uint16(x))), h(x); got != want && want == want {
			t.Fatalf("f16 %#x = %v, want %v", x, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		x := math.Float32frombits(r.Uint32())
		if r.IntN(2) == 0 {
			x = float32(h(r.Uint32()&0xffff)) * (1 + float32(r.IntN(3)-1)*0x1p-11)
		}
		if got, want := uint32(f32ToF16(x)), hb(float64(x)); !sameHalf(got, want) {
			t.Fatalf("f16(%v) = %#x, want %#x", x, got, want)
		}
		if x == x {
			rtz := f16ToF32(f32ToF16RTZ(x))
			if next := math.Abs(float64(f16ToF32(f32ToF16RTZ(x) + 1))); math.Abs(float64(rtz)) > math.Abs(
				float64(x)) || next <= math.Abs(float64(x)) && next < 65520 {
				t.Fatalf("f16(%v) towards zero = %v", x, rtz)
			}
		}
	}
}

// TestHalf runs 16-bit operations with op_sel on every operand: sources from the
// upper half, result into the upper half, and the other half kept.
func TestHalf(t *testing.T) {
	s16 := func(x uint32) int32 { return int32(int16(x)) }
	tests := []struct {
		name string
		n    int
		want func(a, b, c uint32) uint32
	}{
		{"v_add_f16", 2, func(a, b, _ uint32) uint32 { return hb(h(a) + h(b)) }},
		{"v_sub_f16", 2, func(a, b, _ uint32) uint32 { return hb(h(a) - h(b)) }},
		{"v_mul_f16", 2, func(a, b, _ uint32) uint32 { return hb(h(a) * h(b)) }},
		{"v_add_nc_u16", 2, func(a, b, _ uint32) uint32 { return a + b }},
		{"v_mul_lo_u16", 2, func(a, b, _ uint32) uint32 { return a * b }},
		{"v_max_i16", 2, func(a, b, _ uint32) uint32 { return uint32(max(s16(a), s16(b))) }},
		{"v_min_u16", 2, func(a, b, _ uint32) uint32 { return min(a, b) }},
		{"v_lshlrev_b16", 2, func(a, b, _ uint32) uint32 { return b << (a & 15) }},
		{"v_ashrrev_i16", 2, func(a, b, _ uint32) uint32 { return uint32(s16(b) >> (a & 15)) }},
		{"v_fma_f16", 3, func(a, b, c uint32) uint32 {
			// exact: the product has 22 bits, and where the sum needs more than 53 the
			// smaller part only breaks ties, which math.FMA sees
			return hb(math.FMA(h(a), h(b), h(c)))
		}},
		{"v_mad_u16", 3, func(a, b, c uint32) uint32 { return a*b + c }},
		{"v_med3_i16", 3, func(a, b, c uint32) uint32 {
			x, y, z := s16(a), s16(b), s16(c)
			return uint32(x + y + z - min(x, y, z) - max(x, y, z))
		}},
	}
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		r := rand.New(rand.NewPCG(2, 2))
		for _, c := range tests {
			for sel := range uint32(16) {
				if c.n == 2 && sel&4 != 0 {
					continue
				}
				var in [4]vec
				m := run(t, g, a.vop3(c.name, 3, mods{opsel: sel}, []uint32{v(0), v(1), v(2)}[:c.n]...),
					func(m *machine) { fill(r, m.w, 4); copy(in[:], m.w.v[:4]) }).ok()
				for i := range lanes {
					var x [3]uint32
					for k := range x {
						x[k] = in[k][i] >> (16 * (sel >> k & 1)) & 0xffff
					}
					want, got := c.want(x[0], x[1], x[2])&0xffff, m.w.v[3][i]
					kept, gotKept := in[3][i]&0xffff0000, got&0xffff0000
					if sel&8 != 0 {
						got, kept, gotKept = got>>16, in[3][i]&0xffff, got&0xffff
					}
					same := got&0xffff == want
					if c.name[len(c.name)-3:] == "f16" {
						same = sameHalf(got, want)
					}
					if !same || kept != gotKept {
						t.Fatalf("%s op_sel %04b of %#x %#x %#x: %#x, want %#x; other half %#x, want %#x", c.name, sel,
							x[0], x[1], x[2], got&0xffff, want, gotKept, kept)
					}
				}
			}
		}
	})
}

// TestPacked checks the packed operations under all half selections and negations.
func TestPacked(t *testing.T) {
	tests := []struct {
		name string
		n    int
		want func(a, b, c uint32) uint32
	}{
		{"v_pk_fma_f16", 3, func(a, b, c uint32) uint32 { return hb(math.FMA(h(a), h(b), h(c))) }},
		{"v_pk_add_f16", 2, func(a, b, _ uint32) uint32 { return hb(h(a) + h(b)) }},
		{"v_pk_mul_f16", 2, func(a, b, _ uint32) uint32 { return hb(h(a) * h(b)) }},
		{"v_pk_add_u16", 2, func(a, b, _ uint32) uint32 { return a + b }},
		{"v_pk_sub_i16", 2, func(a, b, _ uint32) uint32 { return a - b }},
		{"v_pk_mad_u16", 3, func(a, b, c uint32) uint32 { return a*b + c }},
		{"v_pk_lshlrev_b16", 2, func(a, b, _ uint32) uint32 { return b << (a & 15) }},
		{"v_pk_max_u16", 2, func(a, b, _ uint32) uint32 { return max(a, b) }},
	}
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		r := rand.New(rand.NewPCG(3, 3))
		for _, c := range tests {
			float := c.name[len(c.name)-3:] == "f16"
			for range 60 {
				md := mods{opsel: r.Uint32N(8), opselHi: r.Uint32N(8)}
				if float {
					md.neg, md.abs = r.Uint32N(8), r.Uint32N(8)
				}
				if c.n == 2 {
					md.opsel, md.opselHi, md.neg, md.abs = md.opsel&3, md.opselHi&3, md.neg&3, md.abs&3
				}
				var in [3]vec
				m := run(t, g, a.vop3p(c.name, 3, md, []uint32{v(0), v(1), v(2)}[:c.n]...),
					func(m *machine) { fill(r, m.w, 3); copy(in[:], m.w.v[:3]) }).ok()
				for i := range lanes {
					for half, sel := range []uint32{md.opsel, md.opselHi} {
						neg := []uint32{md.neg, md.abs}[half]
						var x [3]uint32
						for k := range x {
							x[k] = in[k][i]>>(16*(sel>>k&1))&0xffff ^ neg>>k&1<<15
						}
						want, got := c.want(x[0], x[1], x[2])&0xffff, m.w.v[3][i]>>(16*half)&0xffff
						if got != want && !(float && sameHalf(got, want)) {
							t.Fatalf("%s half %d %+v of %#x: %#x, want %#x", c.name, half, md, x, got, want)
						}
					}
				}
			}
		}
	})
}

func TestDot(t *testing.T) {
	field := func(x uint32, k, width int, signed bool) int64 {
		m := int64(1) << width
		y := int64(x>>(k*width)) & (m - 1)
		if signed && y >= m/2 {
			y -= m
		}
		return y
	}
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		r := rand.New(rand.NewPCG(4, 4))
		for _, c := range []struct {
			name  string
			width int
			signs bool
		}{{"v_dot4_i32_iu8", 8, true}, {"v_dot8_i32_iu4", 4, true}, {"v_dot4_u32_u8", 8, false},
			{"v_dot8_u32_u4", 4, false}} {
			for k := range uint32(8) {
				md := mods{opselHi: 7, neg: k & 3, clamp: k&4 != 0}
				if !c.signs {
					md.neg = 0
				}
				var in [3]vec
				m := run(t, g, a.vop3p(c.name, 3, md, v(0), v(1), v(2)),
					func(m *machine) { fill(r, m.w, 3); copy(in[:], m.w.v[:3]) }).ok()
				for i := range lanes {
					var p int64
					for j := range 32 / c.width {
						p += field(in[0][i], j, c.width, md.neg&1 != 0) * field(in[1][i], j, c.width, md.neg&2 != 0)
					}
					sum := p + int64(int32(in[2][i]))
					if !c.signs {
						sum = p + int64(in[2][i])
					}
					if md.clamp && c.signs {
						sum = max(math.MinInt32, min(sum, math.MaxInt32))
					} else if md.clamp {
						sum = min(sum, math.MaxUint32)
					}
					if m.w.v[3][i] != uint32(sum) {
						t.Fatalf("%s %+v lane %d: %d, want %d", c.name, md, i, int32(m.w.v[3][i]), int32(sum))
					}
				}
			}
		}
		var in [3]vec
		m := run(t, g, a.vop3p("v_dot2_f32_f16", 3, mods{opselHi: 7}, v(0), v(1), v(2)), func(m *machine) {
			for i := range lanes {
				m.w.v[0][i], m.w.v[1][i], m.w.v[2][i] = hb(r.NormFloat64())|hb(r.NormFloat64())<<16,
					hb(r.NormFloat64())|hb(r.NormFloat64())<<16, fb(float32(r.NormFloat64()))
			}
			copy(in[:], m.w.v[:3])
		}).ok()
		for i := range lanes {
			s := float32(h(in[0][i])*h(in[1][i]) + float64(f(in[2][i]))) // exact in binary64
			s = float32(h(in[0][i]>>16)*h(in[1][i]>>16) + float64(s))
			if got := f(m.w.v[3][i]); got != s {
				t.Fatalf("v_dot2_f32_f16 lane %d: %v, want %v", i, got, s)
			}
		}
	})
}

func TestMixedFMA(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		r := rand.New(rand.NewPCG(5, 5))
		for _, name := range []string{"v_fma_mix_f32", "v_fma_mixlo_f16", "v_fma_mixhi_f16"} {
			for range 60 {
				md := mods{opsel: r.Uint32N(8), opselHi: r.Uint32N(8), neg: r.Uint32N(8), abs: r.Uint32N(8)}
				var in [4]vec
				m := run(t, g, a.vop3p(name, 3, md, v(0), v(1), v(2)),
					func(m *machine) { fill(r, m.w, 4); copy(in[:], m.w.v[:4]) }).ok()
				for i := range lanes {
					var x [3]float32
					for k := range x {
						x[k] = f(in[k][i])
						if md.opselHi>>k&1 != 0 {
							x[k] = float32(h(in[k][i] >> (16 * (md.opsel >> k & 1)) & 0xffff))
						}
						if md.abs>>k&1 != 0 {
							x[k] = f(fb(x[k]) & 0x7fffffff)
						}
						if md.neg>>k&1 != 0 {
							x[k] = f(fb(x[k]) ^ 0x80000000)
						}
					}
					want, old, got := bigFMA(x[0], x[1], x[2]), in[3][i], m.w.v[3][i]
					var good bool
					switch name {
					case "v_fma_mix_f32":
						good = equalBits(got, fb(want), true)
					case "v_fma_mixlo_f16":
						good = sameHalf(got, hb(float64(want))) && got>>16 == old>>16
					default:
						good = sameHalf(got>>16, hb(float64(want))) && got&0xffff == old&0xffff
					}
					if !good {
						t.Fatalf("%s %+v of %v: %#x, want %v onto %#x", name, md, x, got, want, old)
					}
				}
			}
		}
	})
}

func TestCarryAndWide(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		r := rand.New(rand.NewPCG(6, 6))
		mad := "v_mad_u64_u32"
		if g == decode.GFX12 {
			mad = "v_mad_co_u64_u32"
		}
		code := a.vop3("v_add_co_u32", 10, mods{sdst: 20}, v(0), v(1))
		code = append(code, a.vop3("v_add_co_ci_u32", 11, mods{sdst: 21}, v(2), v(3), 20)...)
		code = append(code, a.vop3("v_sub_co_u32", 12, mods{sdst: 22}, v(0), v(1))...)
		code = append(code, a.vop3("v_sub_co_ci_u32", 13, mods{sdst: 23}, v(2), v(3), 22)...)
		code = append(code, a.vop3(mad, 14, mods{sdst: 24}, v(0), v(1), v(2))...)
		code = append(code, a.vop3("v_ashrrev_i64", 16, mods{}, v(1), v(2))...)
		var in [4]vec
		m := run(t, g, code, func(m *machine) { fill(r, m.w, 4); copy(in[:], m.w.v[:4]) }).ok()
		for i := range lanes {
			x, y := uint64(in[0][i])|uint64(in[2][i])<<32, uint64(in[1][i])|uint64(in[3][i])<<32
			sum, carry := bits.Add64(x, y, 0)
			diff, borrow := bits.Sub64(x, y, 0)
			c := uint64(in[2][i]) | uint64(in[3][i])<<32
			prod, over := bits.Add64(uint64(in[0][i])*uint64(in[1][i]), c, 0)
			got := func(lo, hi int) uint64 { return uint64(m.w.v[lo][i]) | uint64(m.w.v[hi][i])<<32 }
			if got(10, 11) != sum || got(12, 13) != diff || got(14, 15) != prod ||
				got(16, 17) != uint64(int64(c)>>(in[1][i]&63)) {
				t.Fatalf("lane %d: sum %#x, difference %#x, product %#x, shift %#x", i, got(10, 11), got(12, 13),
					got(14, 15), got(16, 17))
			}
			if uint64(m.w.s[21]>>i&1) != carry || uint64(m.w.s[23]>>i&1) != borrow || uint64(m.w.s[24]>>i&1) != over {
				t.Fatalf("lane %d: carries %d %d %d, want %d %d %d", i, m.w.s[21]>>i&1, m.w.s[23]>>i&1, m.w.s[24]>>i&1,
					carry, borrow, over)
			}
		}
	})
}

func TestCompare(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		r := rand.New(rand.NewPCG(7, 7))
		tests := map[string]func(a, b uint32) bool{
			"v_cmp_lt_i32":  func(a, b uint32) bool { return s(a) < s(b) },
			"v_cmp_ge_i32":  func(a, b uint32) bool { return s(a) >= s(b) },
			"v_cmp_le_u32":  func(a, b uint32) bool { return a <= b },
			"v_cmp_ne_u32":  func(a, b uint32) bool { return a != b },
			"v_cmp_gt_u16":  func(a, b uint32) bool { return a&0xffff > b&0xffff },
			"v_cmp_lt_i16":  func(a, b uint32) bool { return int16(a) < int16(b) },
			"v_cmp_lt_f32":  func(a, b uint32) bool { return f(a) < f(b) },
			"v_cmp_nlt_f32": func(a, b uint32) bool { return !(f(a) < f(b)) },
			"v_cmp_lg_f32":  func(a, b uint32) bool { return f(a) < f(b) || f(a) > f(b) },
			"v_cmp_u_f32":   func(a, b uint32) bool { return f(a) != f(a) || f(b) != f(b) },
			"v_cmp_ge_f16":  func(a, b uint32) bool { return h(a) >= h(b) },
		}
		for name, want := range tests {
			var in [2]vec
			m := run(t, g, a.vop3(name, 20, mods{}, v(0), v(1)), func(m *machine) {
				fill(r, m.w, 2)
				m.w.v[1][3], m.w.s[execIdx] = m.w.v[0][3], 0x7fffffff
				copy(in[:], m.w.v[:2])
			}).ok()
			for i := range lanes - 1 {
				if got := m.w.s[20]>>i&1 != 0; got != want(in[0][i], in[1][i]) {
					t.Fatalf("%s(%#x, %#x) = %v", name, in[0][i], in[1][i], got)
				}
			}
			if m.w.s[20]>>31 != 0 {
				t.Errorf("%s sets the bit of an inactive lane", name)
			}
		}
		m := run(t, g, a.vop3("v_cmpx_gt_u32", execIdx, mods{}, 144, v(0)), func(m *machine) {
			for i := range lanes {
				m.w.v[0][i] = uint32(i)
			}
		}).ok()
		if m.w.exec() != 0xffff {
			t.Errorf("v_cmpx: EXEC %#x, want 0xffff", m.w.exec())
		}
	})
}
