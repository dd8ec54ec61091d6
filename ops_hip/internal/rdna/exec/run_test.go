package exec

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

var gens = []decode.Gen{decode.GFX11, decode.GFX115, decode.GFX12}

// asm assembles instructions for one generation.
type asm struct {
	t testing.TB
	g decode.Gen
}

func (a asm) op(f decode.Format, name string) uint32 {
	a.t.Helper()
	op, ok := decode.New(a.g).Opcode(f, name)
	if !ok {
		a.t.Fatalf("generation %d has no %v %s", a.g, f, name)
	}
	return op
}

func (a asm) has(f decode.Format, name string) bool {
	_, ok := decode.New(a.g).Opcode(f, name)
	return ok
}

// v is the source operand code of a VGPR.
func v(n uint32) uint32 { return 256 + n }

// mods are VOP3 and VOP3P modifiers.
type mods struct {
	neg, abs, opsel, opselHi, omod uint32
	clamp                          bool
	sdst                           uint32
}

func (a asm) vop3(name string, d uint32, m mods, src ...uint32) []uint32 {
	a.t.Helper()
	src = append(src, 0, 0, 0)
	w0 := 0x35<<26 | a.op(decode.VOP3, name)<<16 | d | m.abs<<8 | m.opsel<<11 | b2u(m.clamp)<<15 | m.sdst<<8
	return []uint32{w0, src[0] | src[1]<<9 | src[2]<<18 | m.omod<<27 | m.neg<<29}
}

// vop3p takes neg as neg_lo and abs as neg_hi.
func (a asm) vop3p(name string, d uint32, m mods, src ...uint32) []uint32 {
	a.t.Helper()
	src = append(src, 0, 0, 0)
	w0 := 0xcc<<24 | a.op(decode.VOP3P, name)<<16 | d | m.abs<<8 | m.opsel<<11 | m.opselHi>>2<<14 | b2u(m.clamp)<<15
	return []uint32{w0, src[0] | src[1]<<9 | src[2]<<18 | m.opselHi&3<<27 | m.neg<<29}
}

func (a asm) sop2(name string, d, s0, s1 uint32) []uint32 {
	a.t.Helper()
	return []uint32{2<<30 | a.op(decode.SOP2, name)<<23 | d<<16 | s1<<8 | s0}
}

func (a asm) sop1(name string, d, s0 uint32) []uint32 {
	a.t.Helper()
	return []uint32{0x17d<<23 | d<<16 | a.op(decode.SOP1, name)<<8 | s0}
}

func (a asm) ds(name string, d, addr, data0, data1, off uint32) []uint32 {
	a.t.Helper()
	return []uint32{0x36<<26 | a.op(decode.DS, name)<<18 | off&0xffff, addr | data0<<8 | data1<<16 | d<<24}
}

// global assembles a global access with a 64-bit address in VGPRs; ret asks
// atomics for the old value.
func (a asm) global(name string, d, addr, data uint32, off int32, ret bool) []uint32 {
	a.t.Helper()
	op := a.op(decode.GLOBAL, name)
	if a.g == decode.GFX12 {
		return []uint32{0xee<<24 | op<<14 | decode.Null, d | data<<23 | b2u(ret)<<20, addr | uint32(off)<<8}
	}
	return []uint32{0x37<<26 | op<<18 | 2<<16 | b2u(ret)<<14 | uint32(off)&0x1fff,
		addr | data<<8 | decode.Null<<16 | d<<24}
}

const sEndpgm = 0xbfb00000

// machine is a single wave for running a few instructions.
type machine struct {
	asm
	w     *wave
	l     *Launch
	space *mem.Space
}

// defaultMode is the descriptor that HIP kernels get: denormals kept, DX10 clamp,
// IEEE, and all 256 VGPRs.
var defaultMode = codeobj.Descriptor{Rsrc1: 31 | 0xf0<<12 | 1<<21 | 1<<23}

