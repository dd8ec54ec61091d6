package devthread

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// ErrClosed is returned by Do after Close.
var ErrClosed = errors.New("devthread: closed")

// Thread is an OS thread that runs functions one after another, in the order of the calls to Do.
type Thread struct {
	jobs  chan job
	done  chan struct{} // closed when the thread has ended
	mu    sync.RWMutex  // held for reading while a job is sent, for writing to close jobs
	ended bool
	calls sync.Pool // of *call, none of which is in use

	enter func() error // makes a thread the device's
	turn  sync.Mutex   // held while a function runs, on whichever thread
}

type job struct {
	fn   func() error
	done chan error
}

// call is what the caller of a function waits with.
type call struct {
	done  chan error
	timer *time.Timer // stopped
}

// PanicError is a panic of a function given to Do.
type PanicError struct {
	Value any
	Stack []byte
}

// Error formats the panic's value; Stack is for logs.
func (e *PanicError) Error() string { return fmt.Sprintf("devthread: panic: %v", e.Value) }

// Start starts a thread and runs enter and init on it, whose error it returns. enter is run again on each thread that
// stands in for it, see Here: it makes it one from which the device can be used.
func Start(enter, init func() error) (*Thread, error) {
	t := &Thread{jobs: make(chan job), done: make(chan struct{}), enter: enter}
	t.calls.New = func() any {
		c := &call{make(chan error, 1), time.NewTimer(time.Hour)}
		c.timer.Stop()
		return c
	}
	go t.loop()
	err := t.Do(context.Background(), func() error {
		if err := enter(); err != nil {
			return err
		}
		return init()
	})
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// loop never unlocks the thread, so that it ends with the goroutine and nothing else runs on it.
func (t *Thread) loop() {
	runtime.LockOSThread()
	defer close(t.done)
	for j := range t.jobs {
		t.turn.Lock()
		err := protect(j.fn)
		t.turn.Unlock()
		j.done <- err
	}
}

// protect runs fn and returns its panic as an error.
func protect(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return fn()
}

// Do runs fn on the thread and returns its error. If ctx ends first, Do returns its error: fn then does not run
// if it has not started, and goes on if it has. fn must not call Do or Here.
func (t *Thread) Do(ctx context.Context, fn func() error) error { return t.DoFor(ctx, 0, fn) }

// How long before a function is expected to end DoFor begins to look for that: an eighth of what it takes, within these.
// It looks for twice as long at most.
const (
	leastEarly = 300 * time.Microsecond
	mostEarly  = time.Millisecond
)

// DoFor is Do for a function that is expected to take so long, if that is known: about then the caller looks for its
// end again and again instead of sleeping, since threads that sleep wake some 10 to 100 µs late.
func (t *Thread) DoFor(ctx context.Context, takes time.Duration, fn func() error) error {
	t.mu.RLock()
	if t.ended {
		t.mu.RUnlock()
		return ErrClosed
	}
	c := t.calls.Get().(*call)
	select {
	case t.jobs <- job{fn, c.done}:
		t.mu.RUnlock()
	case <-ctx.Done():
		t.mu.RUnlock()
		t.calls.Put(c)
		return ctx.Err()
	}
	over, err := false, error(nil)
	if takes > 0 && runtime.GOMAXPROCS(0) > 1 {
		over, err = c.look(ctx, takes)
	}
	if !over {
		select {
		case err = <-c.done:
		case <-ctx.Done(): // c is given up: the function's result will still arrive there
			return ctx.Err()
		}
	}
	t.calls.Put(c)
	return err
}

// look looks for the end of a function that is expected to take so long, and reports whether it has ended.
func (c *call) look(ctx context.Context, takes time.Duration) (over bool, err error) {
	early := min(max(takes/8, leastEarly), mostEarly)
	if d := takes - early; d > leastEarly {
		c.timer.Reset(d)
		defer c.timer.Stop()
		select {
		case err := <-c.done:
			return true, err
		case <-ctx.Done():
			return false, nil
		case <-c.timer.C:
		}
	}
	for start := time.Now(); time.Since(start) < 2*early && ctx.Err() == nil; runtime.Gosched() {
		select {
		case err := <-c.done:
			return true, err
		default:
		}
	}
	return false, nil
}

// Here runs fn on the caller's own thread, between what Do runs, and returns its error: no other thread has to wake up
// for it. fn must not call Do or Here.
func (t *Thread) Here(fn func() error) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.ended {
		return ErrClosed
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t.turn.Lock()
	defer t.turn.Unlock()
	if err := t.enter(); err != nil {
		return err
	}
	return protect(fn)
}

// Close waits for the functions given to Do so far and ends the thread. It may be called more than once.
func (t *Thread) Close() {
	t.mu.Lock()
	if !t.ended {
		t.ended = true
		close(t.jobs)
	}
	t.mu.Unlock()
	<-t.done
}
