//go:build linux

package fake

import (
	"bytes"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// Ring implements sys.Sys. The rules of what must have been stored before are checked before the doorbell is; packets
// are executed later.
func (m *Machine) Ring(doorbell *uint64, v uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.spans.find(uint64(uintptr(unsafe.Pointer(doorbell))))
	if s == nil || s.kind != doorbells {
		m.violate("doorbell", "a store of %d to %p, which is no doorbell", v, doorbell)
		return
	}
	at := uint64(uintptr(unsafe.Pointer(doorbell))) - s.lo
	for _, q := range s.gpu.queues {
		if q.args.DoorbellOffset&(abi.DoorbellWindow-1) == at {
			if q.publish(v) {
				atomic.StoreUint64(doorbell, v)
				q.rung = atomic.LoadUint64(q.bell) + 1
				m.wake()
			}
			return
		}
	}
	m.violate("doorbell", "a store of %d to the doorbell at %#x of the window, which no queue has", v, at)
}

// checkDoorbells finds stores to doorbells that did not go through Ring.
func (m *Machine) checkDoorbells() {
	for _, q := range m.proc.queues {
		if atomic.LoadUint64(q.bell)+1 != q.rung {
			m.violate("doorbell", "the doorbell of queue %d was stored to by other means than a doorbell store", q.id)
			atomic.StoreUint64(q.bell, q.rung-1)
		}
	}
}

// slot returns the place of a packet in the ring.
func (q *queue) slot(id uint64) *abi.Packet {
	return (*abi.Packet)(unsafe.Pointer(&q.ring[id%q.size*abi.PacketSize]))
}

// fetch reads a packet of the ring, the header first, as firmware does.
func (q *queue) fetch(id uint64) abi.Packet {
	s := q.slot(id)
	head := atomic.LoadUint32(&s[0])
	p := *s
	p[0] = head
	return p
}

// publish checks packets that a doorbell store of v makes known, and reports whether it can be obeyed.
func (q *queue) publish(v uint64) bool {
	g, m := q.gpu, q.gpu.m
	w := atomic.LoadUint64(&q.page.WriteDispatchID)
	switch {
	case v+1 <= q.rung:
		m.violate("doorbell-value", "doorbell %d of queue %d, which has rung with %d", v, q.id, q.rung-1)
		return false
	case v+1-q.rung > q.size:
		m.violate("ring-overrun", "doorbell %d of queue %d publishes %d packets, the ring has %d", v, q.id, v+1-q.rung,
			q.size)
		return false
	}
	switch {
	case w <= v:
		m.violate("doorbell-before-index", "doorbell %d of queue %d while write_dispatch_id is %d", v, q.id, w)
	case w != v+1:
		m.violate("doorbell-value", "doorbell %d of queue %d while write_dispatch_id is %d, want %d", v, q.id, w, w-1)
	}
	if w > q.next && w-q.next > q.size {
		m.violate("ring-overrun", "queue %d: write_dispatch_id %d is more than the ring's %d packets ahead of packet %d, "+
			"which has not completed", q.id, w, q.size, q.next)
	}
	if len(q.copies) == 0 {
		q.copies = make([]abi.Packet, q.size)
	}
	for id := q.rung; id <= v; id++ {
		p := q.fetch(id)
		q.copies[id%q.size] = p
		if p.Header()&0xff == abi.PacketInvalid {
			m.violate("doorbell-before-header", "doorbell %d of queue %d: the header of packet %d is not valid", v, q.id, id)
			continue
		}
		if c := p.Completion(); c != 0 {
			q.reserve(id, c)
		}
		if p.Header()&0xff == abi.PacketVendor {
			q.kernargs[id] = bytes.Clone(g.host(uint64(p[2])|uint64(p[3])<<32, 4*uint64(p[4]&abi.MaxIndirectDwords)))
		}
		if d := p.AsDispatch(); d.Header&0xff == abi.PacketDispatch {
			if b := g.find(d.Kernarg); b != nil && b.mem != nil {
				at := d.Kernarg - b.va
				q.kernargs[id] = bytes.Clone(b.mem.data[at:min(at+maxArgs, uint64(len(b.mem.data)))])
			}
		}
	}
	return true
}

// maxArgs is how many bytes of arguments are compared; kernels have fewer.
const maxArgs = 512

// signal returns the signal at an address of shared memory, or nil.
func (g *gpu) signal(addr uint64) *abi.Signal {
	if addr == 0 || addr%abi.SignalSize != 0 {
		return nil
	}
	b := g.host(addr, abi.SignalSize)
	if b == nil {
		return nil
	}
	return (*abi.Signal)(unsafe.Pointer(unsafe.SliceData(b)))
}

// reserve notes that a packet will decrement a signal, which must be fresh and nobody else's.
func (q *queue) reserve(id, addr uint64) {
	g, m := q.gpu, q.gpu.m
	s := g.signal(addr)
	if s == nil {
		return // a bad packet: seen when it is executed
	}
	if other, ok := g.signals[addr]; ok {
		m.violate("signal-reuse", "packet %d of queue %d completes the signal at %#x, as does packet %d, which has not "+
			"completed", id, q.id, addr, other&0xffffffff)
	}
	if v := atomic.LoadInt64(&s.Value); v != 1 {
		m.violate("signal-value", "packet %d of queue %d completes the signal at %#x, whose value is %d, want 1", id, q.id,
			addr, v)
	}
	g.signals[addr] = uint64(q.id)<<32 | id&0xffffffff
}

// next returns a queue with a packet that can be executed, or nil.
func (g *gpu) next() *queue {
	if g.paused || g.removed || g.running {
		return nil
	}
	for _, q := range g.queues {
		if q.state == active && !q.waiting && q.next < q.rung && q.unblocked() {
			return q
		}
	}
	return nil
}

// unblocked reports whether the next packet is no barrier that waits.
func (q *queue) unblocked() bool {
	p := q.fetch(q.next)
	if p.Header()&0xff != abi.PacketBarrierAnd {
		return true
	}
	for _, d := range p.AsBarrier().Deps {
		if s := q.gpu.signal(d); d != 0 && s != nil && atomic.LoadInt64(&s.Value) != 0 {
			if q.stalled == 0 {
				q.stalled = q.gpu.m.now()
			}
			return false
		}
	}
	q.stalled = 0
	return true
}

// stallLimit is how long a barrier may wait while nothing else happens.
const stallLimit = 60 * time.Second

// checkStalls finds barriers that wait for what nobody will signal.
func (m *Machine) checkStalls() {
	for _, q := range m.proc.queues {
		if q.state == active && q.stalled != 0 && m.now()-q.stalled > stallLimit {
			m.violate("barrier-stall", "packet %d of queue %d waits for signals that nothing will signal", q.next, q.id)
			q.state = hung
		}
	}
}

// process is the packet processor of a GPU.
func (g *gpu) process() {
	m := g.m
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.closed {
		if q := g.next(); q != nil {
			q.step()
		} else {
			m.cond.Wait()
		}
	}
}

// step executes the next packet. The caller holds the lock, which is given up while a kernel runs.
func (q *queue) step() {
	g, m := q.gpu, q.gpu.m
	if f := m.trip(AtEvict, ""); f != nil {
		g.evict(f.Delay)
		return
	}
	if m.trip(AtStart, "") != nil || m.trip(AtHang, "") != nil {
		q.hang()
		return
	}
	p := q.fetch(q.next)
	if p != q.copies[q.next%q.size] {
		m.violate("packet-changed", "packet %d of queue %d has changed between the doorbell and its execution", q.next,
			q.id)
	}
	if f := m.trip(AtBadPacket, ""); f != nil {
		q.refuse(uint32(f.Value))
		return
	}
	if m.trip(AtReset, "") != nil {
		g.reset()
		return
	}
	if m.trip(AtRemove, "") != nil {
		g.remove()
		return
	}
	if f := m.trip(AtVMFault, ""); f != nil {
		g.fault(abi.MemoryException{NotPresent: true, VA: f.Value &^ (abi.PageSize - 1), GPUID: g.id})
		return
	}
	q.policy(&p)
	if p.Header()>>abi.HeaderAcquireShift&3 == abi.ScopeSystem {
		g.acquire()
	}
	start := g.stamp()
	if ok := q.execute(&p); !ok {
		m.wake()
		return
	}
	q.complete(p, start)
}

// policy checks what a header must have beyond what firmware demands.
func (q *queue) policy(p *abi.Packet) {
	h, m := p.Header(), q.gpu.m
	if h&0xff == abi.PacketInvalid {
		return // that was said when it was published
	}
	bad := func(format string, args ...any) {
		m.violate("packet-policy", "packet %d of queue %d with header %#x: "+format,
			append([]any{q.next, q.id, h}, args...)...)
	}
	acquire, release := h>>abi.HeaderAcquireShift&3, h>>abi.HeaderReleaseShift&3
	if h&abi.HeaderBarrier == 0 {
		bad("no barrier bit")
	}
	if h&abi.HeaderReserved != 0 || acquire > abi.ScopeSystem || release > abi.ScopeSystem {
		bad("reserved bits")
	}
	if acquire < abi.ScopeAgent || release < abi.ScopeAgent {
		bad("acquire scope %d and release scope %d, want at least the agent's", acquire, release)
	}
}

// complete ends a packet that has been executed.
func (q *queue) complete(p abi.Packet, start uint64) {
	g, m := q.gpu, q.gpu.m
	if q.fetch(q.next) != p {
		m.violate("packet-changed", "packet %d of queue %d has changed while it was executed", q.next, q.id)
	}
	if p.Header()>>abi.HeaderReleaseShift&3 == abi.ScopeSystem {
		g.release()
	} else if b := g.unreleased(); b != nil && p.Completion() != 0 {
		m.violate("signal-before-release", "packet %d of queue %d completes its signal without a system release, and the "+
			"host cannot see what kernels have stored to %v", q.next, q.id, b)
	}
	if s := g.signal(p.Completion()); s != nil && q.saved.Properties&abi.QueuePropertyProfiling != 0 {
		s.Start, s.End = start, g.stamp()
		if f := m.trip(AtTimestamps, ""); f != nil {
			s.Start, s.End = f.Value, f.Value
		}
	}
	if f := m.trip(AtDelay, ""); f != nil {
		q.waiting = true
		m.after(f.Delay, func() { q.finish(&p, nil) })
		return
	}
	q.finish(&p, m.trip(AtEarlyEvent, ""))
}

// finish makes the end of a packet known. early raises the event before.
func (q *queue) finish(p *abi.Packet, early *Fault) {
	g, m := q.gpu, q.gpu.m
	q.waiting = false
	if q.state != active {
		return
	}
	s := g.signal(p.Completion())
	if early != nil && s != nil {
		q.raise(s)
		q.waiting = true
		m.after(early.Delay, func() { q.finish(p, nil) })
		return
	}
	id := q.next
	delete(g.signals, p.Completion())
	delete(q.kernargs, id)
	q.next++
	if m.cfg.ReadIndexFirst {
		q.retire(id)
	}
	if s != nil {
		atomic.AddInt64(&s.Value, -1)
		q.raise(s)
	}
	if !m.cfg.ReadIndexFirst {
		q.retire(id)
	}
	m.wake()
}

// retire gives a packet's slot back.
func (q *queue) retire(id uint64) {
	if !q.gpu.m.cfg.KeepHeaders {
		atomic.StoreUint32(&q.slot(id)[0], uint32(abi.HeaderInvalid))
	}
	atomic.StoreUint64(&q.page.ReadDispatchID, id+1)
}

// raise writes the mailbox of a signal, and interrupts the host.
func (q *queue) raise(s *abi.Signal) {
	m := q.gpu.m
	if s.Mailbox == 0 {
		return
	}
	page := m.proc.events.page
	if page == nil || s.Mailbox != page.va+8*uint64(s.EventID) || s.EventID >= abi.EventSlots {
		m.violate("mailbox", "a signal's mailbox is %#x, which is not the slot of its event %d", s.Mailbox, s.EventID)
		return
	}
	if page.views[q.gpu] == nil {
		m.violate("mailbox", "the event page is not mapped to GPU %#x", q.gpu.id)
		return
	}
	if e := m.proc.events.all[s.EventID]; e == nil {
		m.violate("mailbox", "a signal's event %d does not exist", s.EventID)
		return
	}
	atomic.StoreUint64(m.slot(s.EventID), uint64(s.EventID))
	if m.trip(AtLostInterrupt, "") == nil {
		m.interrupt(s.EventID)
	}
}

// hang leaves the queue with a packet that never ends.
func (q *queue) hang() {
	q.state, q.gpu.lost = hung, true
	q.gpu.m.wake()
}

// fault is a memory fault: queues of the GPU are evicted for good, and the process is told.
func (g *gpu) fault(e abi.MemoryException) {
	g.lost = true
	for _, q := range g.queues {
		if q.state == active {
			q.state = evicted
		}
	}
	var d abi.EventData
	d.SetMemory(e)
	g.m.exception(abi.EventMemory, d)
	g.m.wake()
}

// legacy are the codes of the inactive signal by exception code.
var legacy = map[uint32]int64{abi.ECQueueDispatchDim: abi.InactiveDim, abi.ECQueueGroupSegment: abi.InactiveGroupMemory,
	abi.ECQueueCodeAddress: abi.InactiveCode, abi.ECQueueReserved: abi.InactivePacket,
	abi.ECQueueUnsupported: abi.InactivePacket, abi.ECQueueWorkgroupSize: abi.InactiveWorkgroup,
	abi.ECQueueRegister: abi.InactiveVGPRs, abi.ECQueueVendor: abi.InactivePacketVendor}

// refuse stops the queue at a bad packet, with an exception code, and tells the process.
func (q *queue) refuse(code uint32) {
	g, m := q.gpu, q.gpu.m
	q.state, g.lost = suspended, true
	if word := g.host(q.header.ErrPayload, 8); word != nil && m.proc.runtime {
		atomic.OrUint64((*uint64)(unsafe.Pointer(unsafe.SliceData(word))), 1<<(code-1))
		if e := m.proc.events.all[q.header.ErrEventID]; e != nil {
			m.signal(e)
		}
	}
	if s := g.signal(q.saved.InactiveSignal); s != nil {
		atomic.StoreInt64(&s.Value, legacy[code])
		q.raise(s)
	}
	m.wake()
}
