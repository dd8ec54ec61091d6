package opship

import (
	"errors"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
)

// Sizes of staging rings.
const (
	slotBytes = 4 << 20 // one slot; a copy of this size costs far more than its launch
	slotCount = 4       // one being filled, the others being copied
	slotAlign = 64      // of pieces inside of a slot
)

// slot is a piece of pinned memory of a ring.
type slot struct {
	buf   *buffer
	event hiprt.Event // when the copies from it are done; upload rings only
	used  int         // bytes that copies take up
	last  int         // where the last of them starts
	busy  bool        // event has been enqueued and not been waited for
}

// ring is pinned memory that transfers go through, in slots that are filled one after another. Slots are allocated
// when they are first needed.
type ring struct {
	slots [slotCount]slot
	cur   int
}

// take returns up to n free bytes of the current slot, none if it is full.
func (r *ring) take(d *Device, n int) ([]byte, error) {
	s := &r.slots[r.cur]
	if s.buf == nil {
		b, err := d.alloc(slotBytes, ops.MemPinned)
		if err != nil {
			return nil, err
		}
		s.buf = b
	}
	m := s.buf.host.Bytes[s.used:]
	if n < len(m) {
		m = m[:n:n]
	}
	s.last = s.used
	s.used = min((s.used+len(m)+slotAlign-1)&^(slotAlign-1), slotBytes)
	return m, nil
}

// extend returns the last piece taken, m, with n bytes more, or nil if the slot has no room for them.
func (r *ring) extend(m []byte, n int) []byte {
	s := &r.slots[r.cur]
	end := s.last + len(m) + n
	if end > slotBytes {
		return nil
	}
	s.used = min((end+slotAlign-1)&^(slotAlign-1), slotBytes)
	return s.buf.host.Bytes[s.last:end:end]
}

// reset makes all slots free: every copy is done.
func (r *ring) reset() {
	for i := range r.slots {
		r.slots[i].used, r.slots[i].busy = 0, false
	}
	r.cur = 0
}

// close releases the memory. Events are closed on the device thread.
func (r *ring) close(d *Device) error {
	var errs []error
	for i := range r.slots {
		s := &r.slots[i]
		if s.event != 0 {
			errs = append(errs, d.thread.Do(background, func() error { return d.rt.CloseEvent(s.event) }))
		}
		if s.buf != nil {
			errs = append(errs, s.buf.Free())
		}
	}
	*r = ring{}
	return errors.Join(errs...)
}
