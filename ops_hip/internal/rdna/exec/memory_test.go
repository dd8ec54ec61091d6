package exec

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

// buffer allocates memory with a known pattern and puts the address of element i
// (stride bytes apart) into v0:v1 of lane i.
func (m *machine) buffer(size, stride int) []byte {
	a, err := m.space.Alloc(int64(size), "test", false)
	if err != nil {
		m.t.Fatal(err)
	}
	for i := range a.Data {
		a.Data[i] = byte(i*37 + 130)
	}
	for i := range lanes {
		addr := a.Base + uint64(stride*i)
		m.w.v[0][i], m.w.v[1][i] = uint32(addr), uint32(addr>>32)
	}
	return a.Data
}

// expected is what a load puts into register k of the destination.
func expectedLoad(k accessKind, mem []byte, reg int, old uint32) uint32 {
	switch k.bytes {
	case 1, 2:
		x := uint32(mem[0])
		if k.bytes == 2 {
			x |= uint32(mem[1]) << 8
		}
		if k.signed && x>>(8*k.bytes-1) != 0 {
			x -= 1 << (8 * k.bytes)
		}
		if k.hi {
			return old%65536 + x<<16
		}
		if k.d16 {
			return old/65536*65536 + x%65536
		}
		return x
	}
	return binary.LittleEndian.Uint32(mem[4*reg:])
}

// TestLoadsAndStores covers every width and half of global and LDS accesses, with
// all lanes and with some.
func TestLoadsAndStores(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		for _, exec := range []uint32{fullExec, 0x80f00f01} {
			for name, k := range accessKinds {
				for _, space := range []string{"global", "ds"} {
					load, store := space+"_load_"+name, space+"_store_"+name
					format := decode.GLOBAL
					if space == "ds" {
						format = decode.DS
					}
					code := func(op string) []uint32 {
						if space == "ds" {
							return a.ds(op, 4*b2u(op == load), 2, 4, 0, 16)
						}
						return a.global(op, 4, 0, 4, 16, false)
					}
					setup := func(m *machine) []byte {
						data := m.buffer(1024, 20)
						if space == "ds" {
							copy(m.w.wg.lds, data)
							data = m.w.wg.lds
							for i := range lanes {
								m.w.v[2][i] = uint32(20 * i)
							}
						}
						for r := range 4 {
							splat(&m.w.v[4+r], 0x11223344*uint32(r+1))
						}
						m.w.s[execIdx] = exec
						return data
					}
					regs := max(1, k.bytes/4)
					if a.has(format, load) {
						var data []byte
						m := run(t, g, code(load), func(m *machine) { data = setup(m) }).ok()
						for i := range lanes {
							for r := range regs {
								want := 0x11223344 * uint32(r+1)
								if exec>>i&1 != 0 {
									want = expectedLoad(k, data[20*i+16:], r, want)
								}
								if got := m.w.v[4+r][i]; got != want {
									t.Fatalf("%s lane %d register %d: %#x, want %#x", load, i, r, got, want)
								}
							}
						}
					}
					if a.has(format, store) {
						var data, before []byte
						run(t, g, code(store), func(m *machine) { data = setup(m); before = append(before, data...) }).
							ok()
						for i := range lanes {
							for b := range 20 {
								want := before[20*i+16+b]
								if exec>>i&1 != 0 && b < k.bytes {
									want = byte(0x11223344 * uint32(b/4+1) >> (8 * (b % 4)))
									if k.hi {
										want = byte(uint32(0x1122) >> (8 * b))
									}
								}
								if got := data[20*i+16+b]; got != want {
									t.Fatalf("%s lane %d byte %d: %#x, want %#x", store, i, b, got, want)
								}
							}
						}
					}
				}
			}
		}
	})
}

// TestLDSTwoAddress checks offset units and that destinations may overlap the address.
func TestLDSTwoAddress(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		for name, c := range map[string]struct{ unit, bytes int }{"2addr_b32": {4, 4}, "2addr_b64": {8, 8},
			"2addr_stride64_b32": {256, 4}} {
			m := run(t, g, a.ds("ds_load_"+name, 2, 2, 0, 0, 1|2<<8), func(m *machine) {
				for i := range m.w.wg.lds {
					m.w.wg.lds[i] = byte(i * 7)
				}
				for i := range lanes {
					m.w.v[2][i] = uint32(8 * i)
				}
			}).ok()
			for i := range lanes {
				for r := range 2 * c.bytes / 4 {
					at := 8*i + c.unit + 4*r
					if 4*r >= c.bytes {
						at = 8*i + 2*c.unit + 4*r - c.bytes
					}
					if got, want := m.w.v[2+r][i], binary.LittleEndian.Uint32(m.w.wg.lds[at:]); got != want {
						t.Fatalf("ds_load_%s lane %d register %d: %#x, want %#x", name, i, r, got, want)
					}
				}
			}
		}
	})
}

