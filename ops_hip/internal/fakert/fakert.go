package fakert

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
)

// Kernel computes a whole grid. args is the packed argument block; Floats reads device memory.
type Kernel func(rt *Runtime, grid, block [3]uint32, args []byte)

// Runtime is the fake. Its exported fields may be set before it is used.
type Runtime struct {
	Props   []hiprt.Properties // one per device
	Kind    string             // "hip" if empty
	Ver     hiprt.Version
	Known   []string // what Notes says
	Kernels map[string]Kernel
	Limit   int64 // bytes that can be allocated; 0 for no limit

	// SharedArgs lets graphs run each kernel with the arguments that any graph captured of it last, as HIP 5 did.
	SharedArgs bool

	// Reported, where set, is what MemInfo says instead of the truth: free and total.
	Reported *[2]int64

	Shared *hiprt.SharedMemory // of all devices; nil if nothing is known

	// Fail makes the call with this name fail, once for each entry of the slice; nil entries succeed.
	Fail map[string][]error

	mu      sync.Mutex
	calls   []string
	next    uintptr // handles
	mem     map[hiprt.Ptr][]byte
	used    int64
	host    map[*byte]bool
	modules map[hiprt.Module]bool
	funcs   map[hiprt.Func]string
	streams map[hiprt.Stream]*queue
	events  map[hiprt.Event]*mark
	graphs  map[hiprt.Graph][]launch

	captured map[string]launch // by kernel, the last
}

// queue is work that waits for a synchronization.
type queue struct {
	work    []func()
	issued  int // works that were ever enqueued
	done    int // of them
	capture bool
	record  []launch
}

// mark is the point in a queue at which an event happens.
type mark struct {
	q    *queue
	upto int // works of q
}

// run does the work of a queue up to its n-th.
func (q *queue) run(n int) {
	for q.done < n && len(q.work) > 0 {
		f := q.work[0]
		q.work, q.done = q.work[1:], q.done+1
		f()
	}
}

// launch is a prepared launch as a graph keeps it: arguments are copied, as real runtimes do.
type launch struct {
	name        string
	grid, block [3]uint32
	args        []byte
}

// poison fills memory that nobody has written.
const poison = 0xff

var poisoned = [4096]byte(bytes.Repeat([]byte{poison}, 4096))

// New returns a runtime with one device of the given target.
func New(target string, kernels map[string]Kernel) *Runtime {
	return &Runtime{Props: []hiprt.Properties{{Name: "fake", Target: target, Memory: 1 << 30, Wave: 32, CUs: 4}},
		Kernels: kernels,
		Ver:     hiprt.Version{Major: 7}, Fail: map[string][]error{},
		mem: map[hiprt.Ptr][]byte{}, host: map[*byte]bool{}, modules: map[hiprt.Module]bool{},
		funcs:   map[hiprt.Func]string{},
		streams: map[hiprt.Stream]*queue{}, events: map[hiprt.Event]*mark{}, graphs: map[hiprt.Graph][]launch{},
		captured: map[string]launch{}}
}

// call records a call and returns the error planned for it. The caller holds the lock.
func (r *Runtime) call(name string) error {
	r.calls = append(r.calls, name)
	if f := r.Fail[name]; len(f) > 0 {
		r.Fail[name] = f[1:]
		return f[0]
	}
	return nil
}

// Calls returns the names of the calls since the last time, and forgets them.
func (r *Runtime) Calls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.calls
	r.calls = nil
	return c
}

// Live returns how many objects exist: memory, host memory, modules, streams, events and graphs.
func (r *Runtime) Live() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mem) + len(r.host) + len(r.modules) + len(r.streams) + len(r.events) + len(r.graphs)
}

// handle returns a new handle, which is no valid address.
func (r *Runtime) handle() uintptr {
	r.next++
	return r.next
}

// Bytes returns n bytes of device memory at p. It panics outside of allocations, which is what a kernel deserves.
func (r *Runtime) Bytes(p hiprt.Ptr, n int) []byte {
	for base, m := range r.mem {
		if p >= base && int(p-base)+n <= len(m) {
			return m[p-base:][:n]
		}
	}
	panic(fmt.Sprintf("fakert: %d bytes at %#x are not allocated", n, uintptr(p)))
}

// Floats returns n float32 of device memory at p.
func (r *Runtime) Floats(p hiprt.Ptr, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(&r.Bytes(p, 4*n)[0])), n)
}

// Name returns Kind.
func (r *Runtime) Name() string {
	if r.Kind == "" {
		return "hip"
	}
	return r.Kind
}

// Library names no file.
func (r *Runtime) Library() string { return "libfake.so" }

// Version returns Ver.
func (r *Runtime) Version() hiprt.Version { return r.Ver }
func (r *Runtime) Notes() []string        { return r.Known }

// Devices returns len(Props).
func (r *Runtime) Devices() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.call("Devices"); err != nil {
		return 0, err
	}
	if len(r.Props) == 0 {
		return 0, hiprt.ErrNoDevice
	}
	return len(r.Props), nil
}

