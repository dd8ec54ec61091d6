//go:build linux

package fake

import (
	"encoding/binary"
	"syscall"
	"time"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

var le = binary.LittleEndian

// events is a process's table of events.
type events struct {
	all      map[uint32]*event
	page     *bo
	private  bool // signal events were made before there was a page, so that the kernel made one of its own
	nextSlot uint32
	nextID   uint32 // of events without slots
}

// firstOtherID is where the ids of events without slots begin.
const firstOtherID = 1 << 30

type event struct {
	id, kind  uint32
	autoReset bool
	signalled bool
	age       uint64
	data      [4]uint64 // of exceptions
	dead      bool      // destroyed
}

func newEvents() events {
	return events{all: map[uint32]*event{}, nextSlot: 1, nextID: firstOtherID}
}

// createEvent is CREATE_EVENT, kfd_ioctl_create_event.
func (m *Machine) createEvent(a *abi.CreateEvent) error {
	ev := &m.proc.events
	if a.TriggerData|a.NodeID|a.EventID|a.Slot != 0 {
		m.violate("reserved", "CREATE_EVENT with fields set that must be zero")
	}
	if f := m.trip(AtCreateEvent, ""); f != nil {
		return f.Err
	}
	if a.PageOffset != 0 {
		b := m.proc.bos[a.PageOffset]
		switch {
		case ev.page != nil, ev.private, b == nil, !b.shared(), b.size < abi.EventPageSize:
			return syscall.EINVAL
		}
		if b.size != abi.EventPageSize {
			m.violate("event-page", "the event page has %d bytes, want %d", b.size, abi.EventPageSize)
		}
		if len(b.views) == 0 {
			m.violate("event-page", "the event page is not mapped to a GPU")
		}
		b.hide()
		b.eventPage, ev.page = true, b
		fill(b.mem.data, 0xff)
	}
	e := &event{kind: a.Type, autoReset: a.AutoReset != 0, age: 1}
	switch a.Type {
	case abi.EventSignal:
		if ev.page == nil && !ev.private {
			ev.private = true
			m.violate("event-page", "a signal event is made before the event page")
		}
		for ev.all[ev.nextSlot] != nil {
			ev.nextSlot++
		}
		if ev.nextSlot >= abi.EventSlots {
			ev.nextSlot = 1
			for ev.all[ev.nextSlot] != nil {
				if ev.nextSlot++; ev.nextSlot >= abi.EventSlots {
					return syscall.ENOSPC
				}
			}
		}
		e.id = ev.nextSlot
		a.Slot = e.id
		ev.nextSlot++
	case abi.EventHWException, abi.EventMemory:
		e.id = ev.nextID
		ev.nextID++
	default:
		m.violate("event-type", "CREATE_EVENT of type %d, which is obsolete or none", a.Type)
		return syscall.EINVAL
	}
	ev.all[e.id] = e
	a.EventID = e.id
	return nil
}

func (m *Machine) event(id uint32) (*event, error) {
	if e := m.proc.events.all[id]; e != nil {
		return e, nil
	}
	m.violate("event-id", "event %d does not exist", id)
	return nil, syscall.EINVAL
}

func (m *Machine) destroyEvent(a *abi.EventID) error {
	e, err := m.event(a.ID)
	if err != nil {
		return err
	}
	for _, q := range m.proc.queues {
		if q.live() && q.header.ErrEventID == a.ID {
			m.violate("event-id", "event %d is destroyed while queue %d reports errors by it", a.ID, q.id)
		}
	}
	e.dead = true
	delete(m.proc.events.all, a.ID)
	m.wake()
	return nil
}

func (m *Machine) setEvent(a *abi.EventID) error {
	e, err := m.event(a.ID)
	if err == nil {
		m.signal(e)
	}
	return err
}

func (m *Machine) resetEvent(a *abi.EventID) error {
	e, err := m.event(a.ID)
	if err == nil {
		e.signalled = false
	}
	return err
}

// signal makes an event happen.
func (m *Machine) signal(e *event) {
	e.signalled = true
	e.age++
	m.wake()
}

// slot returns an event's slot of the event page.
func (m *Machine) slot(id uint32) *uint64 {
	p := m.proc.events.page
	if p == nil || id >= abi.EventSlots {
		return nil
	}
	return (*uint64)(unsafe.Pointer(&p.mem.data[8*id]))
}

// interrupt is the kernel's handler for the interrupt of an event: it takes those alone whose slot has been written.
func (m *Machine) interrupt(id uint32) {
	e, slot := m.proc.events.all[id], m.slot(id)
	if e == nil || e.kind != abi.EventSignal || slot == nil || *slot == abi.SlotEmpty {
		return
	}
	*slot = abi.SlotEmpty
	m.signal(e)
}

// Interrupt raises an interrupt for an event, as a GPU does, which may be spurious.
func (m *Machine) Interrupt(id uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	if slot := m.slot(id); slot != nil {
		*slot = uint64(id)
	}
	m.interrupt(id)
}

const eventDataSize = int(unsafe.Sizeof(abi.EventData{}))

// waitEvents is WAIT_EVENTS, kfd_wait_on_events.
func (m *Machine) waitEvents(a *abi.WaitEvents) error {
	a.Result = abi.WaitFail
	if a.N > abi.EventSlots {
		return syscall.ENOMEM
	}
	if a.N == 0 {
		m.violate("wait-none", "WAIT_EVENTS for no event")
	}
	raw, err := read(a.Ptr, int(a.N)*eventDataSize)
	if err != nil {
		return err
	}
	m.checkDoorbells()
	records := unsafe.Slice((*abi.EventData)(unsafe.Pointer(unsafe.SliceData(raw))), a.N)
	list := make([]*event, a.N)
	for i := range records {
		r := &records[i]
		if list[i], err = m.event(r.EventID); err != nil {
			return err
		}
		if r.Pad != 0 || r.Ext != 0 {
			m.violate("reserved", "record %d of WAIT_EVENTS has fields set that must be zero", i)
		}
		if list[i].kind != abi.EventSignal && r.Data != [4]uint64{} {
			m.violate("wait-dirty", "record %d of WAIT_EVENTS, an exception's, is not zero: whether it fires could not be "+
				"told", i)
		}
	}
	fault := m.trip(AtWait, "")
	if fault != nil && fault.Err != syscall.EINTR {
		return fault.Err
	}
	active := make([]bool, a.N)
	check := func() {
		for i, e := range list {
			old := records[i].Data[0]
			aged := e.kind == abi.EventSignal && m.cfg.Kernel.Minor >= 14 && old != 0 && old != e.age
			if !active[i] && (e.signalled || aged) {
				active[i] = true
				if e.autoReset {
					e.signalled = false
				}
			}
		}
	}
	dead, done := false, false
	ready := func() bool {
		check()
		n := 0
		for i, e := range list {
			dead = dead || e.dead
			if active[i] {
				n++
			}
		}
		done = n > 0 && (a.All == 0 || n == len(list))
		return dead || done
	}
	start := m.now()
	deadline := forever
	if a.TimeoutMS != ^uint32(0) {
		deadline = start + time.Duration(a.TimeoutMS)*time.Millisecond
	}
	if fault != nil { // interrupted half way, unless it had happened already
		if !ready() {
			if deadline != forever {
				m.skew += (deadline - start) / 2
				a.TimeoutMS /= 2
			}
			return syscall.EINTR
		}
	} else {
		m.waitUntil(deadline, ready)
	}
	switch {
	case dead:
		return syscall.EIO
	case !done:
		a.Result = abi.WaitTimeout
		return nil
	}
	a.Result = abi.WaitComplete
	for i, e := range list {
		switch {
		case !active[i]:
		case e.kind != abi.EventSignal:
			records[i].Data = e.data
		case m.cfg.Kernel.Minor >= 14:
			records[i].Data[0] = e.age
		}
	}
	return write(a.Ptr, raw)
}

// exception signals every event of a kind, with what happened.
func (m *Machine) exception(kind uint32, data abi.EventData) {
	for _, e := range m.proc.events.all {
		if e.kind == kind {
			e.data = data.Data
			m.signal(e)
		}
	}
}
