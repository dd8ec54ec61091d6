package par

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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

// TestRunPhases checks that barriers separate the phases of a run, and that a run follows the last at once or long
// after it.
func TestRunPhases(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		p := New(threads)
		for round := range 60 {
			const phases = 20
			var sums [phases]atomic.Int64
			bad := atomic.Bool{}
			if err := p.Run(func(w *Worker) {
				for i := range phases {
					sums[i].Add(int64(w.ID + 1))
					w.Barrier()
					if sums[i].Load() != int64(threads*(threads+1)/2) {
						bad.Store(true)
					}
				}
			}); err != nil {
				t.Fatal(err)
			}
			if bad.Load() {
				t.Fatalf("%d threads: a worker passed a barrier before another arrived", threads)
			}
			if round%20 == 0 {
				time.Sleep(5 * spinBetweenRuns) // workers park
			}
		}
		p.Close()
		if err := p.For(3, 1, func(lo, hi int) {}); err != nil {
			t.Errorf("a loop on a closed pool: %v", err)
		}
	}
}

// TestAssist runs loops from inside a run.
func TestAssist(t *testing.T) {
	for _, threads := range []int{1, 2, 3} {
		p := New(threads)
		for range 20 {
			var hits [1000]atomic.Int32
			if err := p.Run(func(w *Worker) {
				for range 3 {
					if w.ID == 0 {
						for range 2 {
							p.Inner().For(len(hits), 7, func(lo, hi int) {
								for i := lo; i < hi; i++ {
									hits[i].Add(1)
								}
							})
						}
					}
					w.Assist()
					w.Barrier()
				}
			}); err != nil {
				t.Fatal(err)
			}
			for i := range hits {
				if hits[i].Load() != 6 {
					t.Fatalf("%d threads: index %d ran %d times, want 6", threads, i, hits[i].Load())
				}
			}
		}
		p.Close()
	}
}

// TestRunPanics checks that a panic on any worker ends the run, wherever the others wait, and leaves the pool usable.
func TestRunPanics(t *testing.T) {
	p := New(3)
	defer p.Close()
	for who := range 3 {
		for _, where := range []string{"barrier", "assist", "loop"} {
			err := p.Run(func(w *Worker) {
				w.Barrier()
				if w.ID == who && where != "loop" {
					panic("boom")
				}
				if where == "barrier" {
					w.Barrier()
					return
				}
				if w.ID == 0 {
					p.Inner().For(30, 1, func(lo, hi int) {
						if where == "loop" && lo == 17 {
							panic("boom")
						}
					})
				}
				w.Assist()
				w.Barrier()
			})
			if err == nil || !strings.Contains(err.Error(), "boom") {
				t.Fatalf("worker %d at %s: err = %v", who, where, err)
			}
			var n atomic.Int32
			if err := p.Run(func(w *Worker) {
				w.Barrier()
				if w.ID == 0 {
					p.Inner().For(30, 1, func(lo, hi int) { n.Add(1) })
				}
				w.Assist()
				w.Barrier()
			}); err != nil || n.Load() != 30 {
				t.Fatalf("after a panic of worker %d at %s: %v, %d of 30", who, where, err, n.Load())
			}
		}
	}
}

// TestRunAllocatesNothing covers a run with barriers.
func TestRunAllocatesNothing(t *testing.T) {
	p := New(2)
	defer p.Close()
	body := func(w *Worker) { w.Barrier() }
	if n := testing.AllocsPerRun(100, func() { p.Run(body) }); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}

// BenchmarkBarrier measures what an op costs beyond its work: one phase of a run.
func BenchmarkBarrier(b *testing.B) {
	p := New(2)
	defer p.Close()
	p.Run(func(w *Worker) {
		for range b.N {
			w.Barrier()
		}
	})
}

// TestIdle checks that a worker that waits does what it was told to until there is nothing to do, that it still gets
// to know what it waits for, and that the next run knows nothing of it.
func TestIdle(t *testing.T) {
	p := New(2)
	defer p.Close()
	p.crowded = false
	var done atomic.Int32
	var after atomic.Bool
	if err := p.Run(func(w *Worker) {
		if w.ID == 1 {
			w.Idle(func() bool { return done.Add(1) <= 100 })
		}
		if w.ID == 0 {
			for done.Load() < 101 {
				p.relax(1)
			}
			after.Store(true)
		}
		w.Barrier()
		if !after.Load() {
			t.Error("a worker that had something to do did not wait")
		}
	}); err != nil {
		t.Fatal(err)
	}
	before := done.Load()
	if err := p.Run(func(w *Worker) {
		if w.ID == 0 {
			time.Sleep(time.Millisecond)
		}
		w.Barrier()
	}); err != nil {
		t.Fatal(err)
	}
	if n := done.Load(); n != before {
		t.Errorf("%d more calls in the next run", n-before)
	}
}
