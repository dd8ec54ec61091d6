//go:build linux

package fake

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
)

// mutant is a driver with one small thing wrong: it stands between the right driver and the machine, and changes what
// the one says or the other answers.
type mutant struct {
	*Machine
	name  string
	ring  func(x *mutant, v uint64) // in place of the doorbell store
	ioctl func(x *mutant, fd int, nr uint32, arg unsafe.Pointer) error
	mmap  func(x *mutant, fd int, off uint64, addr, n uintptr, prot, flags int) (uintptr, error)
	unmap func(x *mutant, addr, n uintptr) error
	shut  func(x *mutant, fd int) error
	opt   drv.Options

	bell  *uint64
	args  abi.CreateQueue // of the queue
	rung  uint64          // packets that were published
	count int             // for mutants that do wrong once, or from some time on
	waits int             // WAIT_EVENTS calls
	saved any             // of the mutant
	drm   int             // file of the VM
}

// maxWaits is far above the waits of the scenario with a watchdog that expires.
const maxWaits = 3000

func (x *mutant) Ioctl(fd int, nr uint32, arg unsafe.Pointer) error {
	switch nr {
	case abi.IocAcquireVM:
		x.drm = int((*abi.AcquireVM)(arg).DRMFD)
	case abi.IocWaitEvents:
		if x.waits++; x.waits > maxWaits {
			return syscall.EIO // ends a driver that would wait for ever
		}
	}
	var err error
	if x.ioctl != nil {
		err = x.ioctl(x, fd, nr, arg)
	} else {
		err = x.Machine.Ioctl(fd, nr, arg)
	}
	if nr == abi.IocCreateQueue && err == nil {
		x.args = *(*abi.CreateQueue)(arg)
	}
	return err
}

func (x *mutant) Mmap(fd int, off uint64, addr, n uintptr, prot, flags int) (uintptr, error) {
	if x.mmap != nil {
		return x.mmap(x, fd, off, addr, n, prot, flags)
	}
	return x.Machine.Mmap(fd, off, addr, n, prot, flags)
}

func (x *mutant) Munmap(addr, n uintptr) error {
	if x.unmap != nil {
		return x.unmap(x, addr, n)
	}
	return x.Machine.Munmap(addr, n)
}

func (x *mutant) Close(fd int) error {
	if x.shut != nil {
		return x.shut(x, fd)
	}
	return x.Machine.Close(fd)
}

func (x *mutant) Ring(bell *uint64, v uint64) {
	x.bell = bell
	if x.ring != nil {
		x.ring(x, v)
	} else {
		x.Machine.Ring(bell, v)
	}
	x.rung = v + 1
}

func (x *mutant) store(v uint64) { x.Machine.Ring(x.bell, v) }

func (x *mutant) queue() *abi.Queue {
	return (*abi.Queue)(sys.Pointer(uintptr(x.args.WritePtr - abi.QueueWriteOffset)))
}

// packets calls f with every packet that the doorbell is about to publish.
func (x *mutant) packets(v uint64, f func(p *abi.Packet)) {
	n := uint64(x.args.RingSize) / abi.PacketSize
	for id := x.rung; id <= v; id++ {
		f((*abi.Packet)(sys.Pointer(uintptr(x.args.Ring + id%n*abi.PacketSize))))
	}
}

// edit returns a mutant that changes packets of a type before the doorbell.
func edit(name string, kind uint16, f func(x *mutant, p *abi.Packet)) *mutant {
	return &mutant{name: name, ring: func(x *mutant, v uint64) {
		x.packets(v, func(p *abi.Packet) {
			if p.Header()&0xff == kind {
				f(x, p)
			}
		})
		x.store(v)
	}}
}

// scopes returns a mutant that changes scopes of fences of dispatches.
func scopes(name string, from, to uint16) *mutant {
	return edit(name, abi.PacketDispatch, func(_ *mutant, p *abi.Packet) {
		if p.Header() == from {
			p.SetHeader(to)
		}
	})
}

func dispatches(name string, f func(x *mutant, d *abi.Dispatch)) *mutant {
	return edit(name, abi.PacketDispatch, func(x *mutant, p *abi.Packet) { f(x, p.AsDispatch()) })
}

// signals returns a mutant that changes the completion signal of each packet.
func signals(name string, f func(x *mutant, s *abi.Signal)) *mutant {
	return &mutant{name: name, ring: func(x *mutant, v uint64) {
		x.packets(v, func(p *abi.Packet) {
			if c := p.Completion(); c != 0 {
				f(x, (*abi.Signal)(sys.Pointer(uintptr(c))))
			}
		})
		x.store(v)
	}}
}

