//go:build linux

package fake

import (
	"errors"
	"syscall"
	"testing"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
)

// client is a process that does by hand what a driver does, right unless a test says otherwise.
type client struct {
	t      testing.TB
	m      *Machine
	kfd    int
	drm    int
	gpu    uint32
	page   buf // of events
	event  uint32
	slot   uint32
	errs   buf // a signal, and the word for errors behind it
	sigs   buf
	queue  *abi.Queue
	args   abi.CreateQueue
	ring   buf
	qpage  buf
	eop    buf
	save   buf
	bell   *uint64
	window uintptr
	write  uint64
}

// buf is a buffer.
type buf struct {
	va, handle, size uint64
	host             bool
}

func (b buf) bytes() []byte { return unsafe.Slice((*byte)(sys.Pointer(uintptr(b.va))), b.size) }

func (c *client) must(what string, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
}

// call issues an ioctl.
func call[T any](c *client, nr uint32, a *T) error { return c.m.Ioctl(c.kfd, nr, unsafe.Pointer(a)) }

func newMachine(t testing.TB, cfg Config) *Machine {
	if cfg.GPUs == nil {
		cfg.GPUs = []GPU{Card("gfx1100")}
	}
	m := New(cfg)
	t.Cleanup(func() { m.Shutdown() })
	return m
}

// newClient opens files.
func newClient(t testing.TB, m *Machine) *client {
	c := &client{t: t, m: m, gpu: m.GPUID(0)}
	var err error
	c.kfd, err = m.Open("/dev/kfd", syscall.O_RDWR)
	c.must("open kfd", err)
	c.drm, err = m.Open(m.RenderPath(0), syscall.O_RDWR)
	c.must("open render node", err)
	return c
}

func (c *client) acquire() {
	c.t.Helper()
	c.must("ACQUIRE_VM", call(c, abi.IocAcquireVM, &abi.AcquireVM{DRMFD: uint32(c.drm), GPUID: c.gpu}))
}

func (c *client) reserve(n uint64) uint64 {
	c.t.Helper()
	p, err := c.m.Mmap(-1, 0, 0, uintptr(n), syscall.PROT_NONE,
		syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS|syscall.MAP_NORESERVE)
	c.must("reserve", err)
	return uint64(p)
}

// alloc allocates, maps for the host if it is to, and maps to the GPU.
func (c *client) alloc(n uint64, flags uint32) buf {
	c.t.Helper()
	b := buf{va: c.reserve(pages(n)), size: n, host: flags&abi.MemGTT != 0}
	a := abi.Alloc{VA: b.va, Size: n, GPUID: c.gpu, Flags: flags}
	c.must("ALLOC", call(c, abi.IocAlloc, &a))
	b.handle = a.Handle
	if b.host {
		_, err := c.m.Mmap(c.drm, a.MmapOffset, uintptr(b.va), uintptr(pages(n)), syscall.PROT_READ|syscall.PROT_WRITE,
			syscall.MAP_SHARED|syscall.MAP_FIXED)
		c.must("mmap", err)
	}
	c.must("MAP", c.mapTo(b, abi.IocMap, c.gpu))
	return b
}

func (c *client) mapTo(b buf, nr uint32, ids ...uint32) error {
	return call(c, nr, &abi.Map{Handle: b.handle, IDs: uint64(uintptr(unsafe.Pointer(&ids[0]))), N: uint32(len(ids))})
}

func (c *client) free(b buf) {
	c.t.Helper()
	c.must("UNMAP", c.mapTo(b, abi.IocUnmap, c.gpu))
	c.must("munmap", c.m.Munmap(uintptr(b.va), uintptr(pages(b.size))))
	c.must("FREE", call(c, abi.IocFree, &abi.Free{Handle: b.handle}))
}

func (c *client) createEvent(kind uint32) (uint32, error) {
	a := abi.CreateEvent{Type: kind, AutoReset: 1}
	err := call(c, abi.IocCreateEvent, &a)
	return a.EventID, err
}

