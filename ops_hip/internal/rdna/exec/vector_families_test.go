package exec

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// TestDual runs two operations in one instruction. Both read their sources before either writes, also where one
// writes what the other reads.
func TestDual(t *testing.T) {
	const mul, add, mov, cndmask, sub, addU, lshl, and = 3, 4, 8, 9, 5, 16, 17, 18
	type half struct {
		op, d, a, b uint32 // b is a VGPR number
		want        func(old *[16]uint32) uint32
	}
	float := func(f2 func(a, b float32) float32, a, b int) func(*[16]uint32) uint32 {
		return func(o *[16]uint32) uint32 { return fb(f2(f(o[a]), f(o[b]))) }
	}
	plus, times, minus := func(a, b float32) float32 { return a + b }, func(a, b float32) float32 { return a * b },
		func(a, b float32) float32 { return a - b }
	each(t, func(t *testing.T, g decode.Gen) {
		for _, c := range []struct {
			name string
			x, y half
		}{
			{"independent", half{mul, 4, v(0), 1, float(times, 0, 1)}, half{add, 5, v(2), 3, float(plus, 2, 3)}},
			{"Y reads what X writes", half{mul, 4, v(0), 1, float(times, 0, 1)},
				half{add, 5, v(4), 3, float(plus, 4, 3)}},
			{"X reads what Y writes", half{mul, 4, v(5), 1, float(times, 5, 1)},
				half{sub, 5, v(2), 3, float(minus, 2, 3)}},
			{"an exchange", half{mov, 4, v(5), 0, func(o *[16]uint32) uint32 { return o[5] }},
				half{mov, 5, v(4), 0, func(o *[16]uint32) uint32 { return o[4] }}},
			{"integers in Y", half{add, 6, v(0), 1, float(plus, 0, 1)},
				half{addU, 7, v(2), 3, func(o *[16]uint32) uint32 { return o[2] + o[3] }}},
			{"a shift and a constant", half{mul, 6, 242, 1, func(o *[16]uint32) uint32 { return fb(f(o[1]) * 1) }},
				half{lshl, 7, 131, 3, func(o *[16]uint32) uint32 { return o[3] * 8 }}},
			{"a selection", half{cndmask, 4, v(0), 1, nil},
				half{and, 5, v(2), 3, func(o *[16]uint32) uint32 { return o[2] & o[3] }}},
		} {
			words := []uint32{0x32<<26 | c.x.op<<22 | c.y.op<<17 | c.x.b<<9 | c.x.a,
				c.x.d<<24 | c.y.d>>1<<17 | c.y.b<<9 | c.y.a}
			for _, exec := range []uint32{fullExec, 0x0ff0a5a5} {
				var in [16]vec
				m := run(t, g, words, func(m *machine) {
					fill(rand.New(rand.NewPCG(21, 21)), m.w, 16)
					copy(in[:], m.w.v[:16])
					m.w.s[execIdx], m.w.s[vccIdx] = exec, 0x3333cccc
				}).ok()
				for i := range lanes {
					var old [16]uint32
					for r := range old {
						old[r] = in[r][i]
					}
					want := old
					if exec>>i&1 != 0 {
						if c.x.want == nil { // the selection: VCC picks the second source
							want[c.x.d] = old[0x3333cccc>>i&1]
						} else {
							want[c.x.d] = c.x.want(&old)
						}
						want[c.y.d] = c.y.want(&old)
					}
					for r := range want {
						if got := m.w.v[r][i]; !equalBits(got, want[r], true) {
							t.Fatalf("%s: v%d lane %d = %#x, want %#x", c.name, r, i, got, want[r])
						}
					}
				}
			}
		}
	})
}

// TestLaneMoves checks the moves between scalars and single lanes, selections and the count of lower lanes.
func TestLaneMoves(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		// the first active lane is 4
		const exec = 0x00f0f030
		// lane 3, modulo 32, active or not
		code := a.vop3("v_readlane_b32", 20, mods{}, v(0), 128+35)
		code = append(code, a.vop3("v_writelane_b32", 1, mods{}, 128+9, 128+2)...) // lane 2, active or not
		code = append(code, a.vop3("v_cndmask_b32", 3, mods{}, v(0), v(2), 22)...) // by a mask
		// set bits of lower lanes, plus 5
		code = append(code, a.vop3("v_mbcnt_lo_u32_b32", 4, mods{}, 23, 128+5)...)
		code = append(code, 0x3f<<25|21<<17|a.op(decode.VOP1, "v_readfirstlane_b32")<<9|v(0)) // VOP1
		var in [5]vec
		m := run(t, g, code, func(m *machine) {
			fill(rand.New(rand.NewPCG(22, 22)), m.w, 5)
			copy(in[:], m.w.v[:5])
			m.w.s[execIdx], m.w.s[22], m.w.s[23] = exec, 0x5a5a5a5a, 0xf00ff00f
		}).ok()
		if m.w.s[20] != in[0][3] || m.w.s[21] != in[0][4] {
			t.Errorf("lane 3 read as %#x and the first active lane as %#x, want %#x and %#x", m.w.s[20], m.w.s[21],
				in[0][3], in[0][4])
		}
		for i := range lanes {
			want := [5]uint32{1: in[1][i], 3: in[3][i], 4: in[4][i]}
			if i == 2 {
				want[1] = 9
			}
			if exec>>i&1 != 0 {
				want[3], want[4] = in[0][i], 5
				if 0x5a5a5a5a>>i&1 != 0 {
					want[3] = in[2][i]
				}
				for k := range i {
					want[4] += 0xf00ff00f >> k & 1
				}
			}
			for _, r := range []int{1, 3, 4} {
				if m.w.v[r][i] != want[r] {
					t.Errorf("v%d lane %d = %#x, want %#x", r, i, m.w.v[r][i], want[r])
				}
			}
		}
	})
}

