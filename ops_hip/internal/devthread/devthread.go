package devthread

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

// ErrClosed is returned by Do after Close.
var ErrClosed = errors.New("devthread: closed")

// Thread is an OS thread that runs functions one after another, in the order of the calls to Do.
type Thread struct {
	jobs  chan job
	done  chan struct{} // closed when the thread has ended
	mu    sync.RWMutex  // held for reading while a job is sent, for writing to close jobs
	ended bool
	chans sync.Pool // of chan error, empty
}

type job struct {
	fn   func() error
	done chan error
}

// PanicError is a panic of a function given to Do.
type PanicError struct {
	Value any
	Stack []byte
}

// Error formats the panic's value; Stack is for logs.
func (e *PanicError) Error() string { return fmt.Sprintf("devthread: panic: %v", e.Value) }

// Start starts a thread and runs init on it, whose error it returns.
func Start(init func() error) (*Thread, error) {
	t := &Thread{jobs: make(chan job), done: make(chan struct{})}
	t.chans.New = func() any { return make(chan error, 1) }
	go t.loop()
	if err := t.Do(context.Background(), init); err != nil {
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
		j.done <- protect(j.fn)
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
// if it has not started, and goes on if it has. fn must not call Do.
func (t *Thread) Do(ctx context.Context, fn func() error) error {
	t.mu.RLock()
	if t.ended {
		t.mu.RUnlock()
		return ErrClosed
	}
	c := t.chans.Get().(chan error)
	select {
	case t.jobs <- job{fn, c}:
		t.mu.RUnlock()
	case <-ctx.Done():
		t.mu.RUnlock()
		return ctx.Err()
	}
	select {
	case err := <-c:
		t.chans.Put(c)
		return err
	case <-ctx.Done(): // c is given up: the function's result will still arrive there
		return ctx.Err()
	}
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
