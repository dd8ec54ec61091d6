package exec

import (
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// TestScalar32 compares SOP2 results and SCC with 64-bit arithmetic.
func TestScalar32(t *testing.T) {
	type result struct {
		r   uint32
		scc int // -1: unchanged
	}
	nz := func(r uint32) result { return result{r, int(b2u(r != 0))} }
	overflow := func(x int64) result { return result{uint32(x), int(b2u(x != int64(int32(x))))} }
	tests := []struct {
		name, gfx12 string
		want        func(a, b, scc uint32) result
	}{
		{"s_add_u32", "s_add_co_u32",
			func(a, b, _ uint32) result { return result{a + b, int((uint64(a) + uint64(b)) >> 32)} }},
		{"s_sub_u32", "s_sub_co_u32", func(a, b, _ uint32) result { return result{a - b, int(b2u(a < b))} }},
		{"s_add_i32", "s_add_co_i32", func(a, b, _ uint32) result { return overflow(s(a) + s(b)) }},
		{"s_sub_i32", "s_sub_co_i32", func(a, b, _ uint32) result { return overflow(s(a) - s(b)) }},
		{"s_addc_u32", "s_add_co_ci_u32", func(a, b, c uint32) result {
			x := uint64(a) + uint64(b) + uint64(c)
			return result{uint32(x), int(x >> 32)}
		}},
		{"s_subb_u32", "s_sub_co_ci_u32", func(a, b, c uint32) result {
			x := int64(a) - int64(b) - int64(c)
			return result{uint32(x), int(b2u(x < 0))}
		}},
		{"s_lshl_b32", "", func(a, b, _ uint32) result { return nz(a << (b % 32)) }},
		{"s_lshr_b32", "", func(a, b, _ uint32) result { return nz(a >> (b % 32)) }},
		{"s_ashr_i32", "", func(a, b, _ uint32) result { return nz(uint32(s(a) >> (b % 32))) }},
		{"s_lshl3_add_u32", "", func(a, b, _ uint32) result {
			x := uint64(a)*8 + uint64(b)
			return result{uint32(x), int(b2u(x>>32 != 0))}
		}},
		{"s_min_i32", "", func(a, b,
			_ uint32) result {
			return result{uint32(min(s(a), s(b))), int(b2u(s(a) < s(b)))}
		}},
		{"s_max_u32", "", func(a, b, _ uint32) result { return result{max(a, b), int(b2u(a >= b))} }},
		{"s_and_b32", "", func(a, b, _ uint32) result { return nz(a & b) }},
		{"s_and_not1_b32", "", func(a, b, _ uint32) result { return nz(a & ^b) }},
		{"s_or_not1_b32", "", func(a, b, _ uint32) result { return nz(a | ^b) }},
		{"s_nand_b32", "", func(a, b, _ uint32) result { return nz(^(a & b)) }},
		{"s_bfe_u32", "", func(a, b, _ uint32) result {
			return nz(uint32(uint64(a) >> (b % 32) & (1<<min(b>>16%128, 32) - 1)))
		}},
		{"s_bfe_i32", "", func(a, b, _ uint32) result {
			w := min(b>>16%128, 32)
			if w == 0 {
				return nz(0)
			}
			x := s(a) >> (b % 32)
			return nz(uint32(x << (64 - w) >> (64 - w)))
		}},
		{"s_bfm_b32", "", func(a, b, _ uint32) result { return result{(1<<(a%32) - 1) << (b % 32), -1} }},
		{"s_mul_i32", "", func(a, b, _ uint32) result { return result{uint32(s(a) * s(b)), -1} }},
		{"s_mul_hi_u32", "", func(a, b, _ uint32) result { hi, _ := bits.Mul32(a, b); return result{hi, -1} }},
		{"s_mul_hi_i32", "", func(a, b, _ uint32) result { return result{uint32(s(a) * s(b) >> 32), -1} }},
		{"s_absdiff_i32", "", func(a, b, _ uint32) result {
			d := uint32(s(a) - s(b))
			if int32(d) < 0 {
				d = -d
			}
			return nz(d)
		}},
		{"s_pack_lh_b32_b16", "", func(a, b, _ uint32) result { return result{a%65536 + b/65536*65536, -1} }},
		{"s_cselect_b32", "", func(a, b, c uint32) result {
			if c != 0 {
				return result{a, -1}
			}
			return result{b, -1}
		}},
	}
	each(t, func(t *testing.T, g decode.Gen) {
		r := rand.New(rand.NewPCG(1, 1))
		a := asm{t, g}
		for _, c := range tests {
			name := c.name
			if g == decode.GFX12 && c.gfx12 != "" {
				name = c.gfx12
			}
			for range 200 {
				x, y, scc := interesting[r.IntN(len(interesting))], r.Uint32(), r.Uint32N(2)
				if r.IntN(2) == 0 {
					x, y = r.Uint32(), interesting[r.IntN(len(interesting))]
				}
				m := run(t, g, a.sop2(name, 9, 4, 5),
					func(m *machine) { m.w.s[4], m.w.s[5], m.w.s[sccIdx] = x, y, scc }).ok()
				want := c.want(x, y, scc)
				if want.scc < 0 {
					want.scc = int(scc)
				}
				if got := (result{m.w.s[9], int(m.w.s[sccIdx])}); got != want {
					t.Fatalf("%s(%#x, %#x) with SCC %d = %+v, want %+v", name, x, y, scc, got, want)
				}
			}
		}
	})
}

func TestScalarMasksAndNull(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		for _, c := range []struct {
			name string
			want func(s, e uint32) uint32
		}{
			{"s_and_saveexec_b32", func(s, e uint32) uint32 { return s & e }},
			{"s_or_saveexec_b32", func(s, e uint32) uint32 { return s | e }},
			{"s_xor_saveexec_b32", func(s, e uint32) uint32 { return s ^ e }},
			{"s_and_not1_saveexec_b32", func(s, e uint32) uint32 { return s & ^e }},
			{"s_and_not0_saveexec_b32", func(s, e uint32) uint32 { return ^s & e }},
			{"s_or_not1_saveexec_b32", func(s, e uint32) uint32 { return s | ^e }},
		} {
			m := run(t, g, a.sop1(c.name, 9, 4),
				func(m *machine) { m.w.s[4], m.w.s[execIdx] = 0xf0f0ff00, 0x00ffff0f }).ok()
			if m.w.s[9] != 0x00ffff0f || m.w.exec() != c.want(0xf0f0ff00, 0x00ffff0f) ||
				m.w.s[sccIdx] != b2u(m.w.exec() != 0) {
				t.Errorf("%s: saved %#x, EXEC %#x, SCC %d", c.name, m.w.s[9], m.w.exec(), m.w.s[sccIdx])
			}
		}
		// writes to null vanish and do not touch M0, which follows it
		m := run(t, g, append(a.sop1("s_mov_b64", decode.Null, 193), a.sop1("s_mov_b64", 8, decode.Null)...),
			func(m *machine) { m.w.s[m0Idx] = 77 }).ok()
		if m.w.s[m0Idx] != 77 || m.w.s64(8) != 0 {
			t.Errorf("null: M0 is %d, null reads %#x", m.w.s[m0Idx], m.w.s64(8))
		}
		// 64-bit operations
		m = run(t, g, append(a.sop2("s_lshl_b64", 8, 4, 6), a.sop2("s_ashr_i64", 10, 4, 6)...),
			func(m *machine) { m.w.setS64(4, 0x8000000180000001); m.w.s[6] = 68 }).ok()
		if m.w.s64(8) != 0x0000001800000010 || m.w.s64(10) != 0xf800000018000000 {
			t.Errorf("64-bit shifts: %#x, %#x", m.w.s64(8), m.w.s64(10))
		}
		if g == decode.GFX12 {
			m = run(t, g, append(a.sop2("s_mul_u64", 8, 4, 6), a.sop2("s_add_nc_u64", 10, 4, 6)...),
				func(m *machine) { m.w.setS64(4, 0x123456789abcdef1); m.w.setS64(6, 0xfedcba9876543210) }).ok()
			x, y := uint64(0x123456789abcdef1), uint64(0xfedcba9876543210)
			if m.w.s64(8) != x*y || m.w.s64(10) != x+y {
				t.Errorf("64-bit arithmetic: %#x, %#x", m.w.s64(8), m.w.s64(10))
			}
		}
	})
}

