package exec

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// ldsAt returns n bytes of LDS for one lane, or nil after a fault.
func (w *wave) ldsAt(addr uint32, n, lane int, write, atomic bool) []byte {
	lds := w.wg.lds
	if uint64(addr)+uint64(n) > uint64(len(lds)) {
		w.failAddr(OutOfBounds, lane, uint64(addr), fmt.Sprintf("%d bytes of LDS, which has %d", n, len(lds)))
		return nil
	}
	if (atomic || w.wg.l.StrictAlign) && addr&uint32(min(n, 4)-1) != 0 {
		w.failAddr(Misaligned, lane, uint64(addr), fmt.Sprintf("%d bytes of LDS", n))
		return nil
	}
	if w.chk != nil && !w.chk.ldsAccess(w, addr, n, lane, write, atomic) {
		return nil
	}
	return lds[addr : addr+uint32(n) : addr+uint32(n)]
}

// compileDS resolves an LDS instruction.
func (c *compiler) compileDS(i *decode.Inst) (opFunc, error) {
	if i.GDS {
		return nil, errUnsupported
	}
	reg := func(f byte) uint8 {
		if o := i.Find(f); o != nil {
			return uint8(o.Code)
		}
		return 0
	}
	d, a, data, data1 := reg('D'), reg('A'), reg('0'), reg('1')
	off := uint32(i.MemOffset)
	name := strings.TrimPrefix(i.Name, "ds_")
	switch name {
	case "bpermute_b32":
		return func(w *wave) { w.bpermute(d, a, data, off) }, nil
	case "permute_b32":
		return func(w *wave) { w.forwardPermute(d, a, data, off) }, nil
	case "swizzle_b32":
		if off >= 0xe000 {
			return nil, errUnsupported
		}
		return func(w *wave) { w.swizzle(d, a, off) }, nil
	case "append", "consume":
		sign := uint32(1)
		if name == "consume" {
			sign = ^uint32(0)
		}
		return func(w *wave) {
			addr := w.s[m0Idx]&0xffff + off
			p := w.ldsAt(addr, 4, -1, true, true)
			if p == nil {
				return
			}
			old := binary.LittleEndian.Uint32(p)
			binary.LittleEndian.PutUint32(p, old+sign*uint32(bits.OnesCount32(w.exec())))
			activeLanes(w.exec(), func(k int) { w.v[d][k] = old })
		}, nil
	case "nop":
		return func(*wave) {}, nil
	}
	if load, ok := strings.CutPrefix(name, "load_"); ok {
		if step, bytes, two := twoAddress(load); two {
			o1 := uint32(i.Offset1) * step
			o0 := off * step
			return func(w *wave) { w.ldsLoad2(d, a, o0, o1, bytes) }, nil
		}
		if k, ok := accessKinds[load]; ok {
			if k.bytes >= 4 {
				return func(w *wave) {
					if !w.ldsLoadFast(d, a, off, k.bytes) {
						w.ldsLoad(d, a, off, k)
					}
				}, nil
			}
			return func(w *wave) { w.ldsLoad(d, a, off, k) }, nil
		}
	}
	if store, ok := strings.CutPrefix(name, "store_"); ok {
		if step, bytes, two := twoAddress(store); two {
			o1 := uint32(i.Offset1) * step
			o0 := off * step
			return func(w *wave) { w.ldsStore2(a, data, data1, o0, o1, bytes) }, nil
		}
		if k, ok := accessKinds[store]; ok {
			return func(w *wave) { w.ldsStore(a, data, off, k) }, nil
		}
	}
	return c.compileDSAtomic(name, d, a, data, data1, off)
}

// twoAddress parses the two-address forms: the offset unit and element size.
func twoAddress(name string) (step uint32, bytes int, ok bool) {
	rest, ok := strings.CutPrefix(name, "2addr_")
	if !ok {
		return 0, 0, false
	}
	step = 1
	if r, s := strings.CutPrefix(rest, "stride64_"); s {
		step, rest = 64, r
	}
	bytes = accessKinds[rest].bytes
	return step * uint32(bytes), bytes, true
}

