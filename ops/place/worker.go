package place

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/hipengine/hipengine/ops"
)

// worker enqueues the work of one part, on a goroutine of its own: parts that compute before their calls return hold up
// nobody else.
type worker struct {
	part *Part
	s    ops.Stream
	jobs chan job
	open atomic.Int32 // jobs that are not done
	done chan struct{}
}

// job is a piece of work. After an error of the stream it is left out, since it may depend on what failed; over is
// called in any case.
type job struct {
	run  func() error
	over func()
}

// queueLen is how many jobs wait for a worker before the stream's user does.
const queueLen = 64

func newWorker(p *Part, f *failure) (*worker, error) {
	s, err := p.Device.Stream()
	if err != nil {
		return nil, err
	}
	w := &worker{part: p, s: s, jobs: make(chan job, queueLen), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for j := range w.jobs {
			if j.run != nil && !f.failed() {
				if err := guarded(j.run); err != nil {
					f.fail(w.describe(err))
				}
			}
			w.open.Add(-1)
			if j.over != nil {
				j.over()
			}
		}
	}()
	return w, nil
}

// describe says which part an error is of.
func (w *worker) describe(err error) error {
	if len(w.part.whole.parts) == 1 {
		return err
	}
	return &PartError{Device: w.part.Device.Info().Name, Part: w.part.number, Whole: w.part.whole.name, Err: err}
}

// PartError is an error of one of several devices while it worked.
type PartError struct {
	Device string // name of the part
	Part   int    // its number
	Whole  string // the names of all
	Err    error
}

// Error names the part.
func (e *PartError) Error() string {
	return fmt.Sprintf("place: part %d of %s, %s, failed: %v", e.Part, e.Whole, e.Device, e.Err)
}

// Unwrap returns the part's error.
func (e *PartError) Unwrap() error { return e.Err }

// DeviceFailed returns the name of the device. Package serve tells by this method that it is not the request's fault.
func (e *PartError) DeviceFailed() string { return e.Device }

// guarded makes an error of a panic.
func guarded(job func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return job()
}

// do enqueues a job.
func (w *worker) do(j job) {
	w.open.Add(1)
	w.jobs <- j
}

// idle waits until all jobs are done, or ctx is.
func (w *worker) idle(ctx context.Context) error {
	if w.open.Load() == 0 {
		return nil
	}
	over := make(chan struct{})
	w.open.Add(1)
	select {
	case w.jobs <- job{over: func() { close(over) }}:
	case <-ctx.Done(): // the queue is full
		w.open.Add(-1)
		return ctx.Err()
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the worker, once its jobs are done.
func (w *worker) close() error {
	close(w.jobs)
	<-w.done
	return w.s.Close()
}

// failure is the first error of the work since the last that was reported.
type failure struct {
	mu    sync.Mutex
	err   error
	abort chan struct{} // closed with the first error
}

func newFailure() *failure { return &failure{abort: make(chan struct{})} }

func (f *failure) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
		close(f.abort)
	}
}

// failed reports whether there is an error.
func (f *failure) failed() bool {
	select {
	case <-f.now():
		return true
	default:
		return false
	}
}

// now returns what is closed when the work fails.
func (f *failure) now() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.abort
}

// take returns the error and forgets it.
func (f *failure) take() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.err
	if err != nil {
		f.err, f.abort = nil, make(chan struct{})
	}
	return err
}