// before returns a mutant that changes the argument of an ioctl.
func before[T any](name string, nr uint32, f func(x *mutant, a *T)) *mutant {
	return &mutant{name: name, ioctl: func(x *mutant, fd int, n uint32, arg unsafe.Pointer) error {
		if n == nr {
			f(x, (*T)(arg))
		}
		return x.Machine.Ioctl(fd, n, arg)
	}}
}

// without returns a mutant that does not make a call.
func without(name string, nr uint32) *mutant {
	return &mutant{name: name, ioctl: func(x *mutant, fd int, n uint32, arg unsafe.Pointer) error {
		if n == nr {
			return nil
		}
		return x.Machine.Ioctl(fd, n, arg)
	}}
}

// queueBuffer returns a mutant that changes amd_queue_t before the queue is created.
func queueBuffer(name string, f func(q *abi.Queue)) *mutant {
	return before(name, abi.IocCreateQueue, func(x *mutant, a *abi.CreateQueue) {
		f((*abi.Queue)(sys.Pointer(uintptr(a.WritePtr - abi.QueueWriteOffset))))
	})
}

func saveHeader(name string, f func(h *abi.CWSRHeader)) *mutant {
	return before(name, abi.IocCreateQueue, func(_ *mutant, a *abi.CreateQueue) {
		f((*abi.CWSRHeader)(sys.Pointer(uintptr(a.CtxSave))))
	})
}

// allocFlags returns a mutant that changes flags of a kind of memory.
func allocFlags(name string, kind, set, clear uint32) *mutant {
	return before(name, abi.IocAlloc, func(_ *mutant, a *abi.Alloc) {
		if a.Flags&kind != 0 {
			a.Flags = a.Flags&^clear | set
		}
	})
}

func bytesAt(at, n uint64) []byte { return unsafe.Slice((*byte)(sys.Pointer(uintptr(at))), n) }

// fences are mutants of packets' fences and of the instruction cache.
func fences() []*mutant {
	vendor := func(name string, f func(x *mutant, p *abi.Packet)) *mutant { return edit(name, abi.PacketVendor, f) }
	ib := func(name string, dword int, w uint32) *mutant {
		return vendor(name, func(_ *mutant, p *abi.Packet) {
			le.PutUint32(bytesAt(uint64(p[2])|uint64(p[3])<<32, 32)[4*dword:], w)
		})
	}
	return []*mutant{
		scopes("single launch without acquire", abi.HeaderDispatchSingle, 0x1102),
		scopes("single launch acquires for the agent", abi.HeaderDispatchSingle, abi.HeaderDispatchLast),
		scopes("single launch without release", abi.HeaderDispatchSingle, 0x0502),
		scopes("single launch releases to the agent", abi.HeaderDispatchSingle, abi.HeaderDispatchFirst),
		scopes("inner launch without acquire", abi.HeaderDispatchInner, 0x0902),
		scopes("inner launch without release", abi.HeaderDispatchInner, 0x0302),
		scopes("no barrier bit", abi.HeaderDispatchSingle, abi.HeaderDispatchSingle&^abi.HeaderBarrier),
		scopes("no barrier bit in a graph", abi.HeaderDispatchInner, abi.HeaderDispatchInner&^abi.HeaderBarrier),
		vendor("code without invalidation", func(_ *mutant, p *abi.Packet) {
			*p = (&abi.BarrierAnd{Header: abi.HeaderBarrierSystem, Completion: p.Completion()}).Packet()
		}),
		vendor("invalidation without acquire", func(_ *mutant, p *abi.Packet) { p.SetHeader(0x1100) }),
		ib("invalidation of instructions alone", 7, abi.GCRInvInstruction),
		ib("invalidation of all but instructions", 7, abi.GCRCode&^abi.GCRInvInstruction),
		ib("invalidation of a part of memory", 2, 0x1000),
		ib("another PM4 packet", 0, abi.Type3(abi.PM4NOP, 7)),
		{name: "PM4 is changed behind the doorbell", ring: func(x *mutant, v uint64) {
			x.store(v)
			x.packets(v, func(p *abi.Packet) {
				if p.Header() == abi.HeaderVendorSystem {
					le.PutUint32(bytesAt(uint64(p[2])|uint64(p[3])<<32, 4), abi.Type3(abi.PM4NOP, 7))
				}
			})
		}},
	}
}

