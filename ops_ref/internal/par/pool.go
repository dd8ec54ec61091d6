package par

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// Pool is a set of goroutines that stay, spinning for a short time between runs and parked after it. The zero Pool
// runs everything on the caller. One run or loop is in progress at a time; others wait for it.
type Pool struct {
	threads int
	crowded bool  // more threads than processors
	outer   *Pool // set in the pool that Inner returns

	busy    sync.Mutex
	closed  atomic.Bool
	workers []Worker
	alone   *Worker       // runs everything where there are no others
	dist    atomic.Uint32 // number of runs dispatched
	body    func(*Worker)
	pending atomic.Int32 // workers that have not finished the run

	arrived atomic.Int32 // at the barrier
	phase   atomic.Uint32
	broken  atomic.Bool // a worker panicked: the others must not wait for it
	failure error       // guarded by mu
	mu      sync.Mutex

	inner  *Pool
	loop   *loop         // of the run's worker 0, nil: no more loops
	loops  atomic.Uint32 // number of values that loop had
	helped atomic.Int32  // workers that have finished loop
}

// Worker is one of the threads of a run.
type Worker struct {
	ID   int // 0 is the goroutine that called Run
	pool *Pool

	parked atomic.Bool
	wake   chan struct{}
	seen   uint32
	loops  uint32
	idle   func() bool
	_      [64]byte // workers do not share cache lines
}

// errBroken is what workers panic with that wait for one that panicked.
var errBroken = errors.New("par: another worker panicked")

// spinBetweenRuns is how long workers wait for the next run before they park: longer than a GPU takes for its part of a
// layer whose experts are the CPU's, since many that are parked take 0.3 ms until all of them run.
const spinBetweenRuns = 400 * time.Microsecond

// New returns a pool that uses threads goroutines, the caller among them.
func New(threads int) *Pool {
	p := &Pool{threads: max(1, threads)}
	p.crowded = p.threads > runtime.GOMAXPROCS(0)
	p.inner = &Pool{threads: p.threads, outer: p}
	p.workers = make([]Worker, p.threads)
	for i := range p.workers {
		w := &p.workers[i]
		w.ID, w.pool = i, p
		if i > 0 {
			w.wake = make(chan struct{}, 1)
			go w.serve()
		}
	}
	return p
}

// Threads returns the number of goroutines that a run or loop uses at most.
func (p *Pool) Threads() int { return max(1, p.threads) }

// Inner returns a pool for use by worker 0 of a run: its loops use the workers that are in Assist.
func (p *Pool) Inner() *Pool {
	if p.inner == nil {
		return p
	}
	return p.inner
}

// Close ends the goroutines. Later runs and loops use the caller alone.
func (p *Pool) Close() {
	p.busy.Lock()
	defer p.busy.Unlock()
	if p.closed.Swap(true) {
		return
	}
	p.dispatch(nil)
}

// dispatch hands body to all workers but 0.
func (p *Pool) dispatch(body func(*Worker)) {
	p.body = body
	p.pending.Store(int32(len(p.workers) - 1))
	p.dist.Add(1)
	for i := 1; i < len(p.workers); i++ {
		if w := &p.workers[i]; w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

// serve runs what is dispatched until the pool is closed.
func (w *Worker) serve() {
	p := w.pool
	for {
		w.await()
		w.seen++
		if p.body == nil {
			return
		}
		w.run(p.body)
		p.pending.Add(-1)
	}
}

// await returns when the next run is dispatched.
func (w *Worker) await() {
	p := w.pool
	start := time.Now()
	for i := 1; p.dist.Load() == w.seen; i++ {
		simd.Pause(1)
		if !p.crowded && (i%64 != 0 || time.Since(start) < spinBetweenRuns) {
			continue
		}
		w.parked.Store(true)
		if p.dist.Load() != w.seen && w.parked.CompareAndSwap(true, false) {
			return
		}
		// Whoever took back parked sends. It may have been about to for the run before, which this worker has done
		// since without being woken: only dist says whether there is a new one.
		<-w.wake
		start = time.Now()
	}
}

// run executes body and turns a panic into the run's error.
func (w *Worker) run(body func(*Worker)) {
	defer func() {
		if r := recover(); r != nil {
			w.pool.broken.Store(true)
			if r != any(errBroken) {
				w.pool.fail(fmt.Errorf("par: panic: %v\n%s", r, debug.Stack()))
			}
		}
	}()
	w.idle = nil
	body(w)
}

func (p *Pool) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure == nil {
		p.failure = err
	}
}

// Run calls body on all workers at the same time and returns when all have returned. If one panics, the run ends and
// the error holds its stack. It allocates nothing.
func (p *Pool) Run(body func(*Worker)) error {
	p.busy.Lock()
	defer p.busy.Unlock()
	if p.threads <= 1 || p.closed.Load() {
		if p.alone == nil {
			p.alone = &Worker{pool: &Pool{threads: 1}}
		}
		p.alone.run(body)
		return p.alone.pool.settle()
	}
	p.dispatch(body)
	p.workers[0].run(body)
	for i := 1; p.pending.Load() > 0; i++ {
		p.relax(i)
	}
	return p.settle()
}

// Alone calls f while no run or loop is in progress.
func (p *Pool) Alone(f func()) {
	p.busy.Lock()
	defer p.busy.Unlock()
	f()
}

// settle makes the pool ready for the next run and returns the error of the last.
func (p *Pool) settle() error {
	if !p.broken.Load() {
		return nil
	}
	p.broken.Store(false)
	p.arrived.Store(0)
	for i := range p.workers {
		p.workers[i].loops = p.loops.Load()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.failure
	p.failure = nil
	return err
}

// Threads returns the number of workers of the run.
func (w *Worker) Threads() int { return w.pool.Threads() }

// Idle says what the worker does until the end of the run while it waits for others: f, which does a little and
// reports whether there was anything to do. Where there are more workers than processors it is not called.
func (w *Worker) Idle(f func() (did bool)) { w.idle = f }

// Barrier returns when all workers of the run have called it as often.
func (w *Worker) Barrier() {
	p := w.pool
	if p.threads <= 1 {
		return
	}
	phase := p.phase.Load()
	if p.arrived.Add(1) == int32(p.threads) {
		p.arrived.Store(0)
		p.phase.Add(1)
		return
	}
	for i := 1; p.phase.Load() == phase; i++ {
		w.wait(i)
	}
}

// wait is one step of waiting for another worker.
func (w *Worker) wait(i int) {
	if w.pool.broken.Load() {
		panic(errBroken)
	}
	if w.idle != nil && !w.pool.crowded && w.idle() {
		return
	}
	w.pool.relax(i)
}

// Assist runs the loops of worker 0 that go through the pool's Inner, until worker 0 calls it too.
func (w *Worker) Assist() {
	p := w.pool
	if p.threads <= 1 {
		return
	}
	if w.ID == 0 {
		p.loop = nil
		p.loops.Add(1)
		w.loops++
		return
	}
	for {
		for i := 1; p.loops.Load() == w.loops; i++ {
			w.wait(i)
		}
		w.loops++
		if p.loop == nil {
			return
		}
		p.loop.work()
		p.helped.Add(1)
	}
}
