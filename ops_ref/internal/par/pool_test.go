package par

import (
	"strings"
	"sync"
	"testing"
)

func TestForCoversEachIndexOnce(t *testing.T) {
	for _, threads := range []int{0, 1, 2, 5} {
		p := &Pool{}
		if threads > 0 {
			p = New(threads)
		}
		for _, n := range []int{0, 1, 7, 64, 1000} {
			for _, grain := range []int{0, 1, 3, 64, 2000} {
				hits := make([]int, n)
				var mu sync.Mutex
				starts := map[int]bool{}
				if err := p.For(n, grain, func(lo, hi int) {
					for i := lo; i < hi; i++ {
						hits[i]++ // ranges are disjoint: the race detector checks it
					}
					mu.Lock()
					starts[lo] = true
					mu.Unlock()
				}); err != nil {
					t.Fatal(err)
				}
				for i, h := range hits {
					if h != 1 {
						t.Fatalf("threads %d n %d grain %d: index %d ran %d times", threads, n, grain, i, h)
					}
				}
				for lo := range starts {
					if lo%max(1, grain) != 0 {
						t.Errorf("range starts at %d with grain %d", lo, grain)
					}
				}
			}
		}
		p.Close()
	}
}

func TestPanicIsAnError(t *testing.T) {
	p := New(3)
	defer p.Close()
	err := p.For(100, 1, func(lo, hi int) {
		if lo == 50 {
			panic("boom")
		}
	})
	if err == nil || !strings.Contains(err.Error(), "boom") {
		t.Fatalf("err = %v", err)
	}
	if err := p.For(10, 1, func(lo, hi int) {}); err != nil {
		t.Fatalf("pool does not survive: %v", err)
	}
}