// Properties returns Props[dev].
func (r *Runtime) Properties(dev int) (hiprt.Properties, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Props[dev], r.call("Properties")
}

// Use does nothing.
func (r *Runtime) Use(int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.call("Use")
}

// MemInfo counts against Limit, or says what it is told to.
func (r *Runtime) MemInfo(int) (free, total int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.call("MemInfo")
	if r.Reported != nil {
		return r.Reported[0], r.Reported[1], err
	}
	return r.Limit - r.used, r.Limit, err
}

// SharedMemory returns Shared.
func (r *Runtime) SharedMemory(int) (hiprt.SharedMemory, bool) {
	if r.Shared == nil {
		return hiprt.SharedMemory{}, false
	}
	return *r.Shared, true
}

// Malloc returns poisoned memory.
func (r *Runtime) Malloc(n int64) (hiprt.Ptr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.call("Malloc"); err != nil {
		return 0, err
	}
	if r.Limit > 0 && r.used+n > r.Limit {
		return 0, &hiprt.Error{Call: "fakeMalloc", Code: 2, Name: "fakeErrorOutOfMemory", Meaning: "out of memory",
			Cause: hiprt.ErrOutOfMemory}
	}
	m := bytes.Repeat([]byte{poison}, int(n))
	p := hiprt.Ptr(unsafe.Pointer(unsafe.SliceData(m)))
	r.mem[p] = m
	r.used += n
	return p, nil
}

// Free releases memory.
func (r *Runtime) Free(p hiprt.Ptr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mem[p] == nil {
		return fmt.Errorf("fakert: free of %#x", uintptr(p))
	}
	r.used -= int64(len(r.mem[p]))
	delete(r.mem, p)
	return r.call("Free")
}

// HostAlloc returns poisoned memory.
func (r *Runtime) HostAlloc(n int64) (hiprt.Host, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.call("HostAlloc"); err != nil {
		return hiprt.Host{}, err
	}
	m := bytes.Repeat([]byte{poison}, int(n))
	r.host[&m[0]] = true
	return hiprt.Host{Bytes: m, Addr: hiprt.Ptr(unsafe.Pointer(&m[0]))}, nil
}

// HostFree releases memory and poisons it.
func (r *Runtime) HostFree(h hiprt.Host) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.host[&h.Bytes[0]] {
		return errors.New("fakert: free of unknown host memory")
	}
	delete(r.host, &h.Bytes[0])
	for b := h.Bytes; len(b) > 0; {
		b = b[copy(b, poisoned[:]):]
	}
	return r.call("HostFree")
}

// enqueue adds work to a stream.
func (r *Runtime) enqueue(s hiprt.Stream, name string, f func()) error {
	if err := r.call(name); err != nil {
		return err
	}
	q := r.streams[s]
	if q == nil {
		return fmt.Errorf("fakert: %s on unknown stream %d", name, s)
	}
	if q.capture {
		return fmt.Errorf("fakert: %s while capturing", name)
	}
	q.work, q.issued = append(q.work, f), q.issued+1
	return nil
}

// CopyToDevice copies at the next synchronization.
func (r *Runtime) CopyToDevice(dst hiprt.Ptr, src []byte, s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.enqueue(s, "CopyToDevice", func() { copy(r.Bytes(dst, len(src)), src) })
}

// CopyToHost copies at the next synchronization.
func (r *Runtime) CopyToHost(dst []byte, src hiprt.Ptr, s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.enqueue(s, "CopyToHost", func() { copy(dst, r.Bytes(src, len(dst))) })
}

// Memset fills at the next synchronization.
func (r *Runtime) Memset(dst hiprt.Ptr, value byte, n int64, s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.enqueue(s, "Memset", func() {
		b := r.Bytes(dst, int(n))
		for i := range b {
			b[i] = value
		}
	})
}

// CopyOnDevice copies at the next synchronization.
func (r *Runtime) CopyOnDevice(dst, src hiprt.Ptr, n int64, s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.enqueue(s, "CopyOnDevice", func() { copy(r.Bytes(dst, int(n)), r.Bytes(src, int(n))) })
}

// CopyPeer copies at the next synchronization, between devices of Props.
func (r *Runtime) CopyPeer(dst hiprt.Ptr, dstDev int, src hiprt.Ptr, srcDev int, n int64, s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if dstDev < 0 || srcDev < 0 || dstDev >= len(r.Props) || srcDev >= len(r.Props) {
		return fmt.Errorf("fakert: copy from device %d to %d of %d", srcDev, dstDev, len(r.Props))
	}
	return r.enqueue(s, "CopyPeer", func() { copy(r.Bytes(dst, int(n)), r.Bytes(src, int(n))) })
}

