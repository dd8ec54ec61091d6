package exec

import (
	"encoding/binary"
	"math/bits"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

// The functions here are the common memory accesses with the bounds check
// inlined. They look at nothing but the allocation that the instruction last
// found; whatever does not fit is left to the general path, which reports the
// fault. Loads collect in temporaries, so that a
// repetition by the general path still sees the address registers.

// loadFunc returns the executor of a load.
func (m *vmem) loadFunc() opFunc {
	if m.format != decode.GLOBAL || m.kind.signed || m.kind.d16 {
		return m.load
	}
	n := m.kind.bytes
	return func(w *wave) {
		if w.wg.l.StrictAlign || !m.loadGlobal(w, n) {
			m.load(w)
		}
	}
}

// locate returns the allocation that holds n bytes for every active lane, and
// their offsets in it, or nil. The allocation of the instruction's last execution
// is tried first.
func (m *vmem) locate(w *wave, n int, e uint32, out *[lanes]uint64) *mem.Alloc {
	cached := &w.wg.worker.allocs[m.slot]
	if a := *cached; a != nil && m.offsets(w, a, n, e, out) {
		return a
	}
	if e == 0 {
		return nil
	}
	a := mem.Find(w.wg.l.allocs, m.address(w, bits.TrailingZeros32(e)))
	if a == nil || !m.offsets(w, a, n, e, out) {
		return nil
	}
	*cached = a
	return a
}

// offsets computes the offset of every active lane in an allocation, and reports
// whether n bytes fit there for all of them. Inactive lanes keep what they had.
func (m *vmem) offsets(w *wave, a *mem.Alloc, n int, e uint32, out *[lanes]uint64) bool {
	if len(a.Data) < n {
		return false
	}
	limit := uint64(len(a.Data) - n)
	base := uint64(m.offset) - a.Base
	lo := &w.v[m.addr]
	var worst uint64
	switch {
	case e == fullExec && m.hasS:
		base += w.s64(m.saddr)
		for i, x := range lo {
			o := uint64(x) + base
			out[i] = o
			worst = max(worst, o)
		}
		return worst <= limit
	case e == fullExec:
		hi := &w.v[m.addr+1]
		for i, x := range lo {
			o := uint64(x) | uint64(hi[i])<<32
			o += base
			out[i] = o
			worst = max(worst, o)
		}
		return worst <= limit
	}
	for ; e != 0; e &= e - 1 {
		i := bits.TrailingZeros32(e) & (lanes - 1)
		o := m.address(w, i) - a.Base
		out[i] = o
		worst = max(worst, o)
	}
	return worst <= limit
}

func (m *vmem) loadGlobal(w *wave, n int) bool {
	e := w.exec()
	var off [lanes]uint64
	a := m.locate(w, n, e, &off)
	if a == nil {
		return false
	}
	if f := w.wg.l.touched[a]; f != nil {
		w.fresh = f.markLanes(&off, n, e, false) || w.fresh
	}
	data := a.Data
	w.wg.worker.stats.GlobalLoadBytes += uint64(n * bits.OnesCount32(e))
	if e == fullExec { // offsets are in: the registers may be overwritten
		d := &w.v[m.reg]
		switch n {
		case 1:
			for i, o := range off {
				d[i] = uint32(data[o])
			}
		case 2:
			for i, o := range off {
				d[i] = uint32(binary.LittleEndian.Uint16(data[o:]))
			}
		default:
			for k := 0; k < n; k += 4 {
				d := &w.v[int(m.reg)+k/4]
				for i, o := range off {
					d[i] = binary.LittleEndian.Uint32(data[o+uint64(k):])
				}
			}
		}
		return true
	}
	for ; e != 0; e &= e - 1 {
		i := bits.TrailingZeros32(e)
		loadLane(w, m.reg, i, m.kind, data[off[i]:])
	}
	return true
}

// storeFunc returns the executor of a store.
func (m *vmem) storeFunc() opFunc {
	if m.format != decode.GLOBAL || m.kind.hi {
		return m.store
	}
	n := m.kind.bytes
	return func(w *wave) {
		if w.wg.l.readOnly != nil || w.wg.l.StrictAlign || !m.storeGlobal(w, n) {
			m.store(w)
		}
	}
}

func (m *vmem) storeGlobal(w *wave, n int) bool {
	e := w.exec()
	var off [lanes]uint64
	a := m.locate(w, n, e, &off)
	if a == nil || a.ReadOnly {
		return false
	}
	if f := w.wg.l.touched[a]; f != nil {
		f.markLanes(&off, n, e, true)
	}
	if s := a.Stores; s != nil {
		for e := e; e != 0; e &= e - 1 {
			s.Mark(off[bits.TrailingZeros32(e)&(lanes-1)], n)
		}
	}
	data := a.Data
	w.wg.worker.stats.GlobalStoreBytes += uint64(n * bits.OnesCount32(e))
	for ; e != 0; e &= e - 1 {
		i := bits.TrailingZeros32(e) & (lanes - 1)
		storeLane(w, m.reg, i, m.kind, data[off[i]:])
	}
	return true
}

// ldsLoadFast is ldsLoad for full waves and dword loads without checks.
func (w *wave) ldsLoadFast(d, a uint8, off uint32, n int) bool {
	lds := w.wg.lds
	if w.exec() != fullExec || w.chk != nil || w.wg.l.StrictAlign || len(lds) < n {
		return false
	}
	limit := uint64(len(lds) - n)
	addr := w.v[a]
	for i, x := range addr {
		x += off
		addr[i] = x
		if uint64(x) > limit {
			return false
		}
	}
	w.wg.worker.stats.LDSLoadBytes += uint64(n * lanes)
	for k := 0; k < n; k += 4 {
		r := &w.v[int(d)+k/4]
		for i, x := range addr {
			r[i] = binary.LittleEndian.Uint32(lds[int(x)+k:])
		}
	}
	return true
}
