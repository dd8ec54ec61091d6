package par

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestRunsAreExact runs several pools beside each other on few processors, with pauses around the time after which
// workers park, and expects every worker to take part in every run exactly once, while it lasts.
func TestRunsAreExact(t *testing.T) {
	var all sync.WaitGroup
	runs := 4000
	if testing.Short() {
		runs = 1000
	}
	for seed := range uint64(6) {
		all.Go(func() {
			p := New(3)
			defer p.Close()
			r := rand.New(rand.NewPCG(seed, 1))
			var running atomic.Bool
			for i := range runs {
				var took [3]atomic.Int32
				running.Store(true)
				if err := p.Run(func(w *Worker) {
					if !running.Load() {
						t.Errorf("run %d: worker %d is late", i, w.ID)
					}
					took[w.ID].Add(1)
				}); err != nil {
					t.Error(err)
				}
				running.Store(false)
				for id := range took {
					if n := took[id].Load(); n != 1 {
						t.Errorf("run %d: worker %d took part %d times", i, id, n)
						return
					}
				}
				if r.IntN(4) == 0 {
					for start, d := time.Now(), time.Duration(r.IntN(200))*time.Microsecond; time.Since(start) < d; {
					}
				}
			}
		})
	}
	all.Wait()
}

// TestLateWake lets the caller be slow between announcing a run and waking the workers: a worker that noticed by
// itself, and parked again, must not take the wake-up for another run.
func TestLateWake(t *testing.T) {
	p := New(2)
	defer p.Close()
	var runs atomic.Int32
	w := &p.workers[1]
	parked := func() {
		for !w.parked.Load() {
			time.Sleep(10 * time.Microsecond)
		}
	}
	for range 20 {
		parked()
		before := runs.Load()
		// What dispatch does, cut in two.
		p.body = func(*Worker) { runs.Add(1) }
		p.pending.Store(1)
		w.parked.Store(false) // the worker woke up by itself
		p.dist.Add(1)
		w.wake <- struct{}{}
		for p.pending.Load() > 0 {
			time.Sleep(10 * time.Microsecond)
		}
		parked()
		if w.parked.CompareAndSwap(true, false) { // the late half
			w.wake <- struct{}{}
		}
		time.Sleep(time.Millisecond)
		if n := runs.Load() - before; n != 1 || p.pending.Load() != 0 {
			t.Fatalf("the worker ran %d times, %d workers pending", n, p.pending.Load())
		}
	}
}
