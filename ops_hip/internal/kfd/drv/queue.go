//go:build linux

package drv

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
)

// pointer returns the memory at an address outside of the Go heap.
func pointer(addr uintptr) unsafe.Pointer { return sys.Pointer(addr) }

// queue is the hardware queue of a device.
type queue struct {
	ring, page, eop, cwsr *buffer

	desc     *abi.Queue
	id       uint32
	live     bool
	window   uintptr // of doorbells
	doorbell *uint64
	size     uint32 // packets
	write    uint64 // next packet
	work     uint64 // the one behind the last that is no mark of a waiting host
	tail     *abi.Signal
}

// read returns the number of packets that the GPU has taken.
func (q *queue) read() uint64 { return atomic.LoadUint64(&q.desc.ReadDispatchID) }

// packet returns the place of packet id.
func (q *queue) packet(id uint64) *abi.Packet {
	return (*abi.Packet)(pointer(q.ring.va + uintptr(id&uint64(q.size-1))*abi.PacketSize))
}

// queuePriority is the normal one of the 16.
const queuePriority = 7

// makeQueue allocates the buffers of the queue, each of its own since the kernel wants exact mappings, and creates it.
func (d *Device) makeQueue() error {
	p, q, g := d.p, &d.q, &d.vm.gpu
	q.size = p.opt.RingPackets
	var err error
	if q.ring, err = p.alloc(d.vm, int64(max(q.size*abi.PacketSize, abi.PageSize)), abi.HostFlags, true); err != nil {
		return err
	}
	if q.page, err = p.alloc(d.vm, abi.PageSize, abi.HostFlags, true); err != nil {
		return err
	}
	if q.eop, err = p.alloc(d.vm, abi.EOPSize, abi.DeviceFlags, true); err != nil {
		return err
	}
	for id := range uint64(q.size) {
		*q.packet(id) = abi.Packet{uint32(abi.HeaderInvalid)}
	}
	a := d.vm.aperture
	q.desc = (*abi.Queue)(pointer(q.page.va))
	*q.desc = abi.Queue{Type: abi.QueueTypeMulti, Features: abi.QueueFeatureDispatch, Base: uint64(q.ring.va),
		Size: q.size, ID: uint64(g.ID), GroupApertureHi: uint32(a.LDSBase >> 32),
		PrivateApertureHi: uint32(a.ScratchBase >> 32), MaxCUID: g.CUs - 1, MaxWaveID: g.Waves*g.SIMDs - 1,
		ReadOffset: abi.QueueReadOffset, Properties: abi.QueuePropertyPtr64 | abi.QueuePropertyProfiling,
		InactiveSignal: uint64(d.sig.pool.va) + inactiveAt*abi.SignalSize}
	return d.createQueue()
}

// sizes are those that the kernel should demand: its own words where it has them.
func (d *Device) sizes(vgpr uint32) abi.CWSR {
	g := &d.vm.gpu
	s := abi.CWSRSizes(g.CUs, vgpr)
	s.Save = max(s.Save, g.CWSR)
	if g.CtlStack != 0 {
		s.Ctl = g.CtlStack
	}
	s.Buffer = abi.CWSRBuffer(s.Save, s.Debug)
	return s
}

// createQueue creates the queue. Kernels refuse a save area of another size than their own with a bare EINVAL: then
// the size of the large register file is tried.
func (d *Device) createQueue() error {
	g := &d.vm.gpu
	sizes := d.sizes(abi.VGPRBytes(g.Version))
	err := d.tryQueue(sizes)
	if large := d.sizes(abi.VGPRBytesLarge); errno(err) == syscall.EINVAL && large != sizes {
		if again := d.tryQueue(large); again == nil {
			return nil
		}
	}
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) || e.Call != abi.IoctlName(abi.IocCreateQueue) {
		return err
	}
	version, _ := d.p.sys.ReadFile("/proc/sys/kernel/osrelease") // for the message
	switch e.Errno {
	case syscall.EINVAL:
		e.Text = fmt.Sprintf("kernel %s refused the queue of %s (%d CUs): ring %d, save area %d of %d, control stack %d, debug %d bytes; sysfs says cwsr_size %d, ctl_stack_size %d",
			strings.TrimSpace(string(version)), g.Target, g.CUs, d.q.ring.size, sizes.Save, sizes.Buffer, sizes.Ctl,
			sizes.Debug, g.CWSR, g.CtlStack)
		if g.Version == 110501 {
			e.Text += "; gfx1151 wants Linux 6.18.4 or later, or a distribution's with the same mend"
		}
	case syscall.EIO, syscall.ETIME:
		e.Text = "the GPU's scheduler does not answer: a reset follows, or is under way; " +
			"see dmesg, and restart the program"
	}
	return err
}

