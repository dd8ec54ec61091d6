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