// doorbellMutants are mutants of the order of stores.
func doorbellMutants() []*mutant {
	nothing := func(*mutant, uint64) {}
	return []*mutant{
		{name: "doorbell before index", ring: func(x *mutant, v uint64) {
			w := &x.queue().WriteDispatchID
			atomic.StoreUint64(w, x.rung)
			x.store(v)
			atomic.StoreUint64(w, v+1)
		}},
		{name: "index is never stored", ring: func(x *mutant, v uint64) {
			atomic.StoreUint64(&x.queue().WriteDispatchID, 0)
			x.store(v)
		}},
		{name: "index wraps with the ring", ring: func(x *mutant, v uint64) {
			atomic.StoreUint64(&x.queue().WriteDispatchID, (v+1)%64)
			x.store(v)
		}},
		{name: "doorbell is the index", ring: func(x *mutant, v uint64) { x.store(v + 1) }},
		{name: "doorbell is the packet before", ring: func(x *mutant, v uint64) { x.store(v - 1) }},
		{name: "doorbell in bytes", ring: func(x *mutant, v uint64) { x.store(v * 64) }},
		{name: "doorbell wraps with the ring", ring: func(x *mutant, v uint64) { x.store(v % 64) }},
		{name: "no doorbell", ring: nothing},
		{name: "doorbell by an exchange", ring: func(x *mutant, v uint64) { atomic.StoreUint64(x.bell, v) }},
		{name: "doorbell of another queue", ring: func(x *mutant, v uint64) {
			x.Machine.Ring((*uint64)(unsafe.Add(unsafe.Pointer(x.bell), 8)), v)
		}},
		{name: "header behind the doorbell", ring: func(x *mutant, v uint64) {
			var heads []uint32
			x.packets(v, func(p *abi.Packet) {
				heads = append(heads, p[0])
				p[0] = uint32(abi.HeaderInvalid)
			})
			x.store(v)
			i := 0
			x.packets(v, func(p *abi.Packet) { p[0] = heads[i]; i++ })
		}},
		{name: "body behind the header", ring: func(x *mutant, v uint64) {
			var all []abi.Packet
			x.packets(v, func(p *abi.Packet) {
				all = append(all, *p)
				*p = abi.Packet{p[0]}
			})
			x.store(v)
			i := 0
			x.packets(v, func(p *abi.Packet) { *p = all[i]; i++ })
		}},
		{name: "packet is changed behind the doorbell", ring: func(x *mutant, v uint64) {
			x.store(v)
			x.packets(v, func(p *abi.Packet) { p[15]++ })
		}},
		{name: "ring overrun", ring: func(x *mutant, v uint64) {
			x.store(v)
			atomic.StoreUint64(&x.queue().ReadDispatchID, v+1)
		}},
	}
}

