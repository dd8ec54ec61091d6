package par

import (
	"sync/atomic"
	"testing"
)

// TestSharesCoverEachIndexOnce runs loops twice, with all workers and with one of them alone.
func TestSharesCoverEachIndexOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		p := New(threads)
		s := NewShares(threads)
		for _, n := range []int{0, 1, 7, 64, 1000} {
			for _, grain := range []int{1, 3, 64, 2000} {
				for _, alone := range []bool{false, true} {
					hits := make([]atomic.Int32, n)
					s.Reset()
					if err := p.Run(func(w *Worker) {
						if alone && w.ID != threads-1 {
							return
						}
						for {
							lo, hi, ok := s.Take(w, grain, n)
							if !ok {
								return
							}
							if lo%grain != 0 || hi-lo > grain {
								t.Errorf("range %d to %d of grain %d", lo, hi, grain)
							}
							for i := lo; i < hi; i++ {
								hits[i].Add(1)
							}
						}
					}); err != nil {
						t.Fatal(err)
					}
					for i := range hits {
						if h := hits[i].Load(); h != 1 {
							t.Fatalf("threads %d n %d grain %d alone %v: index %d ran %d times", threads, n, grain,
								alone, i, h)
						}
					}
				}
			}
		}
		p.Close()
	}
}

// TestSharesTakeMany checks that ranges taken together cover each index once too, and get smaller towards the end of a
// share.
func TestSharesTakeMany(t *testing.T) {
	const grain, most = 3, 5
	for _, threads := range []int{1, 2, 5} {
		p := New(threads)
		s := NewShares(threads)
		for _, n := range []int{0, 1, 7, 64, 1000} {
			hits := make([]atomic.Int32, n)
			s.Reset()
			if err := p.Run(func(w *Worker) {
				own, end := s.First(w, grain, n)
				for last := most * grain; ; {
					lo, hi, ok := s.TakeMany(w, grain, most, n)
					if !ok {
						return
					}
					if lo%grain != 0 || hi-lo > most*grain || hi == n && n > 64 && hi-lo > grain {
						t.Errorf("range %d to %d of %d", lo, hi, n)
					}
					if inside := lo >= own && hi <= end; inside && hi-lo > last {
						t.Errorf("%d indexes behind %d of the same share", hi-lo, last)
					} else if inside {
						last = hi - lo
					}
					for i := lo; i < hi; i++ {
						hits[i].Add(1)
					}
				}
			}); err != nil {
				t.Fatal(err)
			}
			for i := range hits {
				if h := hits[i].Load(); h != 1 {
					t.Fatalf("threads %d n %d: index %d ran %d times", threads, n, i, h)
				}
			}
		}
		p.Close()
	}
}

// TestSharesFirst checks that First is the part of the loop that a worker alone takes first, and that the parts of all
// are the loop.
func TestSharesFirst(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		s, next := NewShares(threads), 0
		for id := range threads {
			w := &Worker{ID: id}
			lo, hi := s.First(w, 3, 100)
			if lo != next || hi < lo {
				t.Errorf("%d threads: share %d is %d to %d, behind %d", threads, id, lo, hi, next)
			}
			s.Reset()
			if first, _, ok := s.Take(w, 3, 100); !ok || first != lo {
				t.Errorf("%d threads: worker %d takes %d first, of a share from %d", threads, id, first, lo)
			}
			next = hi
		}
		if next != 100 {
			t.Errorf("%d threads: the shares end at %d", threads, next)
		}
	}
}