// TestWide compares 64-bit operations with Go's, on values whose results are exact or rounded once.
func TestWide(t *testing.T) {
	d := math.Float64frombits
	b := math.Float64bits
	tests := []struct {
		name  string
		n     int
		float bool
		want  func(x, y, z uint64) uint64
	}{
		{"v_add_f64", 2, true, func(x, y, _ uint64) uint64 { return b(d(x) + d(y)) }},
		{"v_mul_f64", 2, true, func(x, y, _ uint64) uint64 { return b(d(x) * d(y)) }},
		{"v_fma_f64", 3, true, func(x, y, z uint64) uint64 { return b(math.FMA(d(x), d(y), d(z))) }},
		{"v_trunc_f64", 1, true, func(x, _, _ uint64) uint64 { return b(math.Trunc(d(x))) }},
		{"v_floor_f64", 1, true, func(x, _, _ uint64) uint64 { return b(math.Floor(d(x))) }},
		{"v_ceil_f64", 1, true, func(x, _, _ uint64) uint64 { return b(math.Ceil(d(x))) }},
		{"v_rndne_f64", 1, true, func(x, _, _ uint64) uint64 { return b(math.RoundToEven(d(x))) }},
		{"v_lshlrev_b64", 2, false, func(x, y, _ uint64) uint64 { return y << (x % 64) }},
		{"v_lshrrev_b64", 2, false, func(x, y, _ uint64) uint64 { return y >> (x % 64) }},
		{"v_ashrrev_i64", 2, false, func(x, y, _ uint64) uint64 { return uint64(int64(y) >> (x % 64)) }},
	}
	each(t, func(t *testing.T, g decode.Gen) {
		a, r := asm{t, g}, rand.New(rand.NewPCG(23, 23))
		for _, c := range tests {
			if !a.has(decode.VOP3, c.name) {
				continue
			}
			for range 20 {
				var in [6]vec
				m := run(t, g, a.vop3(c.name, 8, mods{}, []uint32{v(0), v(2), v(4)}[:c.n]...), func(m *machine) {
					fill(r, m.w, 6)
					copy(in[:], m.w.v[:6])
				}).ok()
				for i := range lanes {
					arg := func(k int) uint64 { return uint64(in[k][i]) | uint64(in[k+1][i])<<32 }
					x, y, z := arg(0), arg(2), arg(4)
					if !c.float {
						x = uint64(in[0][i]) // a shift is one register wide
					}
					got, want := m.w.lane64(8, i, 8), c.want(x, y, z)
					if got != want && !(c.float && d(got) != d(got) && d(want) != d(want)) {
						t.Fatalf("%s(%#x, %#x, %#x) = %#x, want %#x", c.name, x, y, z, got, want)
					}
				}
			}
		}
		code := append(a.vop3("v_cvt_f64_f32", 8, mods{}, v(0)), a.vop3("v_cvt_f32_f64", 10, mods{}, v(2))...)
		code = append(code, a.vop3("v_cvt_f64_i32", 12, mods{}, v(4))...)
		code = append(code, a.vop3("v_cvt_f64_u32", 14, mods{}, v(4))...)
		code = append(code, a.vop3("v_cvt_i32_f64", 16, mods{}, v(6))...)
		m := run(t, g, code, func(m *machine) {
			for i := range lanes {
				m.w.v[0][i], m.w.v[4][i] = fb(float32(r.NormFloat64())), r.Uint32()
				m.w.setLane64(2, i, 8, b(r.NormFloat64()))
				m.w.setLane64(6, i, 8, b(r.NormFloat64()*math.Ldexp(1, i+4)))
			}
		}).ok()
		for i := range lanes {
			w := m.w
			whole := math.Max(math.MinInt32, math.Min(math.Trunc(d(w.lane64(6, i, 8))), math.MaxInt32))
			if d(w.lane64(8, i, 8)) != float64(f(w.v[0][i])) || f(w.v[10][i]) != float32(d(w.lane64(2, i, 8))) ||
				d(w.lane64(12, i, 8)) != float64(int32(w.v[4][i])) || d(w.lane64(14, i, 8)) != float64(w.v[4][i]) ||
				int32(w.v[16][i]) != int32(whole) {
				t.Fatalf("lane %d: conversions gave %v, %v, %v, %v, %v", i, d(w.lane64(8, i, 8)), f(w.v[10][i]),
					d(w.lane64(12, i, 8)), d(w.lane64(14, i, 8)), int32(w.v[16][i]))
			}
		}
	})
}

