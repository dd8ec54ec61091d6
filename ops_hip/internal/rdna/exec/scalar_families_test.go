package exec

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// TestScalarUnary compares SOP1 results and SCC with bit-by-bit definitions.
func TestScalarUnary(t *testing.T) {
	// position of the first set bit in an order, -1 for none
	first := func(a uint64, width int, from func(i int) int) uint32 {
		for i := range width {
			if a>>from(i)&1 != 0 {
				return uint32(i)
			}
		}
		return 0xffffffff
	}
	up := func(i int) int { return i }
	down := func(width int) func(int) int { return func(i int) int { return width - 1 - i } }
	ones := func(a uint64) (n uint32) {
		for ; a != 0; a &= a - 1 {
			n++
		}
		return n
	}
	tests := []struct {
		name string
		wide bool
		scc  bool // set to "result is not zero", else unchanged
		want func(a uint64) uint64
	}{
		{"s_mov_b32", false, false, func(a uint64) uint64 { return a }},
		{"s_not_b32", false, true, func(a uint64) uint64 { return 0xffffffff - a }},
		{"s_brev_b32", false, false, func(a uint64) (r uint64) {
			for i := range 32 {
				r |= a >> i & 1 << (31 - i)
			}
			return r
		}},
		{"s_abs_i32", false, true, func(a uint64) uint64 { return uint64(uint32(max(s(uint32(a)), -s(uint32(a))))) }},
		{"s_sext_i32_i8", false, false, func(a uint64) uint64 { return uint64(uint32((a%256+128)%256 - 128)) }},
		{"s_sext_i32_i16", false, false,
			func(a uint64) uint64 { return uint64(uint32((a%65536+32768)%65536 - 32768)) }},
		{"s_bcnt0_i32_b32", false, true, func(a uint64) uint64 { return uint64(32 - ones(a)) }},
		{"s_bcnt1_i32_b32", false, true, func(a uint64) uint64 { return uint64(ones(a)) }},
		{"s_ctz_i32_b32", false, false, func(a uint64) uint64 { return uint64(first(a, 32, up)) }},
		{"s_clz_i32_u32", false, false, func(a uint64) uint64 { return uint64(first(a, 32, down(32))) }},
		{"s_cls_i32", false, false,
			func(a uint64) uint64 { return uint64(first(uint64(uint32(a)^uint32(int32(a)>>31)), 32, down(32))) }},
		{"s_ctz_i32_b64", true, false, func(a uint64) uint64 { return uint64(first(a, 64, up)) }},
		{"s_clz_i32_u64", true, false, func(a uint64) uint64 { return uint64(first(a, 64, down(64))) }},
		{"s_bcnt1_i32_b64", true, true, func(a uint64) uint64 { return uint64(ones(a)) }},
	}
	each(t, func(t *testing.T, g decode.Gen) {
		a, r := asm{t, g}, rand.New(rand.NewPCG(11, 11))
		for _, c := range tests {
			for range 100 {
				x := uint64(interesting[r.IntN(len(interesting))])
				if r.IntN(2) == 0 {
					x = uint64(r.Uint32()) >> r.IntN(32)
				}
				if c.wide {
					x |= uint64(interesting[r.IntN(len(interesting))]) << 32
				}
				scc := r.Uint32N(2)
				m := run(t, g, a.sop1(c.name, 9, 4), func(m *machine) { m.w.setS64(4, x); m.w.s[sccIdx] = scc }).ok()
				want := uint32(c.want(x))
				if c.scc {
					scc = b2u(want != 0)
				}
				if m.w.s[9] != want || m.w.s[sccIdx] != scc {
					t.Fatalf("%s(%#x) = %#x with SCC %d, want %#x with %d", c.name, x, m.w.s[9], m.w.s[sccIdx], want,
						scc)
				}
			}
		}
	})
}

