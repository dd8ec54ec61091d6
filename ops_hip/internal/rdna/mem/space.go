package mem

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
)

const (
	firstAddr = 0x7e00_0000_0000 // looks like a device pointer and does not fit 32 bits
	align     = 4096
	guard     = 1 << 20 // unmapped bytes between allocations
	poison    = 0xff    // fresh memory reads as NaN, not as zero
)

// DefaultLimit is the capacity of a Space whose Limit is zero.
const DefaultLimit = 16 << 30

// ErrOutOfMemory reports an allocation beyond the limit of the space.
var ErrOutOfMemory = errors.New("mem: out of device memory")

// Alloc is one allocation. Data is shared with running kernels.
type Alloc struct {
	Base     uint64
	Data     []byte
	ReadOnly bool // guest stores and atomics fault
	Name     string
	Stores   *Stores // pages that kernels store to; nil: nobody asks
}

// Space is a device address space. The zero value is ready for use. Methods may
// be called from several goroutines; a reader that runs beside a kernel sees
// the kernel's stores in no defined order.
type Space struct {
	Limit int64 // bytes; 0 means DefaultLimit

	mu    sync.Mutex
	next  uint64
	used  int64
	table atomic.Pointer[[]*Alloc] // sorted by Base, replaced and never modified
	locks [64]sync.Mutex
}

// Alloc reserves size bytes, filled with 0xff.
func (s *Space) Alloc(size int64, name string, readOnly bool) (*Alloc, error) {
	a, err := s.AllocZeros(size, name, readOnly)
	if err != nil {
		return nil, err
	}
	for i := range a.Data {
		a.Data[i] = poison
	}
	return a, nil
}

// AllocZeros reserves size bytes of zeros. Of a large allocation, the host provides what is touched.
func (s *Space) AllocZeros(size int64, name string, readOnly bool) (*Alloc, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if size <= 0 || size > limit-s.used {
		return nil, fmt.Errorf("%w: %d bytes wanted for %q, %d of %d in use", ErrOutOfMemory, size, name, s.used,
			limit)
	}
	if s.next == 0 {
		s.next = firstAddr
	}
	a := &Alloc{Base: s.next, Data: make([]byte, size), ReadOnly: readOnly, Name: name}
	s.used += size
	s.next = (s.next+uint64(size)+guard+align-1)&^(align-1) + guard
	old := s.Allocs()
	table := append(append(make([]*Alloc, 0, len(old)+1), old...), a) // addresses only grow, so this stays sorted
	s.table.Store(&table)
	return a, nil
}

// Free releases the allocation that starts at base.
func (s *Space) Free(base uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := Find(s.Allocs(), base)
	if !s.remove(base) {
		return fmt.Errorf("mem: free of %#x: no allocation starts there", base)
	}
	s.used -= int64(len(a.Data))
	return nil
}

// remove takes the allocation that starts at base out of the table, and reports whether there was one.
func (s *Space) remove(base uint64) bool {
	old := s.Allocs()
	for i, a := range old {
		if a.Base == base {
			table := append(append(make([]*Alloc, 0, len(old)), old[:i]...), old[i+1:]...)
			s.table.Store(&table)
			return true
		}
	}
	return false
}

// Map puts data at base, where nothing may lie yet, as an allocation that the caller owns: it counts towards no limit,
// and kernels share its bytes. Alloc and Map are for different spaces: Alloc does not look where mappings lie. stores, if
// it is not nil, has the pages of data, and is told of stores.
func (s *Space) Map(base uint64, data []byte, readOnly bool, name string, stores *Stores) error {
	n := uint64(len(data))
	if n == 0 || base == 0 || base+n < base {
		return fmt.Errorf("mem: map of %q: %d bytes at %#x are none, or wrap around", name, n, base)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.Allocs()
	i := sort.Search(len(old), func(i int) bool { return old[i].Base >= base })
	if i < len(old) && old[i].Base-base < n {
		return fmt.Errorf("mem: map of %q: %d bytes at %#x overlap %q at %#x", name, n, base, old[i].Name, old[i].Base)
	}
	if Find(old, base) != nil {
		return fmt.Errorf("mem: map of %q: %#x lies in %q at %#x", name, base, old[i-1].Name, old[i-1].Base)
	}
	table := make([]*Alloc, 0, len(old)+1)
	table = append(append(table, old[:i]...), &Alloc{base, data, readOnly, name, stores})
	table = append(table, old[i:]...)
	s.table.Store(&table)
	return nil
}

// Unmap takes away what Map put at base.
func (s *Space) Unmap(base uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.remove(base) {
		return fmt.Errorf("mem: unmap of %#x: no mapping starts there", base)
	}
	return nil
}

// Allocs returns the allocations sorted by address. The slice is not modified
// after it was returned.
func (s *Space) Allocs() []*Alloc {
	if t := s.table.Load(); t != nil {
		return *t
	}
	return nil
}

// Find returns the allocation of table that holds addr, or nil.
func Find(table []*Alloc, addr uint64) *Alloc {
	i := sort.Search(len(table), func(i int) bool { return table[i].Base > addr })
	if i == 0 {
		return nil
	}
	if a := table[i-1]; addr-a.Base < uint64(len(a.Data)) {
		return a
	}
	return nil
}

// Bytes returns the n bytes at addr, which must lie in one allocation.
func (s *Space) Bytes(addr uint64, n int64) ([]byte, error) {
	a := Find(s.Allocs(), addr)
	if a == nil || n < 0 || uint64(n) > uint64(len(a.Data))-(addr-a.Base) {
		return nil, fmt.Errorf("mem: %d bytes at %#x are not inside one allocation", n, addr)
	}
	off := addr - a.Base
	return a.Data[off : off+uint64(n) : off+uint64(n)], nil
}

// Lock serialises guest atomics on the cache line of addr; call the result to
// unlock.
func (s *Space) Lock(addr uint64) *sync.Mutex {
	m := &s.locks[addr>>6&63]
	m.Lock()
	return m
}