// packetMutants are mutants of what packets say.
func packetMutants() []*mutant {
	return []*mutant{
		dispatches("one dimension", func(_ *mutant, d *abi.Dispatch) { d.Setup = 1 }),
		dispatches("grid in blocks", func(_ *mutant, d *abi.Dispatch) { d.GridX /= uint32(d.GroupX) }),
		dispatches("grid without z", func(_ *mutant, d *abi.Dispatch) { d.GridZ = 0 }),
		dispatches("grid of one block more", func(_ *mutant, d *abi.Dispatch) { d.GridX += uint32(d.GroupX) - 1 }),
		dispatches("scratch", func(_ *mutant, d *abi.Dispatch) { d.PrivateSize = 64 }),
		dispatches("LDS", func(_ *mutant, d *abi.Dispatch) { d.GroupSize = 70000 }),
		dispatches("reserved field", func(_ *mutant, d *abi.Dispatch) { d.Reserved1 = d.Kernarg }),
		dispatches("descriptor of the next kernel's place", func(_ *mutant, d *abi.Dispatch) { d.KernelObject += 32 }),
		dispatches("entry in place of the descriptor", func(_ *mutant, d *abi.Dispatch) { d.KernelObject += 0x1000 }),
		dispatches("arguments in the next slot", func(_ *mutant, d *abi.Dispatch) { d.Kernarg += 64 }),
		dispatches("arguments without alignment", func(_ *mutant, d *abi.Dispatch) { d.Kernarg += 16 }),
		dispatches("no completion", func(_ *mutant, d *abi.Dispatch) { d.Completion = 0 }),
		edit("no completion of a barrier", abi.PacketBarrierAnd, func(_ *mutant, p *abi.Packet) { p.SetCompletion(0) }),
		edit("barrier that depends on itself", abi.PacketBarrierAnd, func(_ *mutant, p *abi.Packet) {
			p.AsBarrier().Deps[0] = p.Completion()
		}),
		edit("vendor packet of another format", abi.PacketVendor, func(_ *mutant, p *abi.Packet) { p[0] += 1 << 16 }),
		edit("indirect buffer too long", abi.PacketVendor, func(_ *mutant, p *abi.Packet) { p[4]++ }),
		dispatches("agent dispatch", func(_ *mutant, d *abi.Dispatch) { d.Header += 2 }),
		{name: "arguments are reused early", ring: func(x *mutant, v uint64) {
			x.store(v)
			x.packets(v, func(p *abi.Packet) {
				if d := p.AsDispatch(); d.Header&0xff == abi.PacketDispatch {
					if b := x.Machine.gpus[0].find(d.Kernarg); b != nil && b.mem != nil {
						bytesAt(d.Kernarg, 8)[1]++
					}
				}
			})
		}},
		{name: "signal of the packet before", ring: func(x *mutant, v uint64) {
			x.packets(v, func(p *abi.Packet) {
				if c := p.Completion(); c != 0 && x.count < 40 {
					if last, ok := x.saved.(uint64); ok && x.count > 20 {
						p.SetCompletion(last)
					}
					x.saved = c
					x.count++
				}
			})
			x.store(v)
		}},
		signals("signal is not armed", func(_ *mutant, s *abi.Signal) { s.Value = 0 }),
		signals("signal of two", func(_ *mutant, s *abi.Signal) { s.Value = 2 }),
		signals("signal of another kind", func(_ *mutant, s *abi.Signal) { s.Kind = 0 }),
		signals("mailbox of another slot", func(_ *mutant, s *abi.Signal) {
			if s.Mailbox != 0 {
				s.Mailbox += 8
			}
		}),
		signals("mailbox without event", func(_ *mutant, s *abi.Signal) {
			if s.Mailbox != 0 {
				s.EventID = 0
			}
		}),
		{name: "does not wait for completion", ring: func(x *mutant, v uint64) {
			x.store(v)
			x.packets(v, func(p *abi.Packet) {
				if c := p.Completion(); c != 0 {
					(*abi.Signal)(sys.Pointer(uintptr(c))).Value = 0
				}
			})
		}},
	}
}

// queueMutants are mutants of CREATE_QUEUE and what it reads.
func queueMutants() []*mutant {
	create := func(name string, f func(x *mutant, a *abi.CreateQueue)) *mutant {
		return before(name, abi.IocCreateQueue, f)
	}
	return []*mutant{
		create("control stack too large", func(_ *mutant, a *abi.CreateQueue) { a.CtlStackSize += 4096 }),
		create("save area too small", func(_ *mutant, a *abi.CreateQueue) { a.CtxSaveSize -= 4096 }),
		create("save area without debug area", func(_ *mutant, a *abi.CreateQueue) { a.CtxSaveSize += 98304 }),
		create("EOP buffer too small", func(_ *mutant, a *abi.CreateQueue) { a.EOPSize = 256 }),
		create("PM4 queue", func(_ *mutant, a *abi.CreateQueue) { a.Type = abi.QueueCompute }),
		create("half of the ring", func(_ *mutant, a *abi.CreateQueue) { a.RingSize /= 2 }),
		create("pointers exchanged", func(_ *mutant, a *abi.CreateQueue) { a.ReadPtr, a.WritePtr = a.WritePtr, a.ReadPtr }),
		create("part of a queue", func(_ *mutant, a *abi.CreateQueue) { a.Percentage = 50 }),
		saveHeader("save area without header", func(h *abi.CWSRHeader) { *h = abi.CWSRHeader{} }),
		saveHeader("debug area elsewhere", func(h *abi.CWSRHeader) { h.DebugOffset -= 4096 }),
		queueBuffer("read index elsewhere", func(q *abi.Queue) { q.ReadOffset = abi.QueueWriteOffset }),
		queueBuffer("size in bytes", func(q *abi.Queue) { q.Size *= abi.PacketSize }),
		queueBuffer("no profiling", func(q *abi.Queue) { q.Properties = abi.QueuePropertyPtr64 }),
		queueBuffer("apertures forgotten", func(q *abi.Queue) { q.GroupApertureHi = 0 }),
		create("ring of zeros", func(_ *mutant, a *abi.CreateQueue) { clear(bytesAt(a.Ring, uint64(a.RingSize))) }),
		without("queue is not destroyed", abi.IocDestroyQueue),
		{name: "ring is unmapped before the queue ends", ioctl: func(x *mutant, fd int, nr uint32, p unsafe.Pointer) error {
			if nr == abi.IocDestroyQueue {
				for _, b := range x.Machine.gpus[0].maps {
					if b.va == x.args.Ring {
						id := x.args.GPUID
						_ = x.Machine.Ioctl(fd, abi.IocUnmap, unsafe.Pointer(&abi.Map{Handle: b.handle,
							IDs: uint64(uintptr(unsafe.Pointer(&id))), N: 1}))
					}
				}
			}
			return x.Machine.Ioctl(fd, nr, p)
		}},
		without("errors of queues are not asked for", abi.IocRuntimeEnable),
		before("errors of queues in another mode", abi.IocRuntimeEnable, func(_ *mutant, a *abi.RuntimeEnableArgs) {
			a.Mode *= 2
		}),
	}
}