// ready brings everything up to the queue's buffers; CREATE_QUEUE follows.
func (c *client) ready() {
	c.t.Helper()
	c.acquire()
	c.must("RUNTIME_ENABLE", call(c, abi.IocRuntimeEnable, &abi.RuntimeEnableArgs{Mode: abi.RuntimeEnable}))
	c.page = c.alloc(abi.EventPageSize, abi.HostFlags)
	a := abi.CreateEvent{PageOffset: c.page.handle, AutoReset: 1}
	c.must("CREATE_EVENT", call(c, abi.IocCreateEvent, &a))
	c.event, c.slot = a.EventID, a.Slot
	c.sigs = c.alloc(64*abi.SignalSize, abi.HostFlags)
	c.errs = c.alloc(4096, abi.HostFlags)
	inactive := (*abi.Signal)(sys.Pointer(uintptr(c.errs.va)))
	*inactive = abi.Signal{Kind: abi.SignalUser, Mailbox: c.page.va + 8*uint64(c.event), EventID: c.event}

	g := c.m.gpus[0]
	size := g.cwsr()
	c.ring = c.alloc(64*abi.PacketSize, abi.HostFlags)
	for i := range 64 {
		le.PutUint32(c.ring.bytes()[i*abi.PacketSize:], uint32(abi.HeaderInvalid))
	}
	c.qpage = c.alloc(4096, abi.HostFlags)
	c.eop = c.alloc(4096, abi.DeviceFlags)
	c.save = c.alloc(size.Buffer, abi.HostFlags)
	*(*abi.CWSRHeader)(sys.Pointer(uintptr(c.save.va))) = abi.CWSRHeader{DebugOffset: size.Save, DebugSize: size.Debug,
		ErrPayload: c.errs.va + 64, ErrEventID: c.event}
	c.queue = (*abi.Queue)(sys.Pointer(uintptr(c.qpage.va)))
	*c.queue = abi.Queue{Features: 1, Base: c.ring.va, Size: 64, GroupApertureHi: 0x10000, PrivateApertureHi: 0x20000,
		MaxCUID: uint32(g.spec.CUs) - 1, MaxWaveID: 31, ReadOffset: 0x80, Properties: 0xa, InactiveSignal: c.errs.va}
	c.args = abi.CreateQueue{Ring: c.ring.va, WritePtr: c.qpage.va + 0x38, ReadPtr: c.qpage.va + 0x80,
		RingSize: uint32(c.ring.size), GPUID: c.gpu, Type: abi.QueueComputeAQL, Percentage: 100, Priority: 7, EOP: c.eop.va,
		EOPSize: 4096, CtxSave: c.save.va, CtxSaveSize: size.Save, CtlStackSize: size.Ctl}
}

// start creates the queue and maps its doorbell.
func (c *client) start() {
	c.t.Helper()
	c.must("CREATE_QUEUE", call(c, abi.IocCreateQueue, &c.args))
	p, err := c.m.Mmap(c.kfd, c.args.DoorbellOffset&^0x1fff, 0, 8192, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED)
	c.must("mmap doorbells", err)
	c.window = p
	c.bell = (*uint64)(sys.Pointer(p + uintptr(c.args.DoorbellOffset&0x1fff)))
}

// stop destroys the queue and frees everything.
func (c *client) stop() {
	c.t.Helper()
	c.must("DESTROY_QUEUE", call(c, abi.IocDestroyQueue, &abi.DestroyQueue{QueueID: c.args.QueueID}))
	for _, b := range []buf{c.ring, c.qpage, c.eop, c.save, c.sigs, c.errs} {
		c.free(b)
	}
	c.must("DESTROY_EVENT", call(c, abi.IocDestroyEvent, &abi.EventID{ID: c.event}))
	c.must("munmap doorbells", c.m.Munmap(c.window, 8192))
	c.must("RUNTIME_ENABLE", call(c, abi.IocRuntimeEnable, &abi.RuntimeEnableArgs{}))
	c.must("close", c.m.Close(c.drm))
	c.must("close", c.m.Close(c.kfd))
}

// signal returns signal i, fresh.
func (c *client) signal(i int) (*abi.Signal, uint64) {
	at := c.sigs.va + uint64(i)*abi.SignalSize
	s := (*abi.Signal)(sys.Pointer(uintptr(at)))
	*s = abi.Signal{Kind: abi.SignalUser, Value: 1, Mailbox: c.page.va + 8*uint64(c.event), EventID: c.event}
	return s, at
}

// put writes a packet to its slot.
func (c *client) put(p abi.Packet) {
	*(*abi.Packet)(sys.Pointer(uintptr(c.ring.va + c.write%64*abi.PacketSize))) = p
	c.write++
}

// submit publishes what was put.
func (c *client) submit() {
	c.queue.WriteDispatchID = c.write
	c.m.Ring(c.bell, c.write-1)
}

// wait waits for the queue's event, and returns the result of the call.
func (c *client) wait(ms uint32) uint32 {
	c.t.Helper()
	d := abi.EventData{EventID: c.event}
	a := abi.WaitEvents{Ptr: uint64(uintptr(unsafe.Pointer(&d))), N: 1, TimeoutMS: ms}
	c.must("WAIT_EVENTS", call(c, abi.IocWaitEvents, &a))
	return a.Result
}

// expect demands that an error is want, which may be 0.
func expect(t testing.TB, what string, err error, want syscall.Errno) {
	t.Helper()
	if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// tripped demands that exactly the rules were broken, if any.
func tripped(t testing.TB, m *Machine, rules ...string) {
	t.Helper()
	got := m.Violations()
	seen := map[string]bool{}
	for _, v := range got {
		seen[v.Rule] = true
	}
	for _, r := range rules {
		if !seen[r] {
			t.Errorf("no violation of %q; there are %v", r, got)
		}
		delete(seen, r)
	}
	for r := range seen {
		t.Errorf("unexpected violation of %q: %v", r, got)
	}
}

// addr returns the address of memory outside of the Go heap.
func addr(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }
