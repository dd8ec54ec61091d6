//go:build linux

package fake

import (
	"slices"
	"syscall"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// spanKind says what a mapping of the process is.
type spanKind uint8

const (
	reserved  spanKind = iota // anonymous without access: addresses
	anonymous                 // anonymous with access
	buffer                    // of a render node
	doorbells                 // of /dev/kfd
	registers                 // of /dev/kfd
)

// String returns the kind in words.
func (k spanKind) String() string {
	return [...]string{"reservation", "anonymous memory", "buffer", "doorbells", "registers"}[k]
}

// span is a range of the process's addresses that is mapped.
type span struct {
	lo, hi uint64
	kind   spanKind
	bo     *bo
	gpu    *gpu // of doorbells and registers
}

// spans are disjoint and sorted.
type spans []span

// clear takes [lo, hi) out and returns what was there.
func (s *spans) clear(lo, hi uint64) []span {
	var gone, kept []span
	for _, x := range *s {
		if x.hi <= lo || x.lo >= hi {
			kept = append(kept, x)
			continue
		}
		cut := x
		if x.lo < lo {
			left := x
			left.hi, cut.lo = lo, lo
			kept = append(kept, left)
		}
		if x.hi > hi {
			right := x
			right.lo, cut.hi = hi, hi
			kept = append(kept, right)
		}
		gone = append(gone, cut)
	}
	*s = kept
	s.sort()
	return gone
}

// set puts x in the place of whatever was there, and joins reservations that touch.
func (s *spans) set(x span) {
	s.clear(x.lo, x.hi)
	*s = append(*s, x)
	s.sort()
	joined := (*s)[:1:1]
	for _, y := range (*s)[1:] {
		last := &joined[len(joined)-1]
		if y.kind == reserved && last.kind == reserved && last.hi == y.lo {
			last.hi = y.hi
		} else {
			joined = append(joined, y)
		}
	}
	*s = joined
}

func (s *spans) sort() {
	slices.SortFunc(*s, func(a, b span) int {
		if a.lo < b.lo {
			return -1
		}
		return 1
	})
}

// covered reports whether all of [lo, hi) is mapped.
func (s spans) covered(lo, hi uint64) bool {
	for _, x := range s {
		if lo >= hi {
			break
		}
		if x.lo <= lo && lo < x.hi {
			lo = x.hi
		}
	}
	return lo >= hi
}

// find returns what is mapped at addr.
func (s spans) find(addr uint64) *span {
	for i := range s {
		if s[i].lo <= addr && addr < s[i].hi {
			return &s[i]
		}
	}
	return nil
}

// maxRest is the number of unmapped ranges that rest: their addresses fault, and nothing new lies there.
const maxRest = 1000

func pages(n uint64) uint64 { return (n + abi.PageSize - 1) &^ (abi.PageSize - 1) }

func rawMap(addr, n uint64, prot, flags, fd int, off uint64) (uint64, error) {
	p, _, e := syscall.Syscall6(syscall.SYS_MMAP, uintptr(addr), uintptr(n), uintptr(prot), uintptr(flags), uintptr(fd),
		uintptr(off))
	if e != 0 {
		return 0, e
	}
	return uint64(p), nil
}

func rawUnmap(addr, n uint64) error {
	if _, _, e := syscall.Syscall(syscall.SYS_MUNMAP, uintptr(addr), uintptr(n), 0); e != 0 {
		return e
	}
	return nil
}

// park makes [lo, hi) inaccessible and lets its addresses rest.
func (m *Machine) park(lo, hi uint64) error {
	const flags = syscall.MAP_PRIVATE | syscall.MAP_ANONYMOUS | syscall.MAP_NORESERVE | syscall.MAP_FIXED
	if _, err := rawMap(lo, hi-lo, syscall.PROT_NONE, flags, -1, 0); err != nil {
		return err
	}
	m.rest = append(m.rest, span{lo: lo, hi: hi})
	if len(m.rest) > maxRest {
		x := m.rest[0]
		m.rest = m.rest[1:]
		return rawUnmap(x.lo, x.hi-x.lo)
	}
	return nil
}