// tryQueue creates the queue with a save area of the given sizes.
func (d *Device) tryQueue(s abi.CWSR) error {
	p, q := d.p, &d.q
	b, err := p.alloc(d.vm, int64(s.Buffer), abi.HostFlags, true)
	if err != nil {
		return err
	}
	*(*abi.CWSRHeader)(pointer(b.va)) = abi.CWSRHeader{DebugOffset: s.Save, DebugSize: s.Debug,
		ErrPayload: uint64(d.sig.pool.va) + payloadAt*abi.SignalSize, ErrEventID: d.watch.failure.EventID}
	c := &abi.CreateQueue{Ring: uint64(q.ring.va), WritePtr: uint64(q.page.va) + abi.QueueWriteOffset,
		ReadPtr: uint64(q.page.va) + abi.QueueReadOffset, RingSize: q.size * abi.PacketSize, GPUID: d.vm.gpu.ID,
		Type: abi.QueueComputeAQL, Percentage: abi.MaxQueuePercentage, Priority: queuePriority,
		EOP: uint64(q.eop.va), EOPSize: abi.EOPSize, CtxSave: uint64(b.va), CtxSaveSize: s.Save, CtlStackSize: s.Ctl}
	if err := p.call(p.fd, abi.IocCreateQueue, unsafe.Pointer(c)); err != nil {
		return errors.Join(err, p.free(b))
	}
	q.cwsr, q.id, q.live = b, c.QueueID, true
	const mask = abi.DoorbellWindow - 1
	q.window, err = p.sys.Mmap(p.fd, c.DoorbellOffset&^mask, 0, abi.DoorbellWindow,
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		q.window = 0
		return failed("mmap of the doorbells", err)
	}
	q.doorbell = (*uint64)(pointer(q.window + uintptr(c.DoorbellOffset&mask)))
	return nil
}

// closeQueue destroys the queue, then releases what it used.
func (d *Device) closeQueue() error {
	p, q := d.p, &d.q
	var errs []error
	if q.live {
		x := &abi.DestroyQueue{QueueID: q.id}
		err := p.call(p.fd, abi.IocDestroyQueue, unsafe.Pointer(x))
		if err != nil && errno(err) != syscall.ETIME {
			return err // its buffers are still in use
		}
		errs = append(errs, err) // a queue that did not stop in time is gone: the kernel resets the GPU
		q.live = false
	}
	for _, b := range []*buffer{q.ring, q.page, q.eop, q.cwsr} {
		if b != nil {
			errs = append(errs, p.free(b))
		}
	}
	if q.window != 0 {
		errs = append(errs, p.sys.Munmap(q.window, abi.DoorbellWindow))
	}
	*q = queue{}
	return errors.Join(errs...)
}

// submit puts one packet into the ring, whose completion is tail.
func (d *Device) submit(p *abi.Packet, tail *abi.Signal) error {
	if err := d.room(1); err != nil {
		return err
	}
	d.q.put(d.q.write, p)
	d.publish(1, tail)
	return nil
}

// put writes packet id. The slot is invalid until the header, which comes last, is there.
func (q *queue) put(id uint64, p *abi.Packet) {
	to := q.packet(id)
	atomic.StoreUint32(&to[0], uint32(abi.HeaderInvalid))
	copy(to[1:], p[1:])
	atomic.StoreUint32(&to[0], p[0])
}

