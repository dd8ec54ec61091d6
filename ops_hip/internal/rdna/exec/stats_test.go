package exec

import (
	"encoding/binary"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/check"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

// TestCountsOfDropped counts waits, delays and hints around a loop, a jump and dead code: they are dropped when a
// program is compiled, and must count as often as a wave passes them.
func TestCountsOfDropped(t *testing.T) {
	const rounds = 5
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		sopp := func(name string, imm uint32) uint32 { return 0x17f<<23 | a.op(decode.SOPP, name)<<16 | imm&0xffff }
		counter := append(a.sop1("s_mov_b32", 4, 128), sopp("s_delay_alu", 1)) // the delay lies before the loop
		loop := []uint32{sopp("s_nop", 0)}                                     // the target of the loop's branch
		loop = append(loop, a.sop2("s_lshl1_add_u32", 4, 4, 129)...)           // 1, 3, 7, ...
		loop = append(loop, sopp("s_wait_idle", 0),
			0x17e<<23|a.op(decode.SOPC, "s_cmp_lt_u32")<<16|(128+1<<rounds-1)<<8|4)
		loop = append(loop, sopp("s_cbranch_scc1", uint32(-len(loop)-1)))
		words := append(counter, loop...)
		words = append(words, sopp("s_branch", 1), sopp("s_nop", 3), sopp("s_delay_alu", 1), sopp("s_nop", 0), sEndpgm)
		var text []byte
		for _, w := range words {
			text = binary.LittleEndian.AppendUint32(text, w)
		}
		p, err := Compile(g, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []check.Options{{}, {Waits: true}} {
			l := &Launch{Program: p, Desc: defaultMode, Kernel: "test", Space: &mem.Space{}, Grid: [3]uint32{3, 1, 1},
				Block: [3]uint32{64, 1, 1}, Checks: o}
			s, err := Run(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			const waves = 6
			if s.Waits != waves*rounds || s.Delays != waves*2 || s.Hints != waves*(rounds+1) ||
				s.Instructions != waves*(1+3*rounds+2) {
				t.Errorf("checks %+v: %d waits, %d delays, %d hints, %d instructions; want %d, %d, %d, %d", o,
					s.Waits, s.Delays, s.Hints, s.Instructions, waves*rounds, waves*2, waves*(rounds+1),
					waves*(1+3*rounds+2))
			}
		}
	})
}

// TestFootprint counts bytes that lanes share, bytes at odd places, and an atomic.
func TestFootprint(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		for _, c := range []struct {
			name           string
			code           []uint32
			stride         int
			loaded, stored uint64
		}{
			{"lanes side by side", a.global("global_load_b32", 4, 0, 0, 0, false), 4, 128, 0},
			{"all lanes at one place", a.global("global_load_b128", 4, 0, 0, 8, false), 0, 16, 0},
			{"lanes overlap", a.global("global_load_b64", 4, 0, 0, 1, false), 4, 31*4 + 8, 0},
			{"the same twice", append(a.global("global_load_u8", 4, 0, 0, 0, false),
				a.global("global_load_u8", 5, 0, 0, 0, false)...), 3, 32, 0},
			{"a narrow signed load", a.global("global_load_i16", 4, 0, 0, 0, false), 5, 64, 0},
			{"a store", a.global("global_store_b96", 0, 0, 4, 60, false), 12, 0, 32 * 12},
			{"an atomic loads and stores", a.global("global_atomic_add_u32", 0, 0, 4, 0, false), 4, 128, 128},
		} {
			m := run(t, g, nil, nil) // for its buffer
			m.buffer(1024, c.stride)
			m.l.allocs = m.space.Allocs()
			m.l.touched = footprints(m.l)
			m2 := run(t, g, c.code, func(n *machine) {
				n.space, n.l.Space, n.l.touched = m.space, m.space, m.l.touched
				n.w.v[0], n.w.v[1] = m.w.v[0], m.w.v[1]
			}).ok()
			f := m2.l.touched[m.space.Allocs()[0]]
			if l, s := f.loaded.count(), f.stored.count(); l != c.loaded || s != c.stored {
				t.Errorf("%s: %d bytes loaded and %d stored, want %d and %d", c.name, l, s, c.loaded, c.stored)
			}
		}
	})
}

// TestClassify names instructions of every class that others could be taken for.
func TestClassify(t *testing.T) {
	for name, want := range map[string]Class{
		"v_add_f32": ClassVALU, "v_mul_u32_u24": ClassVALU, "v_mul_lo_u16": ClassVALU, "v_mad_u32_u24": ClassVALU,
		"v_mul_lo_u32": ClassMul, "v_mad_u64_u32": ClassMul, "v_mad_co_u64_u32": ClassMul,
		"v_fma_f64": ClassF64, "v_cvt_f32_f64": ClassF64,
		"v_exp_f32": ClassTrans, "v_rcp_f64": ClassTrans, "v_s_rcp_f32": ClassTrans, "v_dot2_f16_f16": ClassDot,
	} {
		if got := classify(&decode.Inst{Format: decode.VOP3, Name: name}); got != want {
			t.Errorf("%s is of class %v, want %v", name, got, want)
		}
	}
}