// TestScalarCompare checks SOPC and, where RDNA3 has them, the same conditions of SOPK, whose immediate is signed for
// signed conditions alone.
func TestScalarCompare(t *testing.T) {
	tests := map[string]func(a, b int64) bool{
		"eq": func(a, b int64) bool { return a == b }, "lg": func(a, b int64) bool { return a != b },
		"gt": func(a, b int64) bool { return a > b },
		"ge": func(a, b int64) bool { return a >= b }, "lt": func(a, b int64) bool { return a < b },
		"le": func(a, b int64) bool { return a <= b },
	}
	each(t, func(t *testing.T, g decode.Gen) {
		a, r := asm{t, g}, rand.New(rand.NewPCG(12, 12))
		for cond, want := range tests {
			for _, signed := range []bool{true, false} {
				typ, value := "_u32", func(x uint32) int64 { return int64(x) }
				if signed {
					typ, value = "_i32", s
				}
				for range 60 {
					x, y := interesting[r.IntN(len(interesting))], interesting[r.IntN(len(interesting))]
					set := func(m *machine) { m.w.s[4], m.w.s[5] = x, y }
					if got := run(t, g, []uint32{a.sopc("s_cmp_"+cond+typ, 4, 5)}, set).ok().
						w.s[sccIdx]; got != b2u(want(value(x), value(y))) {
						t.Fatalf("s_cmp_%s%s(%#x, %#x) = %d", cond, typ, x, y, got)
					}
					if !a.has(decode.SOPK, "s_cmpk_"+cond+typ) {
						continue
					}
					k := int64(y & 0xffff)
					if signed {
						k = int64(int16(y))
					}
					if got := run(t, g, []uint32{a.sopk("s_cmpk_"+cond+typ, 4, y)}, set).ok().
						w.s[sccIdx]; got != b2u(want(value(x), k)) {
						t.Fatalf("s_cmpk_%s%s(%#x, %#x) = %d", cond, typ, x, y&0xffff, got)
					}
				}
			}
		}
		for bit := range uint32(40) {
			m := run(t, g, []uint32{a.sopc("s_bitcmp1_b32", 4, 128+bit)}, func(m *machine) { m.w.s[4] = 0x80010005 }).
				ok()
			if want := uint32(0x80010005) >> (bit % 32) & 1; m.w.s[sccIdx] != want {
				t.Errorf("s_bitcmp1_b32 of bit %d: %d, want %d", bit, m.w.s[sccIdx], want)
			}
		}
	})
}

// TestScalarImmediate checks SOPK, whose 16-bit immediate is signed.
func TestScalarImmediate(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		add := "s_addk_i32"
		if g == decode.GFX12 {
			add = "s_addk_co_i32"
		}
		for _, c := range []struct {
			name     string
			old      uint32
			scc      uint32
			imm      uint32
			want, to uint32 // and SCC after
		}{
			{"s_movk_i32", 7, 1, 0x8000, 0xffff8000, 1},
			{"s_movk_i32", 7, 0, 0x7fff, 0x7fff, 0},
			{"s_cmovk_i32", 7, 0, 5, 7, 0},
			{"s_cmovk_i32", 7, 1, 0xffff, 0xffffffff, 1},
			{add, 10, 1, 0xffff, 9, 0},
			{add, 0x7fffffff, 0, 1, 0x80000000, 1}, // SCC is signed overflow
			{add, 0x80000000, 0, 0xffff, 0x7fffffff, 1},
			{"s_mulk_i32", 7, 1, 0xfffd, 0xffffffeb, 1},
		} {
			m := run(t, g, []uint32{a.sopk(c.name, 9, c.imm)},
				func(m *machine) { m.w.s[9], m.w.s[sccIdx] = c.old, c.scc }).ok()
			if m.w.s[9] != c.want || m.w.s[sccIdx] != c.to {
				t.Errorf("%s(%#x, %#x) = %#x with SCC %d, want %#x with %d", c.name, c.old, c.imm, m.w.s[9],
					m.w.s[sccIdx], c.want, c.to)
			}
		}
	})
}

// TestScalarLoads checks the width, the immediate and the register offset of SMEM.
func TestScalarLoads(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		widths := map[string]int{"s_load_b32": 4, "s_load_b64": 8, "s_load_b128": 16, "s_load_b256": 32,
			"s_load_b512": 64}
		if g == decode.GFX12 {
			widths["s_load_b96"], widths["s_load_u8"], widths["s_load_i16"] = 12, 1, 2
		}
		for name, n := range widths {
			for _, register := range []bool{false, true} {
				code := a.smem(name, 8, 2, 20)
				if register {
					code[1] = code[1]&(1<<25-1) | 6<<25 // s6 in place of null
				}
				var data []byte
				m := run(t, g, code, func(m *machine) {
					data = m.buffer(256, 0)
					m.w.setS64(2, m.space.Allocs()[0].Base)
					m.w.s[6] = 32
				}).ok()
				from := data[20:]
				if register {
					from = data[52:]
				}
				want := make([]uint32, max(1, n/4))
				switch n {
				case 1:
					want[0] = uint32(from[0])
				case 2:
					want[0] = uint32(int32(int16(binary.LittleEndian.Uint16(from))))
				default:
					for i := range want {
						want[i] = binary.LittleEndian.Uint32(from[4*i:])
					}
				}
				for i, x := range want {
					if m.w.s[8+i] != x {
						t.Errorf("%s with a register %v, dword %d: %#x, want %#x", name, register, i, m.w.s[8+i], x)
					}
				}
				if m.w.s[8+len(want)] != poisonWord {
					t.Errorf("%s wrote a register too many", name)
				}
			}
		}
	})
}

