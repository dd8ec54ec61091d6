package opship

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// stream is an in-order queue. Calls collect commands, which go to the device together, in one turn of it (devthread).
// Uploads and downloads pass through pinned memory.
type stream struct {
	dev    *Device
	handle hiprt.Stream
	up     ring
	down   ring
	copies []download // into down, to be delivered after the next synchronization
	rows   []byte     // repacked rows on their way to up

	// Written by the jobs below in the device's turn, by the caller only while no job runs.
	pending []command
	synced  bool  // all issued work is done
	jobErr  error // of the last job

	ran   *Plan     // last, since all work was done
	since time.Time // when that of Runs began which are not known to be done

	flush, sync func() error // jobs; made once, so that no call allocates
	abandoned   bool         // the last job may still run, since Sync was cancelled
	closed      bool
}

// command is a piece of work.
type command struct {
	do    work
	plan  *Plan
	arena tensor.Buffer // of plan, and its generation
	gen   uint64
	event *hiprt.Event  // to record, made if zero, or to wait for
	host  []byte        // pinned memory to copy from or to
	addr  hiprt.Ptr     // to copy to or from, or to clear
	into  tensor.Buffer // that an upload is to, or a download from
	src   hiprt.Ptr     // to copy from on the device
	dev   [2]int        // numbers of the devices of addr and src
	n     int64         // bytes on the device
}

// work is a kind of command.
type work uint8

const (
	workRun work = iota
	workRecord
	workWait
	workUpload
	workDownload
	workCopy
	workZero
)

// download is a piece of a download that still is in pinned memory.
type download struct{ dst, src []byte }