// memoryMutants are mutants of memory, files and events.
func memoryMutants() []*mutant {
	mmap := func(name string, f func(x *mutant, fd *int, addr, n *uintptr, prot, flags *int)) *mutant {
		return &mutant{name: name, mmap: func(x *mutant, fd int, off uint64, addr, n uintptr, prot, flags int) (uintptr,
			error) {
			f(x, &fd, &addr, &n, &prot, &flags)
			return x.Machine.Mmap(fd, off, addr, n, prot, flags)
		}}
	}
	return []*mutant{
		allocFlags("device memory cannot be executed", abi.MemVRAM, 0, abi.MemExecutable),
		allocFlags("device memory cannot be written", abi.MemVRAM, 0, abi.MemWritable),
		allocFlags("shared memory is cached", abi.MemGTT, 0, abi.MemUncached),
		allocFlags("shared memory is not coherent", abi.MemGTT, 0, abi.MemCoherent),
		allocFlags("device memory is public", abi.MemVRAM, abi.MemPublic, 0),
		allocFlags("rings are mapped twice", abi.MemGTT, abi.MemAQLQueue, 0),
		allocFlags("shared memory in place of device memory", abi.MemVRAM, abi.MemGTT, abi.MemVRAM),
		without("memory is not unmapped", abi.IocUnmap),
		without("memory is not freed", abi.IocFree),
		without("memory is not mapped", abi.IocMap),
		before("mapped to nobody", abi.IocMap, func(_ *mutant, a *abi.Map) { a.N = 0 }),
		before("count of what is mapped", abi.IocMap, func(_ *mutant, a *abi.Map) { a.NSuccess = 1 }),
		before("memory at another address", abi.IocAlloc, func(_ *mutant, a *abi.Alloc) { a.VA += 1 << 30 }),
		{name: "addresses go back before the GPU's mapping", ioctl: func(x *mutant, fd int, nr uint32,
			p unsafe.Pointer) error {
			if nr == abi.IocUnmap {
				b := x.Machine.proc.bos[(*abi.Map)(p).Handle]
				_ = x.Machine.Munmap(uintptr(b.va), uintptr(pages(b.size)))
			}
			return x.Machine.Ioctl(fd, nr, p)
		}, unmap: func(*mutant, uintptr, uintptr) error { return nil }},
		{name: "addresses are never given back", unmap: func(*mutant, uintptr, uintptr) error { return nil }},
		mmap("addresses are charged as memory", func(_ *mutant, _ *int, _, _ *uintptr, _, flags *int) {
			*flags &^= syscall.MAP_NORESERVE
		}),
		mmap("host's view is private", func(_ *mutant, fd *int, _, _ *uintptr, _, flags *int) {
			if *fd >= 0 {
				*flags = *flags&^syscall.MAP_SHARED | syscall.MAP_PRIVATE
			}
		}),
		mmap("host's view is elsewhere", func(_ *mutant, fd *int, at, _ *uintptr, _, flags *int) {
			if *fd >= 0 {
				*at, *flags = 0, *flags&^syscall.MAP_FIXED
			}
		}),
		mmap("host's view by another file", func(x *mutant, fd *int, _, _ *uintptr, _, _ *int) {
			if *fd == x.drm {
				*fd, _ = x.Machine.Open(x.Machine.RenderPath(0), syscall.O_RDWR)
			}
		}),
		mmap("half of the doorbells", func(_ *mutant, _ *int, _, n *uintptr, _, _ *int) {
			if *n == abi.DoorbellWindow {
				*n /= 2
			}
		}),
		without("VM is not acquired", abi.IocAcquireVM),
		before("VM of no render node", abi.IocAcquireVM, func(_ *mutant, a *abi.AcquireVM) { a.DRMFD-- }),
		before("event before the page", abi.IocCreateEvent, func(_ *mutant, a *abi.CreateEvent) { a.PageOffset = 0 }),
		before("events of an obsolete type", abi.IocCreateEvent, func(_ *mutant, a *abi.CreateEvent) {
			if a.Type == abi.EventMemory {
				a.Type = 5
			}
		}),
		before("event page too large", abi.IocAlloc, func(x *mutant, a *abi.Alloc) {
			if x.count++; x.count == 1 {
				a.Size += 4096
			}
		}),
		without("events are not destroyed", abi.IocDestroyEvent),
		before("records of exceptions are not cleared", abi.IocWaitEvents, func(_ *mutant, a *abi.WaitEvents) {
			for i := range a.N {
				r := (*abi.EventData)(sys.Pointer(uintptr(a.Ptr) + uintptr(i)*unsafe.Sizeof(abi.EventData{})))
				if r.EventID >= firstOtherID {
					r.Data[3] = 1
				}
			}
		}),
		before("waits for an event that is none", abi.IocWaitEvents, func(_ *mutant, a *abi.WaitEvents) {
			(*abi.EventData)(sys.Pointer(uintptr(a.Ptr))).EventID = 4000
		}),
		{name: "interrupted calls begin anew", ioctl: func(x *mutant, fd int, nr uint32, p unsafe.Pointer) error {
			if nr != abi.IocMap {
				return x.Machine.Ioctl(fd, nr, p)
			}
			if x.count++; x.count == 1 {
				x.Machine.Inject(Fault{At: AtMap, Err: syscall.EINTR, Partial: true})
			}
			err := x.Machine.Ioctl(fd, nr, p)
			if err == syscall.EINTR {
				(*abi.Map)(p).NSuccess = 0
			}
			return err
		}},
		{name: "files stay open", shut: func(*mutant, int) error { return nil }},
		{name: "files are closed twice", shut: func(x *mutant, fd int) error {
			_ = x.Machine.Close(fd)
			return x.Machine.Close(fd)
		}},
	}
}

