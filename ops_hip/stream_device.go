package opship

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// Copy enqueues the copy of src to dst. One of them may be on another device of the same runtime; what is enqueued on
// streams of that device is waited for only if [stream.Wait] says so.
func (s *stream) Copy(dst, src tensor.Tensor) error {
	if err := s.ready(); err != nil {
		return err
	}
	c, err := s.copyCommand(dst, src)
	if err != nil {
		return fmt.Errorf("opship: copy of %q to %q: %w", src.Name, dst.Name, err)
	}
	if c.n > 0 {
		s.pending = append(s.pending, c)
	}
	return nil
}

// copyCommand checks a copy.
func (s *stream) copyCommand(dst, src tensor.Tensor) (c command, err error) {
	if dst.DType != src.DType || dst.Layout != src.Layout || dst.Shape.Elems() != src.Shape.Elems() {
		return c, fmt.Errorf("%s is not %s", describe(src), describe(dst))
	}
	c.do = workCopy
	to, addr, n, err := s.memory(dst)
	if err != nil {
		return c, err
	}
	from, at, _, err := s.memory(src)
	if err != nil {
		return c, err
	}
	if to != s.dev && from != s.dev {
		return c, fmt.Errorf("both are on %s, the stream is of %s", to.info.Name, s.dev.info.Name)
	}
	if to == from && addr < at+hiprt.Ptr(n) && at < addr+hiprt.Ptr(n) && n > 0 {
		return c, fmt.Errorf("they overlap: %d bytes at %d and %d of a buffer", n, src.Off, dst.Off)
	}
	c.addr, c.src, c.n, c.dev = addr, at, n, [2]int{to.ordinal, from.ordinal}
	return c, nil
}

// memory returns where all of t lies and how many bytes that is.
func (s *stream) memory(t tensor.Tensor) (d *Device, addr hiprt.Ptr, n int64, err error) {
	b, ok := t.Buf.(*buffer)
	if !ok || b.dev.rt != s.dev.rt {
		return nil, 0, 0, fmt.Errorf("tensor %q is of another device than %s (buffer %T)", t.Name, s.dev.info.Name,
			t.Buf)
	}
	if b.kind == ops.MemPinned {
		return nil, 0, 0, fmt.Errorf("tensor %q is in %s, not on the device", t.Name, kindName(b.kind))
	}
	if err := checkLayout(t); err != nil {
		return nil, 0, 0, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if n, err = ops.WeightBytes(t); err == nil {
		addr, err = b.dev.address(t, n)
	}
	return b.dev, addr, n, err
}

// describe says what must be equal for a copy.
func describe(t tensor.Tensor) string {
	if t.Layout.IsZero() {
		return fmt.Sprintf("%v%v", t.DType, t.Shape)
	}
	return fmt.Sprintf("%v%v in layout %q of %d bytes", t.DType, t.Shape, t.Layout.Name, t.Layout.Bytes)
}

// Zero enqueues the clearing of dst.
func (s *stream) Zero(dst tensor.Tensor) error {
	if err := s.ready(); err != nil {
		return err
	}
	d, addr, n, err := s.memory(dst)
	if err == nil && d != s.dev {
		err = fmt.Errorf("tensor %q is on %s, the stream is of %s", dst.Name, d.info.Name, s.dev.info.Name)
	}
	if err != nil {
		return fmt.Errorf("opship: clearing: %w", err)
	}
	if n > 0 {
		s.pending = append(s.pending, command{do: workZero, addr: addr, n: n})
	}
	return nil
}

// Mark starts all that was enqueued before, so that whoever waits for the event need not wait for this stream's user.
func (s *stream) Mark() (ops.Event, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	e := &event{dev: s.dev}
	s.pending = append(s.pending, command{do: workRecord, event: &e.handle})
	if err := s.do(background, 0, s.flush); err != nil {
		_ = e.Close() // it may have been made; err is the one to report
		return nil, err
	}
	return e, nil
}

// Wait makes the device wait, if the event is of this runtime; else the caller waits. Work that was enqueued before
// is started.
func (s *stream) Wait(v ops.Event) error {
	if err := s.ready(); err != nil {
		return err
	}
	e, ok := v.(*event)
	if v == nil || ok && e == nil {
		return fmt.Errorf("opship: %s: wait for no event", s.dev.info.Name)
	}
	if !ok || e.dev.rt != s.dev.rt {
		if err := s.do(background, 0, s.flush); err != nil {
			return err
		}
		return v.Sync(background)
	}
	// The device's own threads make and close events: on another device's, the event could be closed meanwhile.
	if e.dev != s.dev {
		e.mu.Lock()
		defer e.mu.Unlock()
	}
	s.pending = append(s.pending, command{do: workWait, event: &e.handle})
	return s.do(background, 0, s.flush)
}
