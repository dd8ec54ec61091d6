package exec

import (
	"math/bits"
	"sync/atomic"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

// footprint remembers which bytes of an allocation a launch has loaded and stored.
type footprint struct{ loaded, stored bitmap }

// bitmap has a bit per byte. Workers set bits at the same time.
type bitmap []uint64

// footprints returns an empty one for every allocation but the kernel's arguments.
func footprints(l *Launch) map[*mem.Alloc]*footprint {
	m := map[*mem.Alloc]*footprint{}
	for _, a := range l.allocs {
		if a.Base != l.Kernarg && a.Base != l.Dispatch {
			words := (len(a.Data) + 127) / 128 * 2 // whole lines
			m[a] = &footprint{make(bitmap, words), make(bitmap, words)}
		}
	}
	return m
}

// mark records an access of n bytes at an offset, n at most 64, and reports whether it loads from a line of 128 bytes
// that nothing had loaded.
func (f *footprint) mark(off uint64, n int, write bool) (fresh bool) {
	b := f.loaded
	if !write {
		fresh = b.empty(off>>7) || b.empty((off+uint64(n)-1)>>7)
	}
	if write {
		b = f.stored
	}
	run := uint64(1)<<n - 1
	b.set(off>>6, run<<(off&63))
	if rest := off&63 + uint64(n); rest > 64 {
		b.set(off>>6+1, run>>(64-off&63))
	}
	return fresh
}

// empty reports whether no bit of a line is set.
func (b bitmap) empty(line uint64) bool {
	return atomic.LoadUint64(&b[2*line])|atomic.LoadUint64(&b[2*line+1]) == 0
}

// markLanes is mark for the lanes of exec.
func (f *footprint) markLanes(off *[lanes]uint64, n int, exec uint32, write bool) (fresh bool) {
	for e := exec; e != 0; e &= e - 1 {
		fresh = f.mark(off[bits.TrailingZeros32(e)&(lanes-1)], n, write) || fresh
	}
	return fresh
}

// markAtomic records that an atomic, which counts as a store already, loads as well.
func (w *wave) markAtomic(addr uint64, n int) {
	if a := w.alloc; w.wg.l.touched != nil && a != nil && addr-a.Base < uint64(len(a.Data)) {
		if f := w.wg.l.touched[a]; f != nil {
			f.mark(addr-a.Base, n, false)
		}
	}
}

func (b bitmap) set(word, mask uint64) {
	if atomic.LoadUint64(&b[word])&mask != mask {
		atomic.OrUint64(&b[word], mask)
	}
}

func (b bitmap) count() (n uint64) {
	for _, x := range b {
		n += uint64(bits.OnesCount64(x))
	}
	return n
}
