package exec

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

// Apertures of flat addresses: the upper half of the address selects LDS or
// scratch, the lower half is the offset in it.
const (
	sharedAperture  = 0x1000_0000 << 32
	privateAperture = 0x2000_0000 << 32
	apertureMask    = 0xffff_ffff << 32
)

// access kinds of loads and stores, by the suffix of the mnemonic.
type accessKind struct {
	bytes  int
	signed bool
	d16    bool // only half of the register takes part
	hi     bool // the upper half
}

var accessKinds = map[string]accessKind{
	"u8": {bytes: 1}, "i8": {bytes: 1, signed: true}, "u16": {bytes: 2}, "i16": {bytes: 2, signed: true},
	"b8": {bytes: 1}, "b16": {bytes: 2}, "b32": {bytes: 4}, "b64": {bytes: 8}, "b96": {bytes: 12}, "b128": {bytes: 16},
	"d16_u8": {bytes: 1, d16: true}, "d16_i8": {bytes: 1, signed: true, d16: true}, "d16_b16": {bytes: 2, d16: true},
	"d16_hi_u8": {bytes: 1, d16: true, hi: true}, "d16_hi_i8": {bytes: 1, signed: true, d16: true, hi: true},
	"d16_hi_b16": {bytes: 2, d16: true, hi: true}, "d16_hi_b8": {bytes: 1, d16: true, hi: true},
	"u8_d16": {bytes: 1, d16: true}, "i8_d16": {bytes: 1, signed: true, d16: true}, "u16_d16": {bytes: 2, d16: true},
	"u8_d16_hi": {bytes: 1, d16: true, hi: true}, "i8_d16_hi": {bytes: 1, signed: true, d16: true, hi: true},
	"u16_d16_hi": {bytes: 2, d16: true, hi: true}, "b8_d16_hi": {bytes: 1, d16: true, hi: true},
	"b16_d16_hi": {bytes: 2, d16: true, hi: true},
}

// narrow extends a loaded byte or half and merges it into the old register.
func (k accessKind) narrow(raw, old uint32) uint32 {
	if k.signed {
		if k.bytes == 1 {
			raw = uint32(int32(int8(raw)))
		} else {
			raw = uint32(int32(int16(raw)))
		}
	}
	switch {
	case k.hi:
		return old&0xffff | raw<<16
	case k.d16:
		return old&^0xffff | raw&0xffff
	}
	return raw
}

// bytesAt returns n bytes of device memory for one lane, or nil after a fault.
func (w *wave) bytesAt(addr uint64, n, lane int, write bool) []byte {
	a := w.alloc
	if a == nil || addr-a.Base >= uint64(len(a.Data)) {
		if a = mem.Find(w.wg.l.allocs, addr); a == nil {
			w.failAddr(OutOfBounds, lane, addr, fmt.Sprintf("%d bytes are in no allocation%s", n, w.near(addr)))
			return nil
		}
		w.alloc = a
	}
	off := addr - a.Base
	if uint64(n) > uint64(len(a.Data))-off {
		w.failAddr(OutOfBounds, lane, addr,
			fmt.Sprintf("%d bytes end beyond allocation %q of %d bytes at %#x", n, a.Name, len(a.Data), a.Base))
		return nil
	}
	if w.wg.l.StrictAlign && addr&uint64(min(n, 4)-1) != 0 {
		w.failAddr(Misaligned, lane, addr, fmt.Sprintf("%d bytes", n))
		return nil
	}
	if write && (a.ReadOnly || w.wg.l.readOnly[a]) {
		w.failAddr(ReadOnlyWrite, lane, addr, fmt.Sprintf("allocation %q", a.Name))
		return nil
	}
	if f := w.wg.l.touched[a]; f != nil {
		w.fresh = f.mark(off, n, write) || w.fresh
	}
	if write && a.Stores != nil {
		a.Stores.Mark(off, n)
	}
	return a.Data[off : off+uint64(n) : off+uint64(n)]
}

// near names the allocation that a stray address is closest to.
func (w *wave) near(addr uint64) string {
	var best *mem.Alloc
	for _, a := range w.wg.l.allocs {
		if a.Base <= addr {
			best = a
		}
	}
	if best == nil {
		return ""
	}
	return fmt.Sprintf("; %#x bytes past the start of %q, which has %#x", addr-best.Base, best.Name, len(best.Data))
}

// scratchAt returns n bytes of the private memory of a lane.
func (w *wave) scratchAt(off uint32, n, lane int) []byte {
	size := uint32(len(w.scratch) / lanes)
	if off > size || uint32(n) > size-off {
		w.failAddr(OutOfBounds, lane, uint64(off), fmt.Sprintf("%d bytes of scratch, which has %d", n, size))
		return nil
	}
	if w.wg.l.StrictAlign && off&uint32(min(n, 4)-1) != 0 {
		w.failAddr(Misaligned, lane, uint64(off), fmt.Sprintf("%d bytes of scratch", n))
		return nil
	}
	p := uint32(lane)*size + off
	return w.scratch[p : p+uint32(n) : p+uint32(n)]
}

// flatAt resolves a flat address.
func (w *wave) flatAt(addr uint64, n, lane int, write bool) []byte {
	switch addr & apertureMask {
	case sharedAperture:
		return w.ldsAt(uint32(addr), n, lane, write, false)
	case privateAperture:
		return w.scratchAt(uint32(addr), n, lane)
	}
	return w.bytesAt(addr, n, lane, write)
}

