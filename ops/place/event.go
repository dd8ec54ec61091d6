package place

import (
	"context"
	"errors"
	"sync"

	"github.com/hipengine/hipengine/ops"
)

// event is a point in the work of all parts.
type event struct {
	marks []*mark

	mu     sync.Mutex
	users  int // waits that are not enqueued yet
	closed bool
}

// mark is a point in the work of a part.
type mark struct {
	part int
	set  chan struct{} // closed when e is there, or never will be
	e    ops.Event
}

var errLost = errors.New("place: the work before the event has failed")

// Mark returns an event of all parts that have had work.
func (s *stream) Mark() (ops.Event, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	e := &event{}
	for i, w := range s.workers {
		if w == nil {
			continue
		}
		m := &mark{part: i, set: make(chan struct{})}
		e.marks = append(e.marks, m)
		w.do(job{run: func() (err error) {
			m.e, err = w.s.Mark()
			return err
		}, over: func() { close(m.set) }})
	}
	return e, nil
}

// Wait has all parts wait for all that an event of this package stands for, or for another device's.
func (s *stream) Wait(v ops.Event) error {
	if err := s.ready(); err != nil {
		return err
	}
	e, mine := v.(*event)
	if v == nil || mine && e == nil {
		return errors.New("place: wait for no event")
	}
	for i := range s.dev.parts {
		w, err := s.worker(i)
		if err != nil {
			return err
		}
		if !mine {
			if err := s.direct(i, func(q ops.Stream) error { return q.Wait(v) }); err != nil {
				return err
			}
			continue
		}
		if !e.use(1) {
			return errors.New("place: wait for an event that was closed")
		}
		w.do(job{run: func() error {
			for _, m := range e.marks {
				<-m.set
				if m.e == nil {
					return errLost
				}
				if err := w.s.Wait(m.e); err != nil {
					return err
				}
			}
			return nil
		}, over: func() { e.use(-1) }})
	}
	return nil
}

// use counts those who wait, and closes the parts' events after the last if Close was called.
func (e *event) use(n int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n > 0 && e.closed {
		return false
	}
	if e.users += n; e.users == 0 && e.closed {
		_ = e.release()
	}
	return true
}

// Sync waits until all parts are there.
func (e *event) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, m := range e.marks {
		select {
		case <-m.set:
		case <-ctx.Done():
			return ctx.Err()
		}
		if m.e == nil {
			return errLost
		}
		if err := m.e.Sync(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close releases the parts' events when nobody waits for them any more.
func (e *event) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	if e.users > 0 {
		return nil
	}
	return e.release()
}

// release closes the parts' events.
func (e *event) release() error {
	var errs []error
	for _, m := range e.marks {
		<-m.set
		if m.e != nil {
			errs = append(errs, m.e.Close())
			m.e = nil
		}
	}
	return errors.Join(errs...)
}