// TestScalarFloat checks the scalar float unit of RDNA3.5 and RDNA4, and that
// RDNA3 has none.
func TestScalarFloat(t *testing.T) {
	if (asm{t, decode.GFX11}).has(decode.SOP2, "s_add_f32") {
		t.Error("gfx11 decodes s_add_f32")
	}
	for _, g := range gens[1:] {
		a := asm{t, g}
		code := append(a.sop2("s_add_f32", 8, 4, 5), a.sop2("s_mul_f32", 9, 4, 5)...)
		code = append(code, a.sop2("s_fmac_f32", 10, 4, 5)...)
		code = append(code, a.sop1("s_cvt_i32_f32", 11, 4)...)
		code = append(code, a.sop1("s_ceil_f32", 12, 4)...)
		code = append(code, a.sop2("s_cvt_pk_rtz_f16_f32", 13, 4, 5)...)
		m := run(t, g, code, func(m *machine) { m.w.s[4], m.w.s[5], m.w.s[10] = fb(2.75), fb(-3), fb(10) }).ok()
		for i, want := range []uint32{fb(-0.25), fb(-8.25), fb(1.75), 2, fb(3), 0xc2004180} {
			if m.w.s[8+i] != want {
				t.Errorf("generation %d, result %d: %#x, want %#x", g, i, m.w.s[8+i], want)
			}
		}
	}
}