// TestAtomics checks old value and new memory of every operation, in global memory
// and LDS, with all lanes on one address one after the other.
func TestAtomics(t *testing.T) {
	ops := map[string]func(o, d uint32) uint32{
		"add_u32": func(o, d uint32) uint32 { return o + d }, "sub_u32": func(o, d uint32) uint32 { return o - d },
		"min_i32": func(o, d uint32) uint32 { return uint32(min(s(o), s(d))) },
		"max_i32": func(o, d uint32) uint32 { return uint32(max(s(o), s(d))) },
		"min_u32": func(o, d uint32) uint32 { return min(o, d) },
		"max_u32": func(o, d uint32) uint32 { return max(o, d) },
		"and_b32": func(o, d uint32) uint32 { return o & d }, "or_b32": func(o, d uint32) uint32 { return o | d },
		"xor_b32": func(o, d uint32) uint32 { return o ^ d },
		"inc_u32": func(o, d uint32) uint32 {
			if o >= d {
				return 0
			}
			return o + 1
		},
		"dec_u32": func(o, d uint32) uint32 {
			if o == 0 || o > d {
				return d
			}
			return o - 1
		},
		"swap_b32": func(_, d uint32) uint32 { return d },
		"add_f32":  func(o, d uint32) uint32 { return fb(f(o) + f(d)) },
	}
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		r := rand.New(rand.NewPCG(8, uint64(g)))
		for name, want := range ops {
			for _, space := range []string{"global", "lds"} {
				lds := name
				if name == "swap_b32" {
					lds = "storexchg_b32"
				}
				op, typ := lds[:len(lds)-4], lds[len(lds)-3:]
				code := a.global("global_atomic_"+name, 5, 0, 4, 0, true)
				if space == "lds" {
					code = a.ds("ds_"+op+"_rtn_"+typ, 5, 2, 4, 0, 0)
				}
				var data []byte
				var in vec
				m := run(t, g, code, func(m *machine) {
					data = m.buffer(64, 0)
					if space == "lds" {
						data = m.w.wg.lds
						splat(&m.w.v[2], 0)
					}
					binary.LittleEndian.PutUint32(data, fb(1.5))
					for i := range in {
						in[i] = r.Uint32()
						if name == "add_f32" {
							in[i] = fb(float32(i))
						}
					}
					m.w.v[4] = in
				}).ok()
				cur := fb(1.5)
				for i := range lanes {
					if m.w.v[5][i] != cur {
						t.Fatalf("%s %s lane %d returned %#x, want %#x", space, name, i, m.w.v[5][i], cur)
					}
					cur = want(cur, in[i])
				}
				if got := binary.LittleEndian.Uint32(data); got != cur {
					t.Fatalf("%s %s left %#x, want %#x", space, name, got, cur)
				}
			}
		}
		// without a returned value the destination register stays
		m := run(t, g, a.global("global_atomic_add_u32", 5, 0, 4, 0, false),
			func(m *machine) { m.buffer(64, 0); splat(&m.w.v[5], 99) }).ok()
		if m.w.v[5][3] != 99 {
			t.Error("an atomic without return wrote its destination")
		}
	})
}

func TestDSAppend(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		m := run(t, g, append(a.ds("ds_append", 3, 0, 0, 0, 8), a.ds("ds_consume", 4, 0, 0, 0, 8)...),
			func(m *machine) {
				m.w.s[m0Idx], m.w.s[execIdx] = 16, 0xff
				binary.LittleEndian.PutUint32(m.w.wg.lds[24:], 100)
			}).ok()
		if got := binary.LittleEndian.Uint32(m.w.wg.lds[24:]); m.w.v[3][0] != 100 || m.w.v[4][7] != 108 || got != 100 {
			t.Errorf("append returned %d, consume %d, counter %d; want 100, 108, 100", m.w.v[3][0], m.w.v[4][7], got)
		}
	})
}

// TestFlatApertures reaches LDS and scratch through flat addresses.
func TestFlatApertures(t *testing.T) {
	// flat_load_b32 v4, v[0:1]
	m := run(t, decode.GFX11, []uint32{0x37<<26 | 0x14<<18, 0 | decode.Null<<16 | 4<<24}, func(m *machine) {
		for i := range lanes {
			m.w.v[0][i], m.w.v[1][i] = uint32(4*i), sharedAperture>>32
			if i >= 16 {
				m.w.v[0][i], m.w.v[1][i] = 8, privateAperture>>32
			}
		}
		for i := range m.w.wg.lds {
			m.w.wg.lds[i] = 0x22
		}
		for i := range m.w.scratch {
			m.w.scratch[i] = byte(i / 64)
		}
	}).ok()
	if m.w.v[4][3] != 0x22222222 || m.w.v[4][20] != 0x14141414 {
		t.Errorf("LDS %#x, scratch of lane 20 %#x", m.w.v[4][3], m.w.v[4][20])
	}
}

