package place

import (
	"fmt"
	"runtime"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// run is one run of a plan: which of its segments are done.
type run struct {
	plan   *plan
	done   []chan struct{} // of segments that others wait for: all of it, and its copies, is enqueued
	events []ops.Event     // that streams of other parts wait for; nil where what is copied is there
	abort  <-chan struct{} // closed when a part fails
}

// Run has each part do its segments, one after another, as soon as what they need of other parts is there.
func (s *stream) Run(p ops.Plan) error {
	if err := s.ready(); err != nil {
		return err
	}
	mine, ok := p.(*plan)
	if !ok || mine.dev != s.dev {
		return fmt.Errorf("place: plan %T is of another device than %s", p, s.dev.name)
	}
	if s.ran && len(s.dev.parts) > 1 {
		if err := s.inStep(); err != nil {
			return err
		}
	}
	s.ran = true
	r := &run{plan: mine, done: make([]chan struct{}, len(mine.segments)),
		events: make([]ops.Event, len(mine.segments)), abort: s.f.now()}
	for _, seg := range mine.segments {
		for _, d := range seg.deps {
			if r.done[d] == nil {
				r.done[d] = make(chan struct{})
			}
		}
	}
	for part, program := range mine.programs {
		if len(program) == 0 {
			continue
		}
		w, err := s.worker(part)
		if err != nil {
			return err
		}
		w.do(job{run: func() error {
			for _, seg := range program {
				if on, err := s.segment(w, r, seg); !on {
					return err
				}
			}
			return nil
		}})
	}
	return nil
}

// segment enqueues a segment, on the goroutine of its part. It returns false if the run has failed.
func (s *stream) segment(w *worker, r *run, seg *segment) (on bool, err error) {
	for _, d := range seg.deps {
		if !r.await(d) {
			return false, nil
		}
		if e := r.events[d]; e != nil {
			if err := w.s.Wait(e); err != nil {
				return false, err
			}
		}
	}
	for _, t := range seg.gets {
		stage := r.plan.regions[t.to].stage
		if err := w.s.Upload(r.plan.slot(t), stage[t.off:t.off+t.size]); err != nil {
			return false, err
		}
	}
	if seg.plan != nil {
		if err := w.s.Run(seg.plan); err != nil {
			return false, err
		}
	}
	if err := s.send(w, r, seg); err != nil {
		return false, err
	}
	if done := r.done[seg.id]; done != nil {
		close(done)
	}
	return true, nil
}

// looked is how long a part looks again and again for what it waits for before it sleeps: threads that sleep wake some 10
// to 100 µs late, and segments of a step of one token take little longer than that.
const looked = 500 * time.Microsecond

// await waits until a segment is done, and reports whether it is: not if the run has failed.
func (r *run) await(segment int) bool {
	for start := time.Now(); time.Since(start) < looked && runtime.GOMAXPROCS(0) > 1; runtime.Gosched() {
		select {
		case <-r.done[segment]:
			return true
		case <-r.abort:
			return false
		default:
		}
	}
	select {
	case <-r.done[segment]:
		return true
	case <-r.abort:
		return false
	}
}

// send enqueues the copies of what others need of a segment.
func (s *stream) send(w *worker, r *run, seg *segment) error {
	mark, wait := false, false
	for _, t := range seg.sends {
		src, err := seg.output(s.dev, t.v)
		if err != nil {
			return err
		}
		to := r.plan.regions[t.to]
		switch t.how {
		case local, pushed:
			mark = mark || t.how == pushed
			err = w.s.Copy(r.plan.slot(t), src)
		case written:
			wait = true
			err = w.s.Download(s.dev.parts[t.to].Device.Caps().Map(to.buf)[t.off:t.off+t.size], src)
		case uploaded:
			wait = true
			err = w.s.Download(to.stage[t.off:t.off+t.size], src)
		}
		if err != nil {
			return err
		}
	}
	if wait {
		if err := w.s.Sync(background); err != nil {
			return err
		}
	}
	if !mark {
		return nil
	}
	e, err := w.s.Mark()
	if err != nil {
		return err
	}
	r.events[seg.id] = e
	s.mu.Lock()
	s.events = append(s.events, e)
	s.mu.Unlock()
	return nil
}

// output returns where a segment has made a value.
func (seg *segment) output(d *Device, v ops.Value) (tensor.Tensor, error) {
	if seg.plan == nil {
		return d.local(v.Node().Tensor, seg.part)
	}
	t := seg.plan.Output(seg.at[v])
	t.DType, t.Shape = v.DType(), v.Shape()
	return t, nil
}

// inStep lets each part go on only when all others have done their work so far: runs use the same memory.
func (s *stream) inStep() error {
	e, err := s.Mark()
	if err != nil {
		return err
	}
	if err := s.Wait(e); err != nil {
		return err
	}
	return e.Close()
}