func (w *wave) ldsLoad(d, a uint8, off uint32, k accessKind) {
	e := w.exec()
	w.wg.worker.stats.LDSLoadBytes += uint64(k.bytes * bits.OnesCount32(e))
	for ; e != 0; e &= e - 1 {
		i := bits.TrailingZeros32(e)
		p := w.ldsAt(w.v[a][i]+off, k.bytes, i, false, false)
		if p == nil {
			return
		}
		loadLane(w, d, i, k, p)
	}
}

func (w *wave) ldsStore(a, data uint8, off uint32, k accessKind) {
	e := w.exec()
	w.wg.worker.stats.LDSStoreBytes += uint64(k.bytes * bits.OnesCount32(e))
	for ; e != 0; e &= e - 1 {
		i := bits.TrailingZeros32(e)
		p := w.ldsAt(w.v[a][i]+off, k.bytes, i, true, false)
		if p == nil {
			return
		}
		storeLane(w, data, i, k, p)
	}
}

func (w *wave) ldsLoad2(d, a uint8, o0, o1 uint32, bytes int) {
	k := accessKind{bytes: bytes}
	e := w.exec()
	w.wg.worker.stats.LDSLoadBytes += uint64(2 * bytes * bits.OnesCount32(e))
	for ; e != 0; e &= e - 1 {
		i := bits.TrailingZeros32(e)
		addr := w.v[a][i] // read before the destination, which may overlap
		p, q := w.ldsAt(addr+o0, bytes, i, false, false), w.ldsAt(addr+o1, bytes, i, false, false)
		if p == nil || q == nil {
			return
		}
		loadLane(w, d, i, k, p)
		loadLane(w, d+uint8(bytes/4), i, k, q)
	}
}

func (w *wave) ldsStore2(a, data, data1 uint8, o0, o1 uint32, bytes int) {
	k := accessKind{bytes: bytes}
	e := w.exec()
	w.wg.worker.stats.LDSStoreBytes += uint64(2 * bytes * bits.OnesCount32(e))
	for ; e != 0; e &= e - 1 {
		i := bits.TrailingZeros32(e)
		p, q := w.ldsAt(w.v[a][i]+o0, bytes, i, true, false), w.ldsAt(w.v[a][i]+o1, bytes, i, true, false)
		if p == nil || q == nil {
			return
		}
		storeLane(w, data, i, k, p)
		storeLane(w, data1, i, k, q)
	}
}

// compileDSAtomic resolves LDS atomics with and without a returned value.
func (c *compiler) compileDSAtomic(name string, d, a, data, data1 uint8, off uint32) (opFunc, error) {
	ret := strings.Contains(name, "_rtn")
	name = strings.Replace(name, "_rtn", "", 1)
	name = strings.Replace(name, "storexchg_b", "swap_b", 1)
	op, ok := atomicOps[name]
	swap := strings.HasPrefix(name, "cmpstore_b")
	if swap {
		op, ok = atomicOp{bytes: 4}, true
		if name == "cmpstore_b64" {
			op.bytes = 8
		}
	}
	if !ok {
		return nil, errUnsupported
	}
	return func(w *wave) {
		e := w.exec()
		w.wg.worker.stats.LDSLoadBytes += uint64(op.bytes * bits.OnesCount32(e))
		w.wg.worker.stats.LDSStoreBytes += uint64(op.bytes * bits.OnesCount32(e))
		for ; e != 0; e &= e - 1 {
			k := bits.TrailingZeros32(e)
			p := w.ldsAt(w.v[a][k]+off, op.bytes, k, true, true)
			if p == nil {
				return
			}
			lop := op
			if swap { // data is the new value, data1 the expected one
				cmp := w.lane64(data1, k, op.bytes)
				lop.f = func(o, x uint64) uint64 {
					if o == cmp {
						return x
					}
					return o
				}
			}
			old := atomicLane(p, lop, w.lane64(data, k, op.bytes))
			if ret {
				w.setLane64(d, k, op.bytes, old)
			}
		}
	}, nil
}
