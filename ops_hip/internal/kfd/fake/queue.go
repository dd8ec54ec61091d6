//go:build linux

package fake

import (
	"slices"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// queueState is what a queue does.
type queueState uint8

const (
	active    queueState = iota
	suspended            // after a bad packet
	evicted              // after a memory fault
	hung                 // a packet never ends
	dead                 // lost in a reset
)

// String returns the state in words.
func (s queueState) String() string {
	return [...]string{"active", "suspended", "evicted", "hung", "dead"}[s]
}

// queue is a compute queue.
type queue struct {
	gpu    *gpu
	id     uint32
	bell   *uint64 // the machine's view of its doorbell
	args   abi.CreateQueue
	state  queueState
	header abi.CWSRHeader
	saved  abi.Queue // as firmware read it when the queue was connected

	ring     []byte
	page     *abi.Queue
	size     uint64       // packets
	next     uint64       // packet to be executed
	rung     uint64       // packets that doorbells have published
	waiting  bool         // a packet has been executed and is not yet done
	copies   []abi.Packet // packets as doorbells published them, by slot
	buffers  []*bo
	kernargs map[uint64][]byte // arguments and PM4 of published packets in shared memory, by packet
	stalled  time.Duration     // since when a barrier waits; 0: it does not
}

// live reports whether firmware may still execute packets.
func (q *queue) live() bool { return q.state == active }

// outstanding returns the number of packets that were published and have not completed.
func (q *queue) outstanding() uint64 { return q.rung - q.next }

// Limits of queues.
const (
	maxQueues   = 127
	maxPriority = abi.MaxQueuePriority
	userLimit   = 1 << 47
)

// createQueue is CREATE_QUEUE: kfd_ioctl_create_queue, set_queue_properties_from_user, kfd_queue_acquire_buffers.
func (m *Machine) createQueue(a *abi.CreateQueue) error {
	g := m.gpuOf(a.GPUID)
	switch {
	case a.Percentage&0xff > abi.MaxQueuePercentage, a.Priority > maxPriority:
		return syscall.EINVAL
	case a.RingSize&(a.RingSize-1) != 0, a.RingSize == 0 && a.Ring != 0:
		return syscall.EINVAL
	case max(a.Ring, a.ReadPtr, a.WritePtr, a.EOP, a.CtxSave) >= userLimit:
		return syscall.EFAULT
	case a.Ring == 0, a.ReadPtr == 0, a.WritePtr == 0:
		return syscall.EFAULT
	case a.Type > 4:
		return syscall.Errno(abi.ENOTSUPP)
	case g == nil:
		return syscall.EINVAL
	case g.vmFD < 0:
		return syscall.ESRCH
	}
	if a.Type != abi.QueueComputeAQL {
		m.violate("queue-type", "CREATE_QUEUE of type %d: queues execute AQL packets", a.Type)
		return syscall.EINVAL
	}
	if a.DoorbellOffset|uint64(a.QueueID)|uint64(a.SDMAEngine)|uint64(a.MetadataRingSize) != 0 || a.Percentage>>8 != 0 {
		m.violate("reserved", "CREATE_QUEUE with fields set that must be zero")
	}
	if a.Percentage != 100 {
		m.violate("queue-scalars", "CREATE_QUEUE with %d percent", a.Percentage)
	}
	q := &queue{gpu: g, args: *a, size: uint64(a.RingSize) / abi.PacketSize, kernargs: map[uint64][]byte{}}
	if err := q.acquireBuffers(); err != nil {
		return err
	}
	if len(g.queues) >= maxQueues {
		return syscall.ENOSPC
	}
	if f := m.trip(AtCreateQueue, ""); f != nil {
		return f.Err
	}
	if !m.proc.asked {
		m.violate("runtime-order", "CREATE_QUEUE before RUNTIME_ENABLE: errors of packets would be lost")
	}
	q.checkHeader()
	q.connect()
	m.proc.nextID++
	q.id = m.proc.nextID
	at := uint64(len(g.queues))
	for slices.ContainsFunc(g.queues, func(x *queue) bool { return x.args.DoorbellOffset&0x1fff == 8*at }) {
		at++
	}
	q.bell = (*uint64)(unsafe.Pointer(&g.doorbell.data[8*at]))
	atomic.StoreUint64(q.bell, ^uint64(0))
	a.QueueID = q.id
	a.DoorbellOffset = abi.MmapDoorbell | uint64(g.id)<<abi.MmapGPUShift | 8*at
	q.args.DoorbellOffset = a.DoorbellOffset
	for _, b := range q.buffers {
		b.hide()
		b.pins[q] = true
	}
	if g.lost {
		q.state = evicted
	}
	m.proc.queues[q.id] = q
	g.queues = append(g.queues, q)
	g.hadQueue = true
	if !g.processor && !m.cfg.Manual {
		g.processor = true
		m.firmware.Go(g.process)
	}
	return nil
}

// exact returns the buffer that the GPU has mapped at addr, if it begins there and has exactly n bytes. The exact form
// is what kernels since 6.12 demand; before, addresses must be mapped alone.
func (q *queue) exact(what string, addr, n uint64) (*bo, error) {
	b := q.gpu.find(addr)
	if b != nil && b.va == addr && pages(b.size) == n {
		return b, nil
	}
	if q.gpu.m.cfg.Kernel.ExactBuffers {
		return nil, syscall.EINVAL
	}
	q.gpu.m.violate("queue-buffers", "CREATE_QUEUE: %s at %#x is no buffer of exactly %#x bytes, which Linux 6.12 demands",
		what, addr, n)
	if b == nil || addr+n > b.va+pages(b.size) {
		return nil, syscall.EFAULT
	}
	return b, nil
}

// acquireBuffers checks the buffers of a queue as kfd_queue_acquire_buffers does.
func (q *queue) acquireBuffers() error {
	a, g, m := &q.args, q.gpu, q.gpu.m
	size := g.cwsr()
	w, err := q.exact("write pointer", a.WritePtr&^(abi.PageSize-1), abi.PageSize)
	if err != nil {
		return err
	}
	r, err := q.exact("read pointer", a.ReadPtr&^(abi.PageSize-1), abi.PageSize)
	if err != nil {
		return err
	}
	ring, err := q.exact("ring", a.Ring, uint64(a.RingSize))
	if err != nil {
		return err
	}
	if a.EOPSize < abi.EOPSize {
		return syscall.EINVAL
	}
	eop, err := q.exact("EOP buffer", a.EOP, pages(a.EOPSize))
	if err != nil {
		return err
	}
	if m.cfg.Kernel.ExactBuffers && (a.CtlStackSize != size.Ctl || a.CtxSaveSize < size.Save) {
		return syscall.EINVAL
	}
	if a.CtlStackSize < size.Ctl || a.CtxSaveSize < size.Save {
		m.violate("queue-buffers", "CREATE_QUEUE: control stack %d and save area %d, the GPU needs %d and %d",
			a.CtlStackSize, a.CtxSaveSize, size.Ctl, size.Save)
		return syscall.EINVAL
	}
	save, err := q.exact("save area", a.CtxSave, abi.CWSRBuffer(a.CtxSaveSize, size.Debug))
	if err != nil {
		return err
	}
	if !w.shared() || w.gpu != g {
		return syscall.EINVAL // the scheduler pins the page into the GART
	}
	if !ring.shared() || !r.shared() || !save.shared() {
		m.violate("queue-buffers", "CREATE_QUEUE: ring, pointers and save area are shared memory")
		return syscall.EINVAL
	}
	q.ring = ring.mem.data
	if w != r || a.ReadPtr-a.WritePtr != abi.QueueReadOffset-abi.QueueWriteOffset {
		m.violate("queue-page", "read and write pointer, %#x and %#x, are not those of one amd_queue_t", a.ReadPtr,
			a.WritePtr)
		return syscall.EINVAL
	}
	at := a.WritePtr - abi.QueueWriteOffset - w.va
	if at+uint64(unsafe.Sizeof(abi.Queue{})) > abi.PageSize {
		m.violate("queue-page", "amd_queue_t at %#x does not lie in its page", a.WritePtr-abi.QueueWriteOffset)
		return syscall.EINVAL
	}
	q.page = (*abi.Queue)(unsafe.Pointer(&w.mem.data[at]))
	q.header = *(*abi.CWSRHeader)(unsafe.Pointer(&save.mem.data[0]))
	q.buffers = slices.Compact([]*bo{w, ring, eop, save})
	for i, b := range q.buffers {
		if len(b.pins) > 0 || slices.Contains(q.buffers[:i], b) {
			m.violate("queue-buffers", "CREATE_QUEUE: %v has two uses", b)
			return syscall.EINVAL
		}
	}
	return nil
}

// checkHeader checks what the driver has written to the head of the save area.
func (q *queue) checkHeader() {
	g, h := q.gpu, &q.header
	bad := func(format string, args ...any) { g.m.violate("cwsr-header", "save area: "+format, args...) }
	if h.CtlStackOffset|h.CtlStackSize|h.WaveStateOffset|h.WaveStateSize|h.Reserved != 0 {
		bad("fields are set that firmware fills")
	}
	if h.DebugOffset != q.args.CtxSaveSize || h.DebugSize != g.cwsr().Debug {
		bad("debug area at %#x with %#x bytes, want %#x with %#x", h.DebugOffset, h.DebugSize, q.args.CtxSaveSize,
			g.cwsr().Debug)
	}
	if s := g.m.spans.find(h.ErrPayload); h.ErrPayload%8 != 0 || s == nil || s.kind != buffer ||
		g.host(h.ErrPayload, 8) == nil {
		bad("the word for errors at %#x is not aligned, or not in shared memory", h.ErrPayload)
	}
	if e := g.m.proc.events.all[h.ErrEventID]; e == nil || e.kind != abi.EventSignal {
		bad("event %d for errors is no signal event", h.ErrEventID)
	}
}

// connect reads amd_queue_t as firmware does when a queue is connected, and checks it.
func (q *queue) connect() {
	g := q.gpu
	q.saved = *q.page
	p := &q.saved
	cus := uint32(g.spec.CUs)
	want := abi.Queue{Type: abi.QueueTypeMulti, Features: abi.QueueFeatureDispatch, Base: q.args.Ring,
		Size: uint32(q.size), ID: p.ID, GroupApertureHi: ldsBase >> 32, PrivateApertureHi: scratchBase >> 32,
		MaxCUID: cus - 1, MaxWaveID: 31, ReadOffset: abi.QueueReadOffset,
		Properties: abi.QueuePropertyPtr64 | abi.QueuePropertyProfiling, InactiveSignal: p.InactiveSignal}
	got, expect := unsafe.Slice((*uint32)(unsafe.Pointer(p)), 64), unsafe.Slice((*uint32)(unsafe.Pointer(&want)), 64)
	for i := range got {
		if got[i] != expect[i] {
			g.m.violate("queue-content", "amd_queue_t at %#x holds %#x, want %#x", 4*i, got[i], expect[i])
		}
	}
	if s := g.signal(p.InactiveSignal); s == nil || s.Kind != abi.SignalUser || s.Value != 0 {
		g.m.violate("queue-content", "the inactive signal at %#x is no signal with value 0", p.InactiveSignal)
	}
	for i := uint64(0); i < q.size; i++ {
		slot := unsafe.Slice((*uint32)(unsafe.Pointer(&q.ring[i*abi.PacketSize])), 16)
		for k, w := range slot {
			if k == 0 && w != uint32(abi.HeaderInvalid) || k > 0 && w != 0 {
				g.m.violate("ring-content", "slot %d of the new ring holds %#x at %d, not an invalid packet", i, w, 4*k)
				return
			}
		}
	}
}

// destroyQueue is DESTROY_QUEUE, pqm_destroy_queue. A queue that cannot be preempted costs the GPU a reset.
func (m *Machine) destroyQueue(a *abi.DestroyQueue) error {
	q := m.proc.queues[a.QueueID]
	if a.Pad != 0 {
		m.violate("reserved", "DESTROY_QUEUE with padding %#x", a.Pad)
	}
	if q == nil {
		m.violate("destroy-queue", "DESTROY_QUEUE of queue %d, which does not exist", a.QueueID)
		return syscall.EINVAL
	}
	m.checkDoorbells()
	if q.live() && q.outstanding() > 0 {
		m.violate("destroy-busy", "DESTROY_QUEUE of queue %d with %d packets that have not completed", q.id,
			q.outstanding())
	}
	f := m.trip(AtDestroyQueue, "")
	if f != nil && f.Delay > 0 {
		m.waitUntil(m.now()+f.Delay, func() bool { return false })
	}
	var err error
	if f != nil && f.Err != 0 {
		err = f.Err
	}
	if q.state == hung {
		m.waitUntil(m.now()+2100*time.Millisecond, func() bool { return false })
		err = syscall.ETIME
	}
	if err != nil {
		q.gpu.reset()
		if err != syscall.ETIME {
			return err // and the queue stays
		}
	}
	for q.gpu.running {
		m.cond.Wait()
	}
	delete(m.proc.queues, q.id)
	g := q.gpu
	g.queues = slices.DeleteFunc(g.queues, func(x *queue) bool { return x == q })
	for _, b := range q.buffers {
		delete(b.pins, q)
		if len(b.pins) == 0 {
			b.show()
		}
	}
	for at, id := range g.signals {
		if uint32(id>>32) == q.id {
			delete(g.signals, at)
		}
	}
	return err
}