// fragments fills the operands of a matrix instruction: a and b say what row r and element k hold, each bits wide.
func (m *machine) fragments(va, vb, bits int, a, b func(r, k int) uint32) {
	m.t.Helper()
	clear(m.w.v[va : va+8])
	clear(m.w.v[vb : vb+8])
	for _, o := range []struct {
		v  int
		of func(r, k int) uint32
	}{{va, a}, {vb, b}} {
		for r := range 16 {
			for k := range 16 {
				at, in := []int{r, r + 16}, k // GFX11: both halves of the wave hold the row
				if m.g == decode.GFX12 {
					at, in = []int{r + 16*(k/8)}, k%8
				}
				for _, lane := range at {
					m.w.v[o.v+in*bits/32][lane] |= o.of(r, k) << (in * bits % 32)
				}
			}
		}
	}
}

// TestWMMASigns multiplies bytes in every combination of signs, with an accumulator that overflows, clamped and not.
func TestWMMASigns(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		x := func(r, k int) uint32 { return uint32(r*37+k*11+100) & 255 }
		y := func(r, k int) uint32 { return uint32(r*59+k*23+200) & 255 }
		number := func(u uint32, signed bool) int64 {
			if signed && u > 127 {
				return int64(u) - 256
			}
			return int64(u)
		}
		for mask := range uint32(8) {
			md := mods{opselHi: 7, neg: mask & 3, clamp: mask&4 != 0}
			m := run(t, g, a.vop3p("v_wmma_i32_16x16x16_iu8", 24, md, v(0), v(8), v(16)), func(m *machine) {
				m.fragments(0, 8, 8, x, y)
				for i := range 8 {
					for k := range lanes {
						m.w.v[16+i][k] = []uint32{0, 0x7ffffff0, 0x80000005, 1234}[k%4]
					}
				}
			}).ok()
			for i := range 8 {
				for lane := range lanes {
					row, col := 2*i+lane/16, lane%16
					if g == decode.GFX12 {
						row = 8*(lane/16) + i
					}
					sum := int64(int32([]uint32{0, 0x7ffffff0, 0x80000005, 1234}[lane%4]))
					for k := range 16 {
						sum += number(x(row, k), mask&1 != 0) * number(y(col, k), mask&2 != 0)
					}
					if md.clamp {
						sum = max(math.MinInt32, min(sum, math.MaxInt32))
					}
					if got := m.w.v[24+i][lane]; got != uint32(sum) {
						t.Fatalf("signs %02b, clamp %v: row %d column %d = %d, want %d", mask&3, md.clamp, row, col,
							int32(got), int32(sum))
					}
				}
			}
		}
	})
}

// TestWMMACopies changes one lane of a fragment. GFX11 wants a copy of lanes 0 to 15 in the lanes above; GFX12 keeps
// other elements there.
func TestWMMACopies(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		for _, name := range []string{"v_wmma_f32_16x16x16_f16", "v_wmma_i32_16x16x16_iu8"} {
			for _, reg := range []int{1, 9} {
				m := run(t, g, a.vop3p(name, 24, mods{opselHi: 7}, v(0), v(8), v(16)), func(m *machine) {
					clear(m.w.v[:24])
					m.w.v[reg][21] = 0x3c00
				})
				switch {
				case g == decode.GFX12:
					m.ok()
				case m.w.fault == nil || m.w.fault.Kind != BadFragment || m.w.fault.Lane != 21:
					t.Errorf("%s with another v%d in lane 21: fault %v", name, reg, m.w.fault)
				}
			}
		}
	})
}

// TestPartialPermlane refuses row permutations while lanes are inactive.
func TestPartialPermlane(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		for _, name := range []string{"v_permlane16_b32", "v_permlanex16_b32", "v_permlane16_var_b32",
			"v_permlanex16_var_b32"} {
			if !a.has(decode.VOP3, name) {
				continue
			}
			code := a.vop3(name, 4, mods{}, v(0), v(1))
			if name == "v_permlane16_b32" || name == "v_permlanex16_b32" {
				code = a.vop3(name, 4, mods{}, v(0), 5, 6)
			}
			for _, c := range []struct {
				exec  uint32
				allow bool
				fault bool
			}{{fullExec, false, false}, {0, false, false}, {0x7fffffff, false, true}, {1, false, true},
				{1, true, false}} {
				m := run(t, g, code, func(m *machine) { m.w.s[execIdx], m.l.AllowPartialPermlane = c.exec, c.allow })
				if got := m.w.fault != nil && m.w.fault.Kind == PartialExec; got != c.fault || !c.fault &&
					m.w.fault != nil {
					t.Errorf("%s with EXEC %#x, allowed %v: %v", name, c.exec, c.allow, m.w.fault)
				}
			}
		}
	})
}
