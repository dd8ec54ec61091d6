//go:build linux

package drv

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// poolSignals is the number of signals of a buffer, and kernargSlot what each has beside it for arguments of copies.
const (
	poolSignals = 4096
	kernargSlot = 64
)

// Fixed places in the first buffer of signals. The rest is a ring.
const (
	payloadAt  = iota // error bits of the kernel
	inactiveAt        // the queue's inactive signal
	markerAt          // of barriers that wake a waiting host
	firstRing
)

// signals are the signals of a device. Those of the ring are used in turn, each again only when it has come down.
type signals struct {
	pool    *buffer
	kernarg *buffer // a slot for each signal of pool
	next    uint64  // number of the next one of the ring
	events  []*buffer
	spare   []*abi.Signal // of events
}

const ringSignals = poolSignals - firstRing

// at returns a signal of the first buffer.
func (s *signals) at(i uint64) *abi.Signal {
	return (*abi.Signal)(pointer(s.pool.va + uintptr(i)*abi.SignalSize))
}

// makeSignals allocates them.
func (d *Device) makeSignals() error {
	s := &d.sig
	var err error
	if s.pool, err = d.p.alloc(d.vm, poolSignals*abi.SignalSize, abi.HostFlags, true); err != nil {
		return err
	}
	if s.kernarg, err = d.p.alloc(d.vm, poolSignals*kernargSlot+kernargSlot, abi.HostFlags, true); err != nil {
		return err
	}
	for i := range uint64(poolSignals) {
		if i != payloadAt {
			s.at(i).Kind = abi.SignalUser
		}
	}
	*s.at(inactiveAt) = abi.Signal{Kind: abi.SignalUser, Mailbox: d.p.mailbox(d.watch.failure),
		EventID: d.watch.failure.EventID}
	return nil
}

// freeSignals releases them.
func (d *Device) freeSignals() error {
	var errs []error
	for _, b := range append([]*buffer{d.sig.pool, d.sig.kernarg}, d.sig.events...) {
		if b != nil {
			errs = append(errs, d.p.free(b))
		}
	}
	d.sig = signals{}
	return errors.Join(errs...)
}

// payload is the word into which the kernel puts error bits.
func (s *signals) payload() *uint64 { return (*uint64)(pointer(s.pool.va + payloadAt*abi.SignalSize)) }

// arm makes a signal ready for the next packet.
func arm(s *abi.Signal, mailbox uint64, event uint32) {
	s.Mailbox, s.EventID, s.Start, s.End = mailbox, event, 0, 0
	atomic.StoreInt64(&s.Value, 1)
}

// isDone reports whether the packet of a signal has completed.
func isDone(s *abi.Signal) bool { return atomic.LoadInt64(&s.Value) <= 0 }

// mark is the completion of work: a signal of the ring, and which use of it.
type mark struct {
	sig *abi.Signal // nil: nothing was ever submitted
	seq uint64
}

// take returns the next signal of the ring, armed, and the address of its slot for arguments.
func (d *Device) take() (m mark, kernarg uintptr, err error) {
	s := &d.sig
	i := s.next % ringSignals
	sig := s.at(firstRing + i)
	if !isDone(sig) {
		if err := d.wait(sig); err != nil {
			return m, 0, err
		}
	}
	m = mark{sig, s.next}
	s.next++
	arm(sig, 0, 0)
	return m, s.kernarg.va + uintptr(firstRing+i)*kernargSlot, nil
}

// passed reports whether m is known to be done without looking: its signal has been taken anew since.
func (d *Device) passed(m mark) bool { return m.sig == nil || d.sig.next > m.seq+ringSignals }

// sync waits for a mark.
func (d *Device) sync(m mark) error {
	if d.passed(m) {
		return nil
	}
	return d.wait(m.sig)
}

// Event is a point in the work of a device.
type Event struct {
	d        *Device
	sig      *abi.Signal
	recorded bool
	host     time.Duration // when waiting for it ended
}

// NewEvent returns an event that is nowhere yet.
func (d *Device) NewEvent() (*Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return nil, err
	}
	s := &d.sig
	if len(s.spare) == 0 {
		b, err := d.p.alloc(d.vm, abi.PageSize, abi.HostFlags, true)
		if err != nil {
			return nil, err
		}
		s.events = append(s.events, b)
		for at := uintptr(0); at < b.size; at += abi.SignalSize {
			sig := (*abi.Signal)(pointer(b.va + at))
			sig.Kind = abi.SignalUser
			s.spare = append(s.spare, sig)
		}
	}
	e := &Event{d: d, sig: s.spare[len(s.spare)-1]}
	s.spare = s.spare[:len(s.spare)-1]
	return e, nil
}

// Close releases the event once it has happened.
func (e *Event) Close() error {
	d := e.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.sig == nil || d.closed {
		return errClosed
	}
	err := d.wait(e.sig)
	if isDone(e.sig) {
		d.sig.spare = append(d.sig.spare, e.sig)
	}
	e.sig = nil
	return err
}

// Record puts the event behind the work of s so far.
func (e *Event) Record(s *Stream) error {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	switch err := s.ready(); {
	case err != nil:
		return err
	case e.sig == nil:
		return errClosed
	case e.d != d:
		return errors.New("kfd: an event of another device cannot be recorded")
	case s.capturing:
		return fmt.Errorf("kfd: an event cannot be captured: %w", ErrCapture)
	}
	if err := d.wait(e.sig); err != nil { // two packets must not share a signal
		return err
	}
	arm(e.sig, d.p.mailbox(d.watch.queue), d.watch.queue.EventID)
	e.host = 0
	p := barrier(e.sig)
	if err := d.submit(&p, e.sig); err != nil {
		return err
	}
	e.recorded = true
	return nil
}

// Sync waits until the event has happened. One that was never recorded has.
func (e *Event) Sync() error {
	d := e.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.sig == nil {
		return errClosed
	}
	if !e.recorded {
		return nil
	}
	if err := d.wait(e.sig); err != nil {
		return err
	}
	if e.host == 0 {
		e.host = d.p.sys.Now()
	}
	return nil
}

// Elapsed returns the time between two events of one device that have happened. Where firmware writes no timestamps it
// is the time between the ends of waiting for them.
func Elapsed(from, to *Event) (time.Duration, error) {
	if from.d != to.d {
		return 0, errors.New("kfd: events of two devices have no time between them")
	}
	for _, e := range []*Event{from, to} {
		if err := e.Sync(); err != nil {
			return 0, err
		}
		if !e.recorded {
			return 0, errors.New("kfd: an event was not recorded")
		}
	}
	d := from.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if from.sig.End == 0 || to.sig.End == 0 {
		return max(0, to.host-from.host), nil // from may have been waited for later
	}
	ticks := int64(to.sig.End - from.sig.End)
	return time.Duration(float64(ticks) / float64(d.counterKHz) * 1e6), nil
}

// WaitFor lets later work of s start after e. Work of one device is done in turn anyway; for that of another the caller
// waits.
func (s *Stream) WaitFor(e *Event) error {
	e.d.mu.Lock()
	recorded, err := e.recorded, e.d.usable()
	e.d.mu.Unlock()
	switch {
	case err != nil:
		return err
	case !recorded:
		return errors.New("kfd: the event to wait for was not recorded")
	case e.d == s.d:
		return nil
	}
	return e.Sync()
}