func TestMemoryFaults(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		tests := []struct {
			name string
			code []uint32
			set  func(m *machine)
			kind FaultKind
			lane int
		}{
			{"below the allocation", a.global("global_load_b32", 4, 0, 0, -4, false),
				func(m *machine) { m.buffer(1024, 4) }, OutOfBounds, 0},
			{"last byte beyond", a.global("global_load_b128", 4, 0, 0, 0, false),
				func(m *machine) { m.buffer(31*16+15, 16) }, OutOfBounds, 31},
			{"store of one lane", a.global("global_store_b32", 0, 0, 4, 0, false),
				func(m *machine) { m.buffer(1024, 4); m.w.v[1][9]++ }, OutOfBounds, 9},
			{"misaligned atomic", a.global("global_atomic_add_u32", 0, 0, 4, 2, false),
				func(m *machine) { m.buffer(1024, 4) }, Misaligned, 0},
			{"misaligned with strict alignment", a.global("global_load_b32", 4, 0, 0, 1, false),
				func(m *machine) { m.buffer(1024, 4); m.l.StrictAlign = true }, Misaligned, 0},
			{"LDS", a.ds("ds_load_b64", 4, 2, 0, 0, 0), func(m *machine) { splat(&m.w.v[2], 1020) }, OutOfBounds, 0},
			{"LDS offset wraps", a.ds("ds_store_b32", 0, 2, 4, 0, 8),
				func(m *machine) { splat(&m.w.v[2], 0xfffffffc) }, OutOfBounds, -2},
		}
		for _, c := range tests {
			m := run(t, g, c.code, c.set)
			if c.lane == -2 { // the 32-bit address wraps to 4, as in hardware
				m.ok()
				continue
			}
			if m.w.fault == nil || m.w.fault.Kind != c.kind || m.w.fault.Lane != c.lane || !m.w.fault.HasAddress {
				t.Errorf("%s: fault %v, want %v in lane %d", c.name, m.w.fault, c.kind, c.lane)
			}
		}
		m := run(t, g, a.global("global_store_b32", 0, 0, 4, 0, false), func(m *machine) {
			m.buffer(1024, 4)
			m.space.Allocs()[0].ReadOnly = true
		})
		if m.w.fault == nil || m.w.fault.Kind != ReadOnlyWrite {
			t.Errorf("store to read-only memory: %v", m.w.fault)
		}
		m = run(t, g, a.global("global_atomic_add_u32", 0, 0, 4, 0, false), func(m *machine) {
			m.buffer(1024, 4)
			m.l.readOnly = map[*mem.Alloc]bool{m.space.Allocs()[0]: true}
		})
		if m.w.fault == nil || m.w.fault.Kind != ReadOnlyWrite {
			t.Errorf("atomic on memory that this launch must not write: %v", m.w.fault)
		}
	})
}

// TestWMMAConstantC checks an inline constant as the accumulator.
func TestWMMAConstantC(t *testing.T) {
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		for code, want := range map[uint32]float32{128: 16, 242: 17, 245: 14} {
			m := run(t, g, a.vop3p("v_wmma_f32_16x16x16_f16", 16, mods{opselHi: 7}, v(0), v(8), code),
				func(m *machine) {
					for k := range 16 {
						splat(&m.w.v[k], 0x3c003c00) // ones
					}
				}).ok()
			if got := f(m.w.v[20][5]); got != want {
				t.Errorf("C = constant %d: %v, want %v", code, got, want)
			}
		}
		m := run(t, g, a.vop3p("v_wmma_f32_16x16x16_f16", 16, mods{opselHi: 7}, v(0), v(8), 128),
			func(m *machine) { m.w.s[execIdx] = 1 })
		if m.w.fault == nil || m.w.fault.Kind != PartialExec {
			t.Errorf("matrix instruction with one active lane: %v", m.w.fault)
		}
	})
}

// TestMarkedStores has the allocation told of the pages of every lane that stores, on every path, and of no others.
func TestMarkedStores(t *testing.T) {
	const page = 4096
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		for _, exec := range []uint32{fullExec, 0x80f00f01} {
			for _, c := range []struct {
				op     string
				strict bool // takes the general path
				want   uint32
			}{{"global_store_b32", false, exec}, {"global_store_b32", true, exec}, {"global_store_b8", false, exec},
				{"global_atomic_add_u32", false, exec}, {"global_load_b32", false, 0}} {
				var s *mem.Stores
				run(t, g, a.global(c.op, 4, 0, 4, 16, false), func(m *machine) {
					m.buffer(lanes*page, page)
					alloc := m.space.Allocs()[len(m.space.Allocs())-1]
					s = mem.NewStores(len(alloc.Data))
					alloc.Stores = s
					m.l.StrictAlign = c.strict
					m.w.s[execIdx] = exec
				}).ok()
				got := uint32(0)
				s.Each(func(lo, _ int) bool {
					got |= 1 << (lo / page)
					return false
				})
				if got != c.want {
					t.Errorf("%s, aligned %v, lanes %#x: pages %#x are marked, want %#x", c.op, c.strict, exec, got, c.want)
				}
			}
		}
	})
}
