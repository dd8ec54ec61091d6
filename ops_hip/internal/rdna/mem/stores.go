package mem

import "sync/atomic"

// storePage is the size of the pages of Stores, in bytes.
const storePage = 1 << storeShift

const storeShift = 12

// Stores remembers to which pages of an allocation kernels have stored, so that whoever looks for what has changed need
// not compare all of it. Kernels may mark pages at the same time.
type Stores struct {
	size  int
	any   atomic.Bool
	pages []atomic.Bool
}

// NewStores returns the pages of size bytes, to which nothing was stored.
func NewStores(size int) *Stores {
	return &Stores{size: size, pages: make([]atomic.Bool, (size+storePage-1)/storePage)}
}

// Mark records a store of n bytes at an offset. They lie in the allocation.
func (s *Stores) Mark(off uint64, n int) {
	for p := off >> storeShift; p <= (off+uint64(n)-1)>>storeShift; p++ {
		if !s.pages[p].Load() {
			s.pages[p].Store(true)
			s.any.Store(true)
		}
	}
}

// Each calls f with each page [lo, hi) that is marked, and forgets those for which f returns false. No kernel may run.
func (s *Stores) Each(f func(lo, hi int) (keep bool)) {
	if !s.any.Load() {
		return
	}
	left := false
	for i := range s.pages {
		if !s.pages[i].Load() {
			continue
		}
		keep := f(i*storePage, min((i+1)*storePage, s.size))
		s.pages[i].Store(keep)
		left = left || keep
	}
	s.any.Store(left)
}
