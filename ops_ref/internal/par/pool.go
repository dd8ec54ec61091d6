package par

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Pool is a set of worker goroutines. The zero Pool runs everything on the caller. One loop runs at a time.
type Pool struct {
	jobs    chan *job
	threads int
	closed  sync.Once
}

// job is one loop, cut into chunks that workers take in turn.
type job struct {
	n, grain int
	f        func(lo, hi int)
	next     atomic.Int64
	pending  sync.WaitGroup
	mu       sync.Mutex
	panicked error
}

// New returns a pool that uses threads goroutines, the caller among them.
func New(threads int) *Pool {
	p := &Pool{threads: max(1, threads)}
	p.jobs = make(chan *job, p.threads)
	for range p.threads - 1 {
		go func() {
			for j := range p.jobs {
				j.work()
				j.pending.Done()
			}
		}()
	}
	return p
}

// Threads returns the number of goroutines that a loop uses at most.
func (p *Pool) Threads() int { return max(1, p.threads) }

// For calls f on [0,n) cut into ranges of grain indexes (the last may be shorter). The ranges do not depend on
// the number of threads, and they may run in any order and at the same time. A panic in f is returned as an
// error that holds its stack.
func (p *Pool) For(n, grain int, f func(lo, hi int)) error {
	if n <= 0 {
		return nil
	}
	j := &job{n: n, grain: max(1, grain), f: f}
	chunks := (n + j.grain - 1) / j.grain
	for range min(p.Threads(), chunks) - 1 {
		j.pending.Add(1)
		p.jobs <- j
	}
	j.work()
	j.pending.Wait()
	return j.panicked
}

func (j *job) work() {
	defer func() {
		if r := recover(); r != nil {
			j.next.Store(int64(j.n)) // the others stop too
			j.mu.Lock()
			j.panicked = fmt.Errorf("par: panic: %v\n%s", r, debug.Stack())
			j.mu.Unlock()
		}
	}()
	for {
		lo := int(j.next.Add(int64(j.grain))) - j.grain
		if lo >= j.n {
			return
		}
		j.f(lo, min(lo+j.grain, j.n))
	}
}

// Close ends the workers. No loop may be running.
func (p *Pool) Close() {
	p.closed.Do(func() {
		if p.jobs != nil {
			close(p.jobs)
		}
	})
}
