package mem

import (
	"errors"
	"slices"
	"sync"
	"testing"
)

func TestSpace(t *testing.T) {
	s := Space{Limit: 1 << 20}
	a, err := s.Alloc(100, "a", false)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Alloc(1, "b", true)
	if err != nil {
		t.Fatal(err)
	}
	if a.Data[0] != 0xff || a.Data[99] != 0xff {
		t.Error("fresh memory is not poisoned")
	}
	for _, c := range []struct {
		addr uint64
		want *Alloc
	}{{a.Base, a}, {a.Base + 99, a}, {a.Base + 100, nil}, {a.Base - 1, nil}, {b.Base, b}, {b.Base + 1, nil}, {0, nil},
		{^uint64(0), nil}} {
		if got := Find(s.Allocs(), c.addr); got != c.want {
			t.Errorf("Find(%#x) = %v, want %v", c.addr, got, c.want)
		}
	}
	if b.Base-a.Base < guard {
		t.Errorf("allocations are %d bytes apart, want at least %d", b.Base-a.Base, guard)
	}
	for _, c := range []struct {
		addr uint64
		n    int64
		ok   bool
	}{{a.Base, 100, true}, {a.Base + 50, 50, true}, {a.Base + 50, 51, false}, {a.Base, -1, false},
		{b.Base, 1 << 62, false}} {
		if _, err := s.Bytes(c.addr, c.n); (err == nil) != c.ok {
			t.Errorf("Bytes(%#x, %d): %v, want success %v", c.addr, c.n, err, c.ok)
		}
	}
	for _, n := range []int64{0, -1, 1 << 20, 1 << 62} {
		if _, err := s.Alloc(n, "c", false); !errors.Is(err, ErrOutOfMemory) {
			t.Errorf("Alloc(%d): %v, want ErrOutOfMemory", n, err)
		}
	}
	if err := s.Free(a.Base + 1); err == nil {
		t.Error("freeing the middle of an allocation succeeds")
	}
	if err := s.Free(a.Base); err != nil {
		t.Error(err)
	}
	if Find(s.Allocs(), a.Base) != nil {
		t.Error("freed memory is still found")
	}
	if err := s.Free(a.Base); err == nil {
		t.Error("a second free succeeds")
	}
}

func TestMap(t *testing.T) {
	var s Space
	low, high := []byte{1, 2, 3, 4}, []byte{5, 6, 7, 8}
	if err := s.Map(0x2000, high, false, "high", nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Map(0x1000, low, true, "low", nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		base uint64
		n    int
	}{{0x1000, 1}, {0x1003, 1}, {0xfff, 2}, {0x1ffe, 3}, {0x2003, 8}, {0, 1}, {0x3000, 0}, {^uint64(0), 2}} {
		if err := s.Map(c.base, make([]byte, c.n), false, "bad", nil); err == nil {
			t.Errorf("Map(%#x, %d bytes) succeeds", c.base, c.n)
		}
	}
	if err := s.Map(0x1004, make([]byte, 0x1000-4), false, "between", nil); err != nil {
		t.Errorf("a mapping that fills the gap: %v", err)
	}
	if b, err := s.Bytes(0x2001, 2); err != nil || &b[0] != &high[1] {
		t.Errorf("Bytes(0x2001) = %v, %v: not the mapped bytes", b, err)
	}
	if a := Find(s.Allocs(), 0x1003); a == nil || !a.ReadOnly || a.Name != "low" {
		t.Errorf("Find(0x1003) = %+v", a)
	}
	if err := s.Unmap(0x1001); err == nil {
		t.Error("unmapping the middle succeeds")
	}
	if err := s.Unmap(0x1000); err != nil {
		t.Error(err)
	}
	if Find(s.Allocs(), 0x1000) != nil {
		t.Error("an unmapped range is still found")
	}
	if err := s.Map(0x1000, low, false, "again", nil); err != nil {
		t.Errorf("a second mapping at the same place: %v", err)
	}
}

func TestConcurrentAllocations(t *testing.T) {
	var s Space
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				a, err := s.Alloc(64, "x", false)
				if err != nil {
					t.Error(err)
					return
				}
				if Find(s.Allocs(), a.Base) != a {
					t.Error("an allocation is not found")
				}
				if err := s.Free(a.Base); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(s.Allocs()); n != 0 {
		t.Errorf("%d allocations are left", n)
	}
}

func TestStores(t *testing.T) {
	s := NewStores(2*storePage + 10)
	marked := func(keep bool) (pages [][2]int) {
		s.Each(func(lo, hi int) bool {
			pages = append(pages, [2]int{lo, hi})
			return keep
		})
		return pages
	}
	if got := marked(true); got != nil {
		t.Errorf("before any store: %v", got)
	}
	s.Mark(storePage-1, 2) // ends in the second
	s.Mark(2*storePage+9, 1)
	want := [][2]int{{0, storePage}, {storePage, 2 * storePage}, {2 * storePage, 2*storePage + 10}}
	for _, keep := range []bool{true, false} {
		if got := marked(keep); !slices.Equal(got, want) {
			t.Errorf("after stores to all pages: %v, want %v", got, want)
		}
	}
	if got := marked(true); got != nil {
		t.Errorf("after they were forgotten: %v", got)
	}
}