// publish tells the GPU of n packets that were put: first the index, which the scheduler reads while the queue is
// not mapped, then the doorbell, which takes the number of the last packet.
func (d *Device) publish(n uint64, tail *abi.Signal) {
	q := &d.q
	q.write += n
	if tail != nil {
		q.tail = tail
	}
	if tail != d.sig.at(markerAt) {
		q.work = q.write
	}
	atomic.StoreUint64(&q.desc.WriteDispatchID, q.write)
	d.p.sys.Ring(q.doorbell, q.write-1)
}

// room waits until n packets fit into the ring.
func (d *Device) room(n uint64) error {
	q := &d.q
	if q.write+n-q.read() <= uint64(q.size) {
		return nil
	}
	return d.until(func() bool { return q.write+n-q.read() <= uint64(q.size) }, 1, false)
}

// wait waits until the packet of a signal has completed.
func (d *Device) wait(s *abi.Signal) error {
	if isDone(s) {
		return nil
	}
	return d.until(func() bool { return isDone(s) }, waitMS, s.Mailbox == 0)
}

// idle waits for all work, and for the barrier that waiting may put behind it.
func (d *Device) idle() error {
	for d.q.tail != nil && !isDone(d.q.tail) {
		if err := d.wait(d.q.tail); err != nil {
			return err
		}
	}
	return nil
}

// Waiting: first by looking, then in the kernel, in pieces, so that no lost interrupt costs more than one.
const (
	spinTime  = 80 * time.Microsecond
	spinLooks = 64
	waitMS    = 50
)

// until waits until done. ms bounds a piece of waiting; with mark, a barrier behind all work wakes the host.
func (d *Device) until(done func() bool, ms uint32, mark bool) error {
	s := d.p.sys
	for start := s.Now(); s.Now()-start < spinTime; {
		for range spinLooks {
			if done() {
				return d.failure()
			}
		}
		if err := d.failure(); err != nil {
			return err
		}
	}
	// Marks are no progress: they complete also where what is waited for never will.
	read, since := min(d.q.read(), d.q.work), s.Now()
	for {
		if mark {
			mark = !d.markTail()
		}
		if done() {
			return d.failure()
		}
		if err := d.await(ms); err != nil {
			return err
		}
		if err := d.failure(); err != nil {
			return err
		}
		if done() {
			return nil
		}
		if now := min(d.q.read(), d.q.work); now != read {
			read, since = now, s.Now()
		} else if t := d.p.opt.Timeout; t > 0 && s.Now()-since >= t {
			return d.hang(t)
		}
	}
}

// markTail puts a barrier with an interrupt behind all packets, and reports whether it did: not while one is under way
// or the ring is full.
func (d *Device) markTail() bool {
	m := d.sig.at(markerAt)
	if q := &d.q; !isDone(m) || q.write+1-q.read() > uint64(q.size) {
		return false
	}
	arm(m, d.p.mailbox(d.watch.queue), d.watch.queue.EventID)
	p := barrier(m)
	d.q.put(d.q.write, &p)
	d.publish(1, m)
	return true
}

// barrier returns a packet that completes s after all before it.
func barrier(s *abi.Signal) abi.Packet {
	b := abi.BarrierAnd{Header: abi.HeaderBarrierSystem, Completion: uint64(uintptr(unsafe.Pointer(s)))}
	return b.Packet()
}

// failure looks at both channels of errors of the queue.
func (d *Device) failure() error {
	if d.lost != nil {
		return d.lost
	}
	if bits := atomic.LoadUint64(d.sig.payload()); bits != 0 {
		return d.lose("queue error", payloadText(bits)+"; "+d.atRead(), nil)
	}
	if code := atomic.LoadInt64(&d.sig.at(inactiveAt).Value); code != 0 {
		return d.lose("queue error", inactiveText(code)+"; "+d.atRead(), nil)
	}
	return nil
}

// hang loses the device, whose queue made no progress for t. Nothing is destroyed: the kernel would reset the GPU under
// everybody who uses it.
func (d *Device) hang(t time.Duration) error {
	text := fmt.Sprintf("no progress for %v: ", t)
	if d.q.read() == 0 {
		text += "the queue never started; "
	}
	return d.lose("hang", text+d.atRead(), ErrHang)
}