// LoadModule accepts anything.
func (r *Runtime) LoadModule([]byte) (hiprt.Module, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.call("LoadModule"); err != nil {
		return 0, err
	}
	m := hiprt.Module(r.handle())
	r.modules[m] = true
	return m, nil
}

// UnloadModule forgets a module.
func (r *Runtime) UnloadModule(m hiprt.Module) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.modules, m)
	return r.call("UnloadModule")
}

// Function finds a kernel by name.
func (r *Runtime) Function(_ hiprt.Module, name string) (hiprt.Func, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.call("Function"); err != nil {
		return 0, err
	}
	if r.Kernels[name] == nil {
		return 0, fmt.Errorf("fakert: no kernel %s", name)
	}
	f := hiprt.Func(r.handle())
	r.funcs[f] = name
	return f, nil
}

// Prepare copies the arguments; Launch reads them from there.
func (r *Runtime) Prepare(l *hiprt.Launch, mem []byte) {
	n := copy(mem, l.Args)
	l.Args = mem[:n]
}

// Launch runs the kernel at the next synchronization.
func (r *Runtime) Launch(l *hiprt.Launch, s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := launch{r.funcs[l.Func], l.Grid, l.Block, append([]byte(nil), l.Args...)}
	if q := r.streams[s]; q != nil && q.capture {
		q.record = append(q.record, x)
		return r.call("Launch")
	}
	return r.enqueue(s, "Launch", func() { r.run(x) })
}

func (r *Runtime) run(x launch) { r.Kernels[x.name](r, x.grid, x.block, x.args) }

// NewStream returns a queue.
func (r *Runtime) NewStream() (hiprt.Stream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.call("NewStream"); err != nil {
		return 0, err
	}
	s := hiprt.Stream(r.handle())
	r.streams[s] = &queue{}
	return s, nil
}

// CloseStream forgets a queue.
func (r *Runtime) CloseStream(s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.streams, s)
	return r.call("CloseStream")
}

// SyncStream does all work of a queue.
func (r *Runtime) SyncStream(s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.call("SyncStream"); err != nil {
		return err
	}
	q := r.streams[s]
	q.run(q.issued)
	return nil
}

// NewEvent returns an event.
func (r *Runtime) NewEvent() (hiprt.Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.call("NewEvent"); err != nil {
		return 0, err
	}
	e := hiprt.Event(r.handle())
	r.events[e] = nil // not recorded
	return e, nil
}

// CloseEvent forgets an event.
func (r *Runtime) CloseEvent(e hiprt.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.events, e)
	return r.call("CloseEvent")
}

// RecordEvent remembers how much work is in the queue.
func (r *Runtime) RecordEvent(e hiprt.Event, s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.events[e]; !ok {
		return fmt.Errorf("fakert: unknown event %d", e)
	}
	if err := r.enqueue(s, "RecordEvent", func() {}); err != nil {
		return err
	}
	r.events[e] = &mark{r.streams[s], r.streams[s].issued}
	return nil
}

// WaitEvent does the work before the event when the queue gets there, also if the event was closed meanwhile.
func (r *Runtime) WaitEvent(e hiprt.Event, s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.events[e]
	if m == nil {
		return fmt.Errorf("fakert: wait for event %d, which is unknown or was not recorded", e)
	}
	return r.enqueue(s, "WaitEvent", func() { m.q.run(m.upto) })
}

// SyncEvent does the work before the event.
func (r *Runtime) SyncEvent(e hiprt.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.events[e]
	if m == nil {
		return fmt.Errorf("fakert: event %d is unknown or was not recorded", e)
	}
	m.q.run(m.upto)
	return r.call("SyncEvent")
}

// Elapsed returns zero.
func (r *Runtime) Elapsed(from, to hiprt.Event) (float32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return 0, r.call("Elapsed")
}

// BeginCapture starts recording.
func (r *Runtime) BeginCapture(s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.call("BeginCapture"); err != nil {
		return err
	}
	r.streams[s].capture = true
	return nil
}

// EndCapture returns what was recorded.
func (r *Runtime) EndCapture(s hiprt.Stream) (hiprt.Graph, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.streams[s]
	rec := q.record
	q.capture, q.record = false, nil
	if err := r.call("EndCapture"); err != nil {
		return 0, err
	}
	g := hiprt.Graph(r.handle())
	r.graphs[g] = rec
	for _, x := range rec {
		r.captured[x.name] = x
	}
	return g, nil
}

// LaunchGraph runs a recording at the next synchronization.
func (r *Runtime) LaunchGraph(g hiprt.Graph, s hiprt.Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.graphs[g]
	if !ok {
		return fmt.Errorf("fakert: unknown graph %d", g)
	}
	return r.enqueue(s, "LaunchGraph", func() {
		for _, x := range rec {
			if r.SharedArgs {
				x = r.captured[x.name]
			}
			r.run(x)
		}
	})
}

// CloseGraph forgets a recording.
func (r *Runtime) CloseGraph(g hiprt.Graph) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.graphs, g)
	return r.call("CloseGraph")
}
