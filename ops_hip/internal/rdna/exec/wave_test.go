package exec

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/check"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

func (a asm) sopp(name string, imm uint32) uint32 {
	a.t.Helper()
	return 0x17f<<23 | a.op(decode.SOPP, name)<<16 | imm&0xffff
}

func (a asm) sopc(name string, s0, s1 uint32) uint32 {
	a.t.Helper()
	return 0x17e<<23 | a.op(decode.SOPC, name)<<16 | s1<<8 | s0
}

func (a asm) sopk(name string, d, imm uint32) uint32 {
	a.t.Helper()
	return 11<<28 | a.op(decode.SOPK, name)<<23 | d<<16 | imm&0xffff
}

// smem assembles a scalar load from the pair of registers base.
func (a asm) smem(name string, d, base, off uint32) []uint32 {
	a.t.Helper()
	shift := 18
	if a.g == decode.GFX12 {
		shift = 13
	}
	return []uint32{0x3d<<26 | a.op(decode.SMEM, name)<<shift | d<<6 | base>>1, decode.Null<<25 | off}
}

// scalarBase gives a global access the pair of registers s as its base.
func (a asm) scalarBase(words []uint32, s uint32) []uint32 {
	if a.g == decode.GFX12 {
		words[0] = words[0]&^0x7f | s
	} else {
		words[1] = words[1]&^(0x7f<<16) | s<<16
	}
	return words
}

// launch runs a workgroup of threads whose s[0:1] point to a buffer of 4 KiB, which it returns.
func launch(t *testing.T, g decode.Gen, o check.Options, threads uint32, words ...[]uint32) ([]byte, *Fault) {
	t.Helper()
	return launchAs(t, g, defaultMode, o, threads, words...)
}

// launchAs is launch with the float mode of a descriptor.
func launchAs(t *testing.T, g decode.Gen, d codeobj.Descriptor, o check.Options, threads uint32,
	words ...[]uint32) ([]byte, *Fault) {
	t.Helper()
	var text []byte
	for _, w := range append(slices.Concat(words...), sEndpgm) {
		text = binary.LittleEndian.AppendUint32(text, w)
	}
	p, err := Compile(g, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	space := &mem.Space{}
	buf, err := space.Alloc(4096, "buffer", false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range buf.Data {
		buf.Data[i] = byte(i)
	}
	d.Properties, d.Rsrc2 = codeobj.PropKernargPtr, 2<<1
	_, err = Run(t.Context(), &Launch{Program: p, Desc: d, Kernel: "test", Space: space, Kernarg: buf.Base,
		Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{threads, 1, 1},
		LDS: 1024, Private: 64, Checks: o.Normalize()})
	var f *Fault
	if err != nil && !errors.As(err, &f) {
		t.Fatal(err)
	}
	return buf.Data, f
}

// TestStartsWithGarbage looks for zeros in registers and LDS that nothing wrote. Hardware has what earlier waves left.
func TestStartsWithGarbage(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		trap := []uint32{a.sopp("s_cbranch_scc0", 1), a.sopp("s_trap", 2)} // if SCC says that something is zero
		var code []uint32
		for s := uint32(4); s < 100; s += 7 {
			code = append(append(code, a.sopc("s_cmp_eq_u32", s, 128)), trap...)
		}
		any := func() { code = append(append(code, a.sopc("s_cmp_lg_u32", 102, 128)), trap...) }
		for r := uint32(1); r < 250; r += 31 {
			code = append(code, a.vop3("v_cmp_eq_u32", 102, mods{}, 128, v(r))...)
			any()
		}
		for off := uint32(0); off < 1024; off += 256 {
			code = append(code, a.vop3("v_mov_b32", 2, mods{}, 128)...)
			code = append(code, a.ds("ds_load_b32", 3, 2, 0, 0, off)...)
			code = append(code, a.vop3("v_cmp_eq_u32", 102, mods{}, 128, v(3))...)
			any()
		}
		if _, f := launch(t, g, check.Options{}, 64, code); f != nil {
			t.Errorf("a register or a word of LDS is zero at the start: %v", f)
		}
		code = append(a.sop1("s_mov_b32", 4, 128), a.sopc("s_cmp_eq_u32", 4, 128))
		if _, f := launch(t, g, check.Options{}, 64, code, trap); f == nil || f.Kind != Trap {
			t.Errorf("the test does not see a zero: %v", f)
		}
	})
}

// TestPoisonReads reads what nothing wrote, with the check and without.
func TestPoisonReads(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		half := append(a.sop1("s_mov_b32", execIdx, 255), 0xffff) // lanes 0 to 15
		all := a.sop1("s_mov_b32", execIdx, 193)
		for _, c := range []struct {
			name string
			code [][]uint32
			lane int // -1 for a scalar, -2 for none: no fault
		}{
			{"vector register", [][]uint32{a.vop3("v_add_nc_u32", 3, mods{}, v(0), v(9))}, 0},
			{"a lane of a vector register",
				[][]uint32{half, a.vop3("v_mov_b32", 9, mods{}, 128), all,
					a.vop3("v_add_nc_u32", 3, mods{}, v(0), v(9))}, 16},
			{"scalar register", [][]uint32{a.sop2("s_or_b32", 4, 20, 21)}, -1},
			{"store of a vector register",
				[][]uint32{a.vop3("v_mov_b32", 2, mods{}, 128),
					a.scalarBase(a.global("global_store_b32", 0, 2, 9, 0, false), 0)}, 0},
			{"LDS", [][]uint32{a.vop3("v_mov_b32", 2, mods{}, 128), a.ds("ds_load_b32", 3, 2, 0, 0, 8)}, 0},
			{"written registers", [][]uint32{a.vop3("v_mov_b32", 9, mods{}, 128),
				a.vop3("v_add_nc_u32", 3, mods{}, v(0), v(9))}, -2},
			{"inactive lanes", [][]uint32{half, a.vop3("v_mov_b32", 9, mods{}, 128),
				a.vop3("v_add_nc_u32", 3, mods{}, v(0), v(9))}, -2},
		} {
			_, f := launch(t, g, check.Options{Poison: true}, 32, c.code...)
			if c.lane == -2 && f != nil || c.lane != -2 && (f == nil || f.Kind != PoisonRead || f.Lane != c.lane) {
				t.Errorf("%s: fault %v, want one in lane %d (-2: none)", c.name, f, c.lane)
			}
			if _, f := launch(t, g, check.Options{}, 32, c.code...); f != nil {
				t.Errorf("%s: without the check: %v", c.name, f)
			}
		}
	})
}

// TestPendingReads uses registers while the instruction that loads them is in flight, with a wait and without.
func TestPendingReads(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		wait := []uint32{a.sopp("s_wait_idle", 0)}
		zero := a.vop3("v_mov_b32", 2, mods{}, 128)
		load := a.scalarBase(a.global("global_load_b64", 4, 2, 0, 0, false), 0)
		written := a.ds("ds_store_b32", 0, 2, 2, 0, 0)
		for _, c := range []struct {
			name         string
			before, then []uint32
		}{
			{"scalar load", a.smem("s_load_b64", 6, 0, 8), a.sop2("s_or_b32", 4, 7, 128)},
			{"overwriting a scalar load", a.smem("s_load_b32", 6, 0, 8), a.sop1("s_mov_b32", 6, 128)},
			{"load", append(zero, load...), a.vop3("v_add_nc_u32", 3, mods{}, v(0), v(5))},
			{"overwriting a load", append(zero, load...), a.vop3("v_mov_b32", 5, mods{}, 128)},
			{"LDS load", slices.Concat(zero, written, wait, a.ds("ds_load_b32", 4, 2, 0, 0, 0)),
				a.vop3("v_add_nc_u32", 3, mods{}, v(0), v(4))},
			{"swizzle", slices.Concat(zero, a.ds("ds_bpermute_b32", 4, 2, 2, 0, 0)),
				a.vop3("v_add_nc_u32", 3, mods{}, v(0), v(4))},
			{"atomic with return", append(zero,
				a.scalarBase(a.global("global_atomic_add_u32", 4, 2, 2, 0, true), 0)...),
				a.vop3("v_add_nc_u32", 3, mods{}, v(0), v(4))},
		} {
			if _, f := launch(t, g, check.Options{Waits: true}, 32, c.before, c.then); f == nil ||
				f.Kind != PendingRead {
				t.Errorf("%s without a wait: fault %v, want a missing wait", c.name, f)
			}
			if _, f := launch(t, g, check.Options{Waits: true}, 32, c.before, wait, c.then); f != nil {
				t.Errorf("%s after a wait: %v", c.name, f)
			}
			if _, f := launch(t, g, check.Options{}, 32, c.before, c.then); f != nil {
				t.Errorf("%s without the check: %v", c.name, f)
			}
		}
	})
}

// TestRaces has two waves write and read one word of LDS, with a barrier in between and without.
func TestRaces(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		barrier := []uint32{a.sopp("s_wait_idle", 0)}
		if g == decode.GFX12 {
			barrier = append(append(barrier, a.sop1("s_barrier_signal", 0, 193)...), a.sopp("s_barrier_wait", 0xffff))
		} else {
			barrier = append(barrier, a.sopp("s_barrier", 0))
		}
		// each thread stores its word, and loads the word 16 threads on, which may belong to the other wave
		store := append(a.vop3("v_lshlrev_b32", 2, mods{}, 130, v(0)), a.ds("ds_store_b32", 0, 2, 2, 0, 0)...)
		load := a.ds("ds_load_b32", 4, 2, 0, 0, 64)
		for _, seed := range []uint64{0, 1, 2} {
			o := check.Options{Races: true, WaveSeed: seed}
			if _, f := launch(t, g, o, 64, store, load); f == nil || f.Kind != LDSRace {
				t.Errorf("seed %d, no barrier: fault %v, want a race", seed, f)
			}
			if _, f := launch(t, g, o, 64, store, barrier, load); f != nil {
				t.Errorf("seed %d, with a barrier: %v", seed, f)
			}
		}
		if _, f := launch(t, g, check.Options{}, 64, store, load); f != nil {
			t.Errorf("without the check: %v", f)
		}
	})
}

// TestWaveOrder draws a number from a counter in each of 8 waves: it tells their order, which the seed decides.
func TestWaveOrder(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		code := slices.Concat(a.sop1("s_mov_b32", execIdx, 129), // lane 0
			a.vop3("v_mov_b32", 2, mods{}, 128), a.vop3("v_mov_b32", 4, mods{}, 129),
			a.vop3("v_lshrrev_b32", 6, mods{}, 131, v(0)), // 4 bytes for each wave
			a.scalarBase(a.global("global_atomic_add_u32", 5, 2, 4, 0, true), 0), []uint32{a.sopp("s_wait_idle", 0)},
			a.scalarBase(a.global("global_store_b32", 0, 6, 5, 64, false), 0))
		order := func(seed uint64) (o [8]uint32) {
			buf, f := launch(t, g, check.Options{WaveSeed: seed}, 256, code)
			if f != nil {
				t.Fatal(f)
			}
			first := binary.LittleEndian.Uint32([]byte{0, 1, 2, 3})
			for i := range o {
				o[i] = binary.LittleEndian.Uint32(buf[64+4*i:]) - first
			}
			return o
		}
		rising := [8]uint32{0, 1, 2, 3, 4, 5, 6, 7}
		if got := order(0); got != rising {
			t.Errorf("without a seed, waves run in the order %v", got)
		}
		seen := map[[8]uint32]bool{}
		for seed := uint64(1); seed <= 4; seed++ {
			got := order(seed)
			if got != order(seed) {
				t.Errorf("seed %d gives two orders", seed)
			}
			seen[got] = true
			sorted := got
			if slices.Sort(sorted[:]); sorted != rising {
				t.Errorf("seed %d: %v is no order of the waves", seed, got)
			}
		}
		if len(seen) < 3 {
			t.Errorf("4 seeds give %d orders", len(seen))
		}
	})
}

// TestDenormalsOfDescriptor runs one multiplication in the modes that the first resource word asks for: denormal
// inputs and results of f32 are kept, or flushed, each on its own.
func TestDenormalsOfDescriptor(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		code := slices.Concat(a.vop3("v_mov_b32", 2, mods{}, 128+8), // 8 is a denormal
			a.vop3("v_mul_f32", 3, mods{}, 246, v(2)),        // times 4: a denormal of a denormal
			a.vop3("v_lshlrev_b32", 4, mods{}, 128+20, v(2)), // 2^-126 as a float
			a.vop3("v_mul_f32", 5, mods{}, 240, v(4)),        // half of it: a denormal of a normal number
			a.vop3("v_mov_b32", 6, mods{}, 128),              // address
			a.scalarBase(a.global("global_store_b32", 0, 6, 3, 0, false), 0),
			a.scalarBase(a.global("global_store_b32", 0, 6, 5, 4, false), 0))
		for mode, want := range map[uint32][2]uint32{0: {0, 0}, 1: {0, 0}, 2: {0, 0x400000}, 3: {32, 0x400000}} {
			d := defaultMode
			d.Rsrc1 = d.Rsrc1&^(3<<16) | mode<<16
			buf, f := launchAs(t, g, d, check.Options{}, 32, code)
			if f != nil {
				t.Fatal(f)
			}
			if got := [2]uint32{binary.LittleEndian.Uint32(buf), binary.LittleEndian.Uint32(buf[4:])}; got != want {
				t.Errorf("denormal mode %d: %#x, want %#x", mode, got, want)
			}
		}
	})
}
