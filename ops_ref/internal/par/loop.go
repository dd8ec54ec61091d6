package par

import "sync/atomic"

// loop is one loop, cut into ranges that workers take in turn.
type loop struct {
	n, grain int
	f        func(lo, hi int)
	next     Counter
}

func (l *loop) work() {
	for {
		lo, hi, ok := l.next.Take(l.grain, l.n)
		if !ok {
			return
		}
		l.f(lo, hi)
	}
}

// For calls f on [0,n) cut into ranges of grain indexes (the last may be shorter). The ranges do not depend on
// the number of threads, and they may run in any order and at the same time. A panic in f is returned as an
// error that holds its stack; in a pool that Inner returned it ends the run instead.
func (p *Pool) For(n, grain int, f func(lo, hi int)) error {
	if n <= 0 {
		return nil
	}
	l := &loop{n: n, grain: max(1, grain), f: f}
	if p.outer == nil {
		return p.Run(func(*Worker) { l.work() })
	}
	o := p.outer
	if o.threads <= 1 || n <= l.grain {
		l.work()
		return nil
	}
	o.loop = l
	o.helped.Store(0)
	o.loops.Add(1)
	w := &o.workers[0]
	w.loops++
	l.work()
	for i := 1; o.helped.Load() < int32(o.threads-1); i++ {
		w.wait(i)
	}
	return nil
}

// Counter hands out the ranges of a loop to workers that take them as they get free. Which worker takes which range
// is left to chance, so results must not depend on it.
type Counter struct {
	next atomic.Int64
	_    [56]byte // counters do not share cache lines
}

// Reset makes c start from 0. No worker may be using it.
func (c *Counter) Reset() { c.next.Store(0) }

// Take returns the next range of at most grain indexes below n, and whether there was one.
func (c *Counter) Take(grain, n int) (lo, hi int, ok bool) {
	if c.next.Load() >= int64(n) {
		return 0, 0, false
	}
	hi = int(c.next.Add(int64(grain)))
	lo = hi - grain
	return lo, min(hi, n), lo < n
}