// run executes instructions on a fresh wave that set prepares.
func run(t testing.TB, g decode.Gen, words []uint32, set func(m *machine)) *machine {
	t.Helper()
	var text []byte
	for _, w := range append(words, sEndpgm) {
		text = binary.LittleEndian.AppendUint32(text, w)
	}
	p, err := Compile(g, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{asm: asm{t, g}, space: &mem.Space{}}
	m.l = &Launch{Program: p, Desc: defaultMode, Kernel: "test", Space: m.space, Grid: [3]uint32{1, 1, 1},
		Block: [3]uint32{32, 1, 1}, LDS: 1024, Private: 64}
	k := &worker{hits: make([]uint64, len(p.plain.ops)), file: p.scalarFile(), allocs: make([]*mem.Alloc, p.slots)}
	k.wg = workgroup{l: m.l, worker: k, lds: make([]byte, m.l.LDS)}
	m.w = &wave{}
	k.wg.waves = []*wave{m.w}
	m.w.reset(&k.wg, p.plain, 0, 32)
	if set != nil {
		set(m)
	}
	m.l.allocs = m.space.Allocs()
	m.w.slice = 10000
	m.w.run()
	return m
}

// ok fails the test when the wave faulted.
func (m *machine) ok() *machine {
	m.t.Helper()
	if m.w.fault != nil {
		m.t.Fatal(m.w.fault)
	}
	return m
}

var interesting = []uint32{0, 1, 2, 31, 32, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
	0x80000001, 0xffffffff,
	0x3f800000, 0xbf800000, 0x40490fdb, 0x00000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x7f800000,
	0xff800000, 0x7fc00000,
	0x3effffff, 0x3f000000, 0x4b000001, 0xcb800001, 0x34000000, 0x3c003c00, 0xbc000001, 0x7bff0400}

// fill puts random and awkward values into n registers.
func fill(r *rand.Rand, w *wave, n int) {
	for k := range n {
		for i := range w.v[k] {
			switch x := r.Uint32(); r.IntN(3) {
			case 0:
				w.v[k][i] = interesting[x%uint32(len(interesting))]
			case 1:
				w.v[k][i] = math.Float32bits(float32(r.NormFloat64()))
			default:
				w.v[k][i] = x
			}
		}
	}
}

func f(u uint32) float32  { return math.Float32frombits(u) }
func fb(x float32) uint32 { return math.Float32bits(x) }

// equalBits compares results, with all NaNs equal where float says so.
func equalBits(got, want uint32, float bool) bool {
	return got == want || float && f(got) != f(got) && f(want) != f(want)
}

// check3 runs a VOP3 instruction with up to three VGPR sources many times and
// compares all lanes with a definition.
func check3(t *testing.T, g decode.Gen, name string, n int, float bool, want func(a, b, c uint32) uint32) {
	t.Helper()
	a := asm{t, g}
	if !a.has(decode.VOP3, name) {
		return
	}
	src := []uint32{v(0), v(1), v(2)}[:n]
	r := rand.New(rand.NewPCG(1, uint64(len(name))))
	for range 40 {
		var in [3]vec
		m := run(t, g, a.vop3(name, 5, mods{}, src...), func(m *machine) {
			fill(r, m.w, 3)
			copy(in[:], m.w.v[:3])
			m.w.v[5] = in[2]
		}).ok()
		for i := range in[0] {
			x, y, z := in[0][i], in[1][i], in[2][i]
			if got, exp := m.w.v[5][i], want(x, y, z); !equalBits(got, exp, float) {
				t.Fatalf("%s(%#x, %#x, %#x) = %#x, want %#x (%v, %v, %v = %v, want %v)", name, x, y, z, got, exp, f(x),
					f(y), f(z), f(got), f(exp))
			}
		}
	}
}

func each(t *testing.T, fn func(t *testing.T, g decode.Gen)) {
	for _, g := range gens {
		t.Run(fmt.Sprintf("gen%d", g), func(t *testing.T) { fn(t, g) })
	}
}