// vmem is a compiled FLAT, GLOBAL or SCRATCH instruction.
type vmem struct {
	format  decode.Format
	kind    accessKind
	reg     uint8 // destination or data
	addr    uint8
	hasAddr bool
	hasS    bool
	saddr   uint16
	offset  int64
	slot    int // of the worker's allocation cache
}

func (c *compiler) vmem(i *decode.Inst) *vmem {
	m := &vmem{format: i.Format, offset: int64(i.MemOffset), slot: c.prog.slots}
	c.prog.slots++
	if a := i.Find('A'); a != nil && a.Kind == decode.VGPR {
		m.addr, m.hasAddr = uint8(a.Code), true
	}
	if s := i.Find('M'); s != nil && s.Kind == decode.SGPR {
		m.saddr, m.hasS = uint16(s.Code), true
	}
	return m
}

// address returns the address of a lane: 64 bits, or a scratch offset.
func (m *vmem) address(w *wave, lane int) uint64 {
	if m.format == decode.SCRATCH {
		off := uint32(m.offset)
		if m.hasAddr {
			off += w.v[m.addr][lane]
		}
		if m.hasS {
			off += w.s[m.saddr]
		}
		return uint64(off)
	}
	if m.hasS {
		return w.s64(m.saddr) + uint64(w.v[m.addr][lane]) + uint64(m.offset)
	}
	return uint64(w.v[m.addr][lane]) | uint64(w.v[m.addr+1][lane])<<32 + uint64(m.offset)
}

func (m *vmem) at(w *wave, addr uint64, n, lane int, write bool) []byte {
	switch m.format {
	case decode.SCRATCH:
		return w.scratchAt(uint32(addr), n, lane)
	case decode.FLAT:
		return w.flatAt(addr, n, lane, write)
	}
	return w.bytesAt(addr, n, lane, write)
}

func (m *vmem) load(w *wave) {
	k := m.kind
	e := w.exec()
	w.wg.worker.stats.bytes(m.format, false, k.bytes*bits.OnesCount32(e))
	for ; e != 0; e &= e - 1 {
		i := bits.TrailingZeros32(e)
		p := m.at(w, m.address(w, i), k.bytes, i, false)
		if p == nil {
			return
		}
		loadLane(w, m.reg, i, k, p)
	}
}

func (m *vmem) store(w *wave) {
	k := m.kind
	e := w.exec()
	w.wg.worker.stats.bytes(m.format, true, k.bytes*bits.OnesCount32(e))
	for ; e != 0; e &= e - 1 {
		i := bits.TrailingZeros32(e)
		p := m.at(w, m.address(w, i), k.bytes, i, true)
		if p == nil {
			return
		}
		storeLane(w, m.reg, i, k, p)
	}
}

func loadLane(w *wave, reg uint8, i int, k accessKind, p []byte) {
	switch k.bytes {
	case 1:
		w.v[reg][i] = k.narrow(uint32(p[0]), w.v[reg][i])
	case 2:
		w.v[reg][i] = k.narrow(uint32(binary.LittleEndian.Uint16(p)), w.v[reg][i])
	default:
		for n := 0; n < k.bytes; n += 4 {
			w.v[int(reg)+n/4][i] = binary.LittleEndian.Uint32(p[n:])
		}
	}
}

func storeLane(w *wave, reg uint8, i int, k accessKind, p []byte) {
	x := w.v[reg][i]
	if k.hi {
		x >>= 16
	}
	switch k.bytes {
	case 1:
		p[0] = byte(x)
	case 2:
		binary.LittleEndian.PutUint16(p, uint16(x))
	default:
		for n := 0; n < k.bytes; n += 4 {
			binary.LittleEndian.PutUint32(p[n:], w.v[int(reg)+n/4][i])
		}
	}
}

// compileSMEM resolves a scalar load.
func (c *compiler) compileSMEM(i *decode.Inst, kind accessKind, dwords int) opFunc {
	d := c.scalarDst(i.Find('D'))
	base := uint16(i.Find('A').Code)
	off := uint64(int64(i.MemOffset))
	soff, hasS := uint16(0), false
	if m := i.Find('M'); m != nil {
		soff, hasS = uint16(m.Code), true
	}
	n := 4 * dwords
	if kind.bytes == 1 || kind.bytes == 2 {
		n = kind.bytes
	}
	return func(w *wave) {
		addr := w.s64(base) + off
		if hasS {
			addr += uint64(w.s[soff])
		}
		if n >= 4 && addr&3 != 0 {
			w.failAddr(Misaligned, -1, addr, "scalar load")
			return
		}
		p := w.bytesAt(addr, n, -1, false)
		if p == nil {
			return
		}
		w.wg.worker.stats.ScalarBytes += uint64(n)
		switch n {
		case 1:
			w.s[d] = kind.narrow(uint32(p[0]), 0)
		case 2:
			w.s[d] = kind.narrow(uint32(binary.LittleEndian.Uint16(p)), 0)
		default:
			for k := 0; k < dwords; k++ {
				w.s[int(d)+k] = binary.LittleEndian.Uint32(p[4*k:])
			}
		}
	}
}
