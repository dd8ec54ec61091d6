package exec

import (
	"math/bits"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// bpermute is ds_bpermute_b32: each lane pulls from the lane that its address
// names; inactive source lanes give 0.
func (w *wave) bpermute(d, a, data uint8, off uint32) {
	e := w.exec()
	src := w.v[data]
	out := &w.tmp[3]
	for i, x := range &w.v[a] {
		k := (x + off) >> 2 & 31
		out[i] = src[k] & -(e >> k & 1)
	}
	blend(&w.v[d], out, e)
}

// forwardPermute is ds_permute_b32: each active lane pushes to the lane that its
// address names; lanes that nobody writes to get 0 and the highest writer wins.
func (w *wave) forwardPermute(d, a, data uint8, off uint32) {
	e := w.exec()
	var out vec
	for m := e; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		out[(w.v[a][i]+off)>>2&31] = w.v[data][i]
	}
	blend(&w.v[d], &out, e)
}

// swizzle is ds_swizzle_b32; inactive source lanes give 0.
func (w *wave) swizzle(d, a uint8, off uint32) {
	e := w.exec()
	src := w.v[a]
	out := &w.tmp[3]
	for i := range out {
		k := swizzleLane(off, uint32(i))
		out[i] = src[k] & -(e >> k & 1)
	}
	blend(&w.v[d], out, e)
}

// swizzleLane returns the source lane of lane i. Source: RDNA3 ISA, DS_SWIZZLE_B32.
func swizzleLane(off, i uint32) uint32 {
	switch {
	case off >= 0xc000: // rotate
		n, keep := off>>5&31, off&31
		if off>>10&1 != 0 {
			n = -n
		}
		return (i&keep | (i+n)&^keep) & 31
	case off&0x8000 != 0: // quad permute
		return i&^3 | off>>(2*(i&3))&3
	}
	return (i&off | off>>5&31) ^ off>>10&31
}

// compilePermlane resolves v_permlane16 and v_permlanex16, with selectors in
// scalars or, for the _var forms, per lane. cross says that lanes read the other
// row.
func (c *compiler) compilePermlane(i *decode.Inst, cross, perLane bool) opFunc {
	d, a := uint8(i.Find('D').Code), c.source(i.Find('0'))
	lo := c.source(i.Find('1'))
	hi := lo
	if !perLane {
		hi = c.source(i.Find('2'))
	}
	fi, bound := i.OpSel&1 != 0, i.OpSel&2 != 0
	return func(w *wave) {
		e := w.exec()
		if w.partialPermlane() {
			return
		}
		src, selLo, selHi := *w.vec(&a, 0), w.vec(&lo, 1), w.vec(&hi, 2)
		out := &w.tmp[3]
		write := e
		for k := range out {
			var sel uint32
			switch {
			case perLane:
				sel = selLo[k] & 15
			case k&15 < 8:
				sel = selLo[0] >> (4 * (k & 7)) & 15
			default:
				sel = selHi[0] >> (4 * (k & 7)) & 15
			}
			s := uint32(k)&16 | sel
			if cross {
				s ^= 16
			}
			switch {
			case fi || e>>s&1 != 0:
				out[k] = src[s]
			case bound:
				out[k] = 0
			default:
				write &^= 1 << k
			}
		}
		blend(&w.v[d], out, write)
	}
}

// partialPermlane refuses row permutations while some lanes are inactive: what an
// inactive lane holds is stale, and LLVM 19 is known to sink permlanes into
// divergent blocks.
func (w *wave) partialPermlane() bool {
	if e := w.exec(); e == fullExec || e == 0 || w.wg.l.AllowPartialPermlane {
		return false
	}
	w.fail(PartialExec, -1, "permlane with inactive lanes reads stale values")
	return true
}
