package check

import "math/bits"

// Registers remembers which scalar registers and which lanes of which vector
// registers have been written.
type Registers struct {
	v [256]uint32 // a bit per lane
	s [4]uint32   // a bit per scalar register 0..127
}

// SetS marks a scalar register as written.
func (r *Registers) SetS(n int) { r.s[n>>5&3] |= 1 << (n & 31) }

// S reports whether a scalar register was written.
func (r *Registers) S(n int) bool { return r.s[n>>5&3]>>(n&31)&1 != 0 }

// SetV marks lanes of a vector register as written.
func (r *Registers) SetV(n int, lanes uint32) { r.v[n&255] |= lanes }

// PutS marks a scalar register as written or not, as a copy of another does.
func (r *Registers) PutS(n int, written bool) {
	r.s[n>>5&3] &^= 1 << (n & 31)
	if written {
		r.SetS(n)
	}
}

// Lanes returns the lanes of a vector register that were written.
func (r *Registers) Lanes(n int) uint32 { return r.v[n&255] }

// PutV sets the given lanes of a vector register to written where written has a
// bit and to not written elsewhere.
func (r *Registers) PutV(n int, lanes, written uint32) {
	r.v[n&255] = r.v[n&255]&^lanes | written&lanes
}

// V returns the first of the given lanes that was not written, or -1.
func (r *Registers) V(n int, lanes uint32) int {
	if m := lanes &^ r.v[n&255]; m != 0 {
		return bits.TrailingZeros32(m)
	}
	return -1
}