// TestProgramCounter follows a call, its return, and a branch of every condition.
func TestProgramCounter(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		one := func(d, c uint32) uint32 { return a.sop1("s_mov_b32", d, c)[0] }
		code := []uint32{
			a.sop1("s_getpc_b64", 4, 0)[0],  // 0
			one(6, 128+28),                  // 4
			one(7, 128),                     // 8
			a.sop1("s_swappc_b64", 8, 6)[0], // 12, to 28
			one(10, 129),                    // 16
			a.sopp("s_branch", 3), sEndpgm,  // 20, to 36
			one(12, 130),                         // 28
			a.sop1("s_setpc_b64", 0, 8)[0],       // 32, to 16
			a.sopk("s_call_b64", 14, 1), sEndpgm, // 36, to 44
			a.sop1("s_getpc_b64", 16, 0)[0], sEndpgm, // 44
		}
		m := run(t, g, code, nil).ok()
		for i, want := range map[int]uint64{4: 4, 8: 16, 14: 40, 16: 48} {
			if got := m.w.s64(uint16(i)); got != want {
				t.Errorf("s[%d:%d] = %d, want %d", i, i+1, got, want)
			}
		}
		if m.w.s[10] != 1 || m.w.s[12] != 2 {
			t.Errorf("the call left %#x and %#x, want 1 and 2", m.w.s[10], m.w.s[12])
		}
		for _, c := range []struct {
			name           string
			scc, vcc, exec uint32
			taken          bool
		}{
			{"s_cbranch_scc0", 0, 1, 1, true}, {"s_cbranch_scc0", 1, 0, 0, false}, {"s_cbranch_scc1", 1, 0, 0, true},
			{"s_cbranch_scc1", 0, 1, 1, false},
			{"s_cbranch_vccz", 1, 0, 1, true}, {"s_cbranch_vccz", 0, 4, 0, false}, {"s_cbranch_vccnz", 0, 4, 0, true},
			{"s_cbranch_vccnz", 1, 0, 1, false},
			{"s_cbranch_execz", 1, 1, 0, true}, {"s_cbranch_execz", 0, 0, 8, false},
			{"s_cbranch_execnz", 0, 0, 8, true}, {"s_cbranch_execnz", 1, 1, 0, false},
		} {
			m := run(t, g, []uint32{a.sopp(c.name, 1), one(9, 129)}, func(m *machine) {
				m.w.s[sccIdx], m.w.s[vccIdx], m.w.s[execIdx], m.w.s[9] = c.scc, c.vcc, c.exec, 0
			}).ok()
			if m.w.s[9] != b2u(!c.taken) {
				t.Errorf("%s with SCC %d, VCC %d, EXEC %d: taken %v", c.name, c.scc, c.vcc, c.exec, !c.taken)
			}
		}
	})
}

// TestCacheMaintenance executes invalidations and write-backs, which change nothing where memory is coherent.
func TestCacheMaintenance(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		var code [][]uint32
		if g == decode.GFX12 {
			for _, name := range []string{"global_inv", "global_wb", "global_wbinv"} {
				code = append(code, []uint32{0xee<<24 | a.op(decode.GLOBAL, name)<<14 | decode.Null, 1 << 18, 0})
			}
		} else {
			for _, name := range []string{"buffer_gl0_inv", "buffer_gl1_inv"} {
				code = append(code, []uint32{0x38<<26 | a.op(decode.MUBUF, name)<<18, 0})
			}
		}
		for _, c := range code {
			var before []uint32
			m := run(t, g, append(c, a.sop1("s_mov_b32", 9, 129)...), func(m *machine) {
				before = append(before, m.w.s...)
				fill(rand.New(rand.NewPCG(13, 13)), m.w, 256)
			}).ok()
			before[9] = 1
			for i, x := range before {
				if m.w.s[i] != x {
					t.Errorf("%#x changed scalar register %d", c[0], i)
				}
			}
			if bits.OnesCount32(m.w.exec()) != lanes {
				t.Errorf("%#x changed EXEC", c[0])
			}
		}
	})
}
