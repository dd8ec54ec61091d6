package place

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

var background = context.Background()

// stream is a queue of each part that was used so far. Runs and downloads are enqueued by the parts' workers, other
// calls by the caller, who waits for a worker that is not done first.
type stream struct {
	dev     *Device
	workers []*worker // nil: not used yet
	f       *failure
	ran     bool // a run, since all parts were in step
	closed  bool

	mu     sync.Mutex
	events []ops.Event // of runs, to be closed
}

// Stream returns a queue over all parts.
func (d *Device) Stream() (ops.Stream, error) {
	return &stream{dev: d, workers: make([]*worker, len(d.parts)), f: newFailure()}, nil
}

// worker returns that of a part.
func (s *stream) worker(part int) (*worker, error) {
	if w := s.workers[part]; w != nil {
		return w, nil
	}
	w, err := newWorker(s.dev.parts[part], s.f)
	if err == nil {
		s.workers[part] = w
	}
	return w, err
}

// ready reports the error of earlier work, after which the stream can be used again.
func (s *stream) ready() error {
	if s.closed {
		return errors.New("place: the stream is closed")
	}
	if s.f.failed() {
		return s.settle()
	}
	return nil
}

// settle waits for all parts and returns the first error.
func (s *stream) settle() error {
	var first error
	for _, w := range s.workers {
		if w != nil {
			_ = w.idle(background) // which does not end
		}
	}
	for _, w := range s.workers {
		if w == nil {
			continue
		}
		if err := w.s.Sync(background); err != nil && first == nil {
			first = w.describe(err)
		}
	}
	s.over()
	if err := s.f.take(); err != nil {
		return err
	}
	return first
}

// over notes that all parts have done their work.
func (s *stream) over() {
	s.ran = false
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		_ = e.Close() // nobody waits for it any more
	}
	s.events = s.events[:0]
}

// direct calls f with the queue of a part when its worker is idle.
func (s *stream) direct(part int, f func(q ops.Stream) error) error {
	w, err := s.worker(part)
	if err != nil {
		return err
	}
	if err := w.idle(background); err != nil {
		return err
	}
	if s.f.failed() {
		return s.settle()
	}
	if err := f(w.s); err != nil {
		return w.describe(err)
	}
	return nil
}

// Upload copies src to each place of dst.
func (s *stream) Upload(dst tensor.Tensor, src []byte) error {
	if err := s.ready(); err != nil {
		return err
	}
	all, err := s.dev.locate(dst)
	if err != nil {
		return err
	}
	for _, l := range all {
		if err := s.direct(l.part, func(q ops.Stream) error { return q.Upload(l.t, src) }); err != nil {
			return err
		}
	}
	return nil
}

// Download copies src, or the first copy of it. dst belongs to the stream until Sync.
func (s *stream) Download(dst []byte, src tensor.Tensor) error {
	if err := s.ready(); err != nil {
		return err
	}
	all, err := s.dev.locate(src)
	if err != nil {
		return err
	}
	w, err := s.worker(all[0].part)
	if err != nil {
		return err
	}
	if w.open.Load() == 0 {
		return s.direct(all[0].part, func(q ops.Stream) error { return q.Download(dst, all[0].t) })
	}
	w.do(job{run: func() error { return w.s.Download(dst, all[0].t) }})
	return nil
}

// Copy copies src to each place of dst: on its part, or through the host.
func (s *stream) Copy(dst, src tensor.Tensor) error {
	if err := s.ready(); err != nil {
		return err
	}
	to, err := s.dev.locate(dst)
	if err != nil {
		return err
	}
	from, err := s.dev.locate(src)
	if err != nil {
		return err
	}
	for _, l := range to {
		f := from[0]
		for _, x := range from {
			if x.part == l.part {
				f = x
			}
		}
		if f.part == l.part {
			err = s.direct(l.part, func(q ops.Stream) error { return q.Copy(l.t, f.t) })
		} else {
			err = s.throughHost(l, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// throughHost copies from one part to another.
func (s *stream) throughHost(to, from located) error {
	if to.t.DType != from.t.DType || to.t.Shape.Elems() != from.t.Shape.Elems() || !to.t.Layout.IsZero() ||
		!from.t.Layout.IsZero() {
		return fmt.Errorf("place: copy of %q to %q: %v%v in layout %q does not become %v%v in layout %q", from.t.Name,
			to.t.Name, from.t.DType, from.t.Shape, from.t.Layout.Name, to.t.DType, to.t.Shape, to.t.Layout.Name)
	}
	n, err := tensor.Bytes(from.t.DType, from.t.Shape)
	if err != nil {
		return err
	}
	host := make([]byte, n)
	err = s.direct(from.part, func(q ops.Stream) error {
		if err := q.Download(host, from.t); err != nil {
			return err
		}
		return q.Sync(background)
	})
	if err != nil {
		return err
	}
	return s.direct(to.part, func(q ops.Stream) error { return q.Upload(to.t, host) })
}

// Zero clears each place of dst.
func (s *stream) Zero(dst tensor.Tensor) error {
	if err := s.ready(); err != nil {
		return err
	}
	all, err := s.dev.locate(dst)
	if err != nil {
		return err
	}
	for _, l := range all {
		if err := s.direct(l.part, func(q ops.Stream) error { return q.Zero(l.t) }); err != nil {
			return err
		}
	}
	return nil
}

// Sync waits for the work of all parts.
func (s *stream) Sync(ctx context.Context) error {
	if s.closed {
		return errors.New("place: the stream is closed")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, w := range s.workers {
		if w == nil {
			continue
		}
		if err := w.idle(ctx); err != nil {
			return err
		}
	}
	if s.f.failed() {
		return s.settle()
	}
	for _, w := range s.workers {
		if w == nil {
			continue
		}
		if err := w.s.Sync(ctx); err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return err
			}
			s.f.fail(w.describe(err))
			return s.settle()
		}
	}
	s.over()
	return nil
}

// Close waits for the work and closes the queues.
func (s *stream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, w := range s.workers {
		if w != nil {
			_ = w.idle(background)
		}
	}
	for _, w := range s.workers {
		if w != nil {
			errs = append(errs, w.close())
		}
	}
	s.over()
	return errors.Join(errs...)
}