// survives runs the scenario with a mutant and returns how it was caught, "" if it was not: by a broken rule, by an
// error, by a fault of the host, or by what it leaves.
func survives(x *mutant) (how string) {
	err := x.scenario()
	left := ""
	for _, v := range x.Shutdown() {
		if v.Rule != "leak" && v.Rule != "close-live" {
			return "violation: " + v.String()
		}
		left = "left over: " + v.String()
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return left
}

func (x *mutant) scenario() (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the host faults: %v", p)
		}
	}()
	return runWith(x, x.cfg.GPUs[0].Target, x.opt)
}

// mutants runs the scenario with the right driver and with each of the wrong ones, which must be caught: by a broken
// rule, or by what they do.
func mutants(t *testing.T, list []*mutant) {
	mutantsOn(t, Config{GPUs: []GPU{Card("gfx1100")}}, drv.Options{}, list)
}

// mutantsOn is mutants on another machine, with options of the driver.
func mutantsOn(t *testing.T, cfg Config, o drv.Options, list []*mutant) {
	cfg.Manual, cfg.Code = true, NewCodeCache()
	if how := survives(&mutant{Machine: New(cfg), opt: o}); how != "" {
		t.Fatalf("the driver itself is caught: %s", how)
	}
	by := map[string]int{}
	for _, x := range list {
		x.Machine, x.opt = New(cfg), o
		how := survives(x)
		if how == "" {
			t.Errorf("%s: not caught", x.name)
			continue
		}
		kind, _, _ := strings.Cut(how, ":")
		by[kind]++
		t.Logf("%-46s %s", x.name, how)
		if x.waits > maxWaits {
			t.Errorf("%s: the driver waits without end", x.name)
		}
	}
	t.Logf("%d mutants: %v", len(list), by)
}

func allMutants() []*mutant {
	return slices.Concat(fences(), doorbellMutants(), packetMutants(), queueMutants(), memoryMutants())
}

// Some of the mutants; the rest of them takes longer.
func TestSomeMutants(t *testing.T) {
	var list []*mutant
	for i, x := range allMutants() {
		if i%15 == 1 {
			list = append(list, x)
		}
	}
	mutants(t, list)
}

func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves most mutants of the driver to make long")
	}
	mutants(t, allMutants())
}