// Stream returns a new queue.
func (d *Device) Stream() (ops.Stream, error) {
	s := &stream{dev: d}
	s.flush = func() error {
		s.jobErr = s.issue()
		return s.jobErr
	}
	s.sync = func() error {
		err := s.issue()
		if serr := d.rt.SyncStream(s.handle); err == nil {
			err = serr
		}
		s.synced, s.jobErr = true, err
		return err
	}
	err := d.thread.Do(background, func() (err error) {
		s.handle, err = d.rt.NewStream()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opship: %s: %w", d.info.Name, err)
	}
	return s, nil
}

// issue hands the collected commands to the runtime. It runs in the device's turn. After an error the rest is
// dropped: it may depend on what failed.
func (s *stream) issue() error {
	defer func() {
		clear(s.pending)
		s.pending = s.pending[:0]
	}()
	rt := s.dev.rt
	for i := range s.pending {
		c := &s.pending[i]
		var err error
		switch c.do {
		case workRun:
			err = c.plan.issue(s.handle, c.arena, c.gen)
		case workRecord:
			if *c.event == 0 {
				*c.event, err = rt.NewEvent()
			}
			if err == nil {
				err = rt.RecordEvent(*c.event, s.handle)
			}
		case workWait:
			if *c.event == 0 {
				err = errors.New("wait for an event that was closed")
			} else {
				err = rt.WaitEvent(*c.event, s.handle)
			}
		case workUpload:
			err = rt.CopyToDevice(c.addr, c.host, s.handle)
		case workDownload:
			err = rt.CopyToHost(c.host, c.addr, s.handle)
		case workCopy:
			if c.dev[0] == c.dev[1] {
				err = rt.CopyOnDevice(c.addr, c.src, c.n, s.handle)
			} else {
				err = rt.CopyPeer(c.addr, c.dev[0], c.src, c.dev[1], c.n, s.handle)
			}
		case workZero:
			err = rt.Memset(c.addr, 0, c.n, s.handle)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// do runs a job, which is expected to take so long, and describes its error: on the caller's thread if that cannot be
// cancelled, and else on the device's.
func (s *stream) do(ctx context.Context, takes time.Duration, job func() error) (err error) {
	if ctx.Done() == nil {
		err = s.dev.thread.Here(job)
	} else {
		err = s.dev.thread.DoFor(ctx, takes, job)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		s.abandoned = true
		return err
	}
	return s.failed(err)
}

// failed makes the stream usable again after an error, if the device still is: what was enqueued is done or lost,
// and downloads are not delivered.
func (s *stream) failed(err error) error {
	_ = s.dev.thread.Do(background, func() error { return s.dev.rt.SyncStream(s.handle) }) // err is the one to report
	clear(s.copies)
	s.copies = s.copies[:0]
	s.up.reset()
	s.down.reset()
	s.synced, s.ran = false, nil
	return fmt.Errorf("opship: %s: %w", s.dev.info.Name, err)
}

// ready waits for a job that a cancelled Sync left running, and for its error.
func (s *stream) ready() error {
	if s.closed {
		return fmt.Errorf("opship: %s: the stream is closed", s.dev.info.Name)
	}
	if !s.abandoned {
		return nil
	}
	if err := s.dev.thread.Do(background, func() error { return nil }); err != nil {
		return fmt.Errorf("opship: %s: %w", s.dev.info.Name, err)
	}
	s.abandoned = false
	if s.jobErr != nil {
		return s.failed(s.jobErr)
	}
	if s.synced {
		s.deliver()
	}
	return nil
}

// deliver copies finished downloads to their owners and frees the rings: all work is done.
func (s *stream) deliver() {
	for _, c := range s.copies {
		copy(c.dst, c.src)
	}
	clear(s.copies)
	s.copies = s.copies[:0]
	s.up.reset()
	s.down.reset()
	s.synced, s.ran = false, nil
}

// Upload copies src into pinned memory and enqueues its transfer. Pieces of a large one are transferred while
// later ones are copied. Whole rows of a weight that has a layout are repacked on the way.
func (s *stream) Upload(dst tensor.Tensor, src []byte) error {
	if !dst.Layout.IsZero() {
		return s.uploadRepacked(dst, src)
	}
	addr, err := s.check("upload", dst, len(src), int64(len(src)))
	if err != nil {
		return err
	}
	return s.send(dst.Buf, addr, src)
}

// send copies src to addr, which is in the given buffer, by way of the upload ring. What continues the upload before
// becomes part of it: each copy costs some microseconds, and a step uploads its index data input by input.
func (s *stream) send(into tensor.Buffer, addr hiprt.Ptr, src []byte) (err error) {
	if n := len(s.pending); n > 0 {
		c := &s.pending[n-1]
		if c.do == workUpload && c.into == into && c.addr+hiprt.Ptr(len(c.host)) == addr {
			if m := s.up.extend(c.host, len(src)); m != nil {
				copy(m[len(c.host):], src)
				c.host = m
				return nil
			}
		}
	}
	for err == nil && len(src) > 0 {
		var m []byte
		if m, err = s.up.take(s.dev, len(src)); err != nil {
			break
		}
		if len(m) == 0 {
			err = s.nextSlot()
			continue
		}
		copy(m, src)
		s.pending = append(s.pending, command{do: workUpload, host: m, addr: addr, into: into})
		src, addr = src[len(m):], addr+hiprt.Ptr(len(m))
	}
	return err
}

// nextSlot sends the full slot of the upload ring off and waits until the next one is free.
func (s *stream) nextSlot() error {
	full := &s.up.slots[s.up.cur]
	s.pending = append(s.pending, command{do: workRecord, event: &full.event})
	full.busy = true
	if err := s.do(background, 0, s.flush); err != nil {
		return err
	}
	s.up.cur = (s.up.cur + 1) % slotCount
	next := &s.up.slots[s.up.cur]
	if next.busy {
		if err := s.do(background, 0, func() error { return s.dev.rt.SyncEvent(next.event) }); err != nil {
			return err
		}
	}
	next.used, next.busy = 0, false
	return nil
}

// Download enqueues the transfer of src into pinned memory; Sync copies it to dst. If the ring is full, it waits. What
// continues the download before becomes part of it, as with uploads.
func (s *stream) Download(dst []byte, src tensor.Tensor) error {
	addr, err := s.check("download", src, len(dst), int64(len(dst)))
	if err == nil && !src.Layout.IsZero() {
		err = fmt.Errorf("opship: download of %q: it lies in layout %q, not as in files; as I8 its bytes can be had",
			src.Name, src.Layout.Name)
	}
	if n := len(s.pending); err == nil && n > 0 {
		c := &s.pending[n-1]
		if c.do == workDownload && c.into == src.Buf && c.addr+hiprt.Ptr(len(c.host)) == addr {
			if m := s.down.extend(c.host, len(dst)); m != nil {
				s.copies = append(s.copies, download{dst, m[len(c.host):]})
				c.host = m
				return nil
			}
		}
	}
	for err == nil && len(dst) > 0 {
		var m []byte
		if m, err = s.down.take(s.dev, len(dst)); err != nil {
			break
		}
		if len(m) == 0 {
			if s.down.cur++; s.down.cur == slotCount {
				err = s.Sync(background)
			}
			continue
		}
		s.pending = append(s.pending, command{do: workDownload, host: m, addr: addr, into: src.Buf})
		s.copies = append(s.copies, download{dst[:len(m)], m})
		dst, addr = dst[len(m):], addr+hiprt.Ptr(len(m))
	}
	return err
}

// check returns the address of t, of which n bytes as in files, room bytes on the device, are to be copied.
func (s *stream) check(what string, t tensor.Tensor, n int, room int64) (hiprt.Ptr, error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	size, err := tensor.Bytes(t.DType, t.Shape)
	if err == nil && int64(n) > size {
		err = fmt.Errorf("%d bytes in a tensor of %d", n, size)
	}
	if err != nil {
		return 0, fmt.Errorf("opship: %s of %q: %w", what, t.Name, err)
	}
	addr, err := s.dev.address(t, room)
	if err != nil {
		return 0, fmt.Errorf("opship: %s: %w", what, err)
	}
	return addr, nil
}

// Run enqueues one execution of p and starts all that was enqueued before.
func (s *stream) Run(p ops.Plan) error {
	if err := s.ready(); err != nil {
		return err
	}
	q, ok := p.(*Plan)
	if !ok || q.dev != s.dev {
		return fmt.Errorf("opship: plan %T is of another device than %s", p, s.dev.info.Name)
	}
	arena, gen := q.arena.Buffer()
	s.pending = append(s.pending, command{do: workRun, plan: q, arena: arena, gen: gen})
	if s.ran == nil {
		s.since = time.Now()
	}
	s.ran = q
	return s.do(background, 0, s.flush)
}

// Sync waits for all work. If ctx ends first, the work goes on, and destinations of downloads belong to the stream
// until a later Sync has returned.
func (s *stream) Sync(ctx context.Context) error {
	if err := s.ready(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.do(ctx, s.takes(), s.sync); err != nil {
		return err
	}
	if s.ran != nil {
		s.ran.took.Store(int64(time.Since(s.since)))
	}
	s.deliver()
	return nil
}

// takes returns how much longer the stream's runs will take if it is as long as last time, 0 if there is none or that is
// not known.
func (s *stream) takes() time.Duration {
	if s.ran == nil {
		return 0
	}
	took := time.Duration(s.ran.took.Load())
	if took == 0 {
		return 0
	}
	return max(1, took-time.Since(s.since))
}

// Close waits for the stream's work and releases it.
func (s *stream) Close() error {
	if s.closed {
		return nil
	}
	err := s.ready()
	s.closed = true
	err = errors.Join(err, s.dev.thread.Do(background, func() error {
		return errors.Join(s.issue(), s.dev.rt.SyncStream(s.handle), s.dev.rt.CloseStream(s.handle))
	}), s.up.close(s.dev), s.down.close(s.dev))
	if err != nil {
		return fmt.Errorf("opship: %s: closing a stream: %w", s.dev.info.Name, err)
	}
	return nil
}
