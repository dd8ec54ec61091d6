package hiprt

import (
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"
)

// Machine is an emulated GPU: memory and code. Addresses are the machine's own; an error describes what the program
// did wrong.
type Machine interface {
	Alloc(size int64) (addr uint64, err error)
	Free(addr uint64) error
	Read(dst []byte, addr uint64) error
	Write(addr uint64, src []byte) error
	Load(image []byte) (Program, error)
}

// Program is a code object on a Machine.
type Program interface {
	// Launch runs a kernel to its end. grid counts blocks, block their threads; args is the packed argument block.
	Launch(kernel string, grid, block [3]uint32, args []byte) error
	Unload() error
}

// NewEmulator returns a runtime of one device, m. All work is done before a call returns, so an error belongs to the
// call that reports it. p.Memory limits allocations.
func NewEmulator(p Properties, m Machine) Runtime {
	return &emulator{props: p, m: m, sizes: map[Ptr]int64{}, modules: map[Module]Program{}, funcs: map[Func]emuFunc{},
		streams: map[Stream]*emuStream{}, events: map[Event]time.Time{}, graphs: map[Graph][]emuLaunch{}}
}

// MachineOf returns the machine that a runtime of [NewEmulator] runs on, and nil for any other runtime.
func MachineOf(r Runtime) Machine {
	if e, ok := r.(*emulator); ok {
		return e.m
	}
	return nil
}

// emulator is the runtime around a Machine.
type emulator struct {
	props Properties
	m     Machine

	mu      sync.Mutex
	next    uintptr // last handle
	used    int64
	sizes   map[Ptr]int64
	modules map[Module]Program
	funcs   map[Func]emuFunc
	streams map[Stream]*emuStream
	events  map[Event]time.Time
	graphs  map[Graph][]emuLaunch
}

type emuFunc struct {
	module Module
	name   string
}

// emuStream is a queue; it holds work only while it captures.
type emuStream struct {
	capturing bool
	recorded  []emuLaunch
}

// emuLaunch is a launch as a graph keeps it, with its own copy of the arguments.
type emuLaunch struct {
	f           emuFunc
	grid, block [3]uint32
	args        []byte
}

func (e *emulator) Name() string          { return "emu" }
func (e *emulator) Library() string       { return "" }
func (e *emulator) Version() Version      { return Version{Major: 1} }
func (e *emulator) Notes() []string       { return nil }
func (e *emulator) Devices() (int, error) { return 1, nil }

func (e *emulator) Properties(dev int) (Properties, error) {
	return e.props, e.Use(dev)
}

func (e *emulator) Use(dev int) error {
	if dev != 0 {
		return fmt.Errorf("emulator: device %d: %w", dev, ErrNoDevice)
	}
	return nil
}

func (e *emulator) MemInfo(int) (free, total int64, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.props.Memory - e.used, e.props.Memory, nil
}

func (e *emulator) SharedMemory(int) (SharedMemory, bool) { return SharedMemory{}, false }

func (e *emulator) Malloc(n int64) (Ptr, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n > e.props.Memory-e.used {
		return 0, fmt.Errorf("emulator: %d bytes: %w", n, ErrOutOfMemory)
	}
	p, err := e.m.Alloc(n)
	if err != nil {
		return 0, err
	}
	e.used += n
	e.sizes[Ptr(p)] = n
	return Ptr(p), nil
}

func (e *emulator) Free(p Ptr) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.used -= e.sizes[p]
	delete(e.sizes, p)
	return e.m.Free(uint64(p))
}

// HostAlloc returns memory that kernels cannot see; its address is one of the host.
func (e *emulator) HostAlloc(n int64) (Host, error) {
	b := make([]byte, n)
	return Host{b, Ptr(unsafe.Pointer(unsafe.SliceData(b)))}, nil
}

func (e *emulator) HostFree(Host) error { return nil }

// stream returns a stream by its handle.
func (e *emulator) stream(s Stream) (*emuStream, error) {
	st := e.streams[s]
	if st == nil {
		return nil, fmt.Errorf("emulator: unknown stream %d", s)
	}
	return st, nil
}

func (e *emulator) CopyToDevice(dst Ptr, src []byte, s Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.stream(s); err != nil {
		return err
	}
	return e.m.Write(uint64(dst), src)
}

func (e *emulator) CopyToHost(dst []byte, src Ptr, s Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.stream(s); err != nil {
		return err
	}
	return e.m.Read(dst, uint64(src))
}

// memsetPiece bounds the memory that filling and copying take on the host.
const memsetPiece = 1 << 20

func (e *emulator) Memset(dst Ptr, value byte, n int64, s Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.stream(s); err != nil {
		return err
	}
	fill := make([]byte, min(n, memsetPiece))
	for i := range fill {
		fill[i] = value
	}
	for n > 0 {
		piece := fill[:min(n, memsetPiece)]
		if err := e.m.Write(uint64(dst), piece); err != nil {
			return err
		}
		dst += Ptr(len(piece))
		n -= int64(len(piece))
	}
	return nil
}

// CopyOnDevice goes through memory of the host, a piece at a time.
func (e *emulator) CopyOnDevice(dst, src Ptr, n int64, s Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.stream(s); err != nil {
		return err
	}
	b := make([]byte, min(n, memsetPiece))
	for n > 0 {
		piece := b[:min(n, memsetPiece)]
		if err := errors.Join(e.m.Read(piece, uint64(src)), e.m.Write(uint64(dst), piece)); err != nil {
			return err
		}
		dst, src, n = dst+Ptr(len(piece)), src+Ptr(len(piece)), n-int64(len(piece))
	}
	return nil
}

// CopyPeer knows one device.
func (e *emulator) CopyPeer(dst Ptr, dstDev int, src Ptr, srcDev int, n int64, s Stream) error {
	if err := errors.Join(e.Use(dstDev), e.Use(srcDev)); err != nil {
		return err
	}
	return e.CopyOnDevice(dst, src, n, s)
}

func (e *emulator) LoadModule(image []byte) (Module, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, err := e.m.Load(image)
	if err != nil {
		return 0, err
	}
	e.next++
	e.modules[Module(e.next)] = p
	return Module(e.next), nil
}

func (e *emulator) UnloadModule(m Module) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.modules[m]
	if p == nil {
		return fmt.Errorf("emulator: unknown module %d", m)
	}
	delete(e.modules, m)
	return p.Unload()
}

// Function does not look the name up: launching does.
func (e *emulator) Function(m Module, name string) (Func, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.modules[m] == nil {
		return 0, fmt.Errorf("emulator: unknown module %d", m)
	}
	e.next++
	e.funcs[Func(e.next)] = emuFunc{m, name}
	return Func(e.next), nil
}

func (e *emulator) Prepare(l *Launch, mem []byte) {
	n := copy(mem, l.Args)
	l.Args = mem[:n:n]
}

func (e *emulator) Launch(l *Launch, s Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	st, err := e.stream(s)
	if err != nil {
		return err
	}
	x := emuLaunch{e.funcs[l.Func], l.Grid, l.Block, l.Args}
	if st.capturing {
		x.args = append([]byte(nil), x.args...)
		st.recorded = append(st.recorded, x)
		return nil
	}
	return e.run(x)
}

func (e *emulator) run(x emuLaunch) error {
	p := e.modules[x.f.module]
	if p == nil {
		return fmt.Errorf("emulator: kernel %q of an unloaded module", x.f.name)
	}
	return p.Launch(x.f.name, x.grid, x.block, x.args)
}

func (e *emulator) NewStream() (Stream, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.next++
	e.streams[Stream(e.next)] = &emuStream{}
	return Stream(e.next), nil
}

func (e *emulator) CloseStream(s Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, err := e.stream(s)
	delete(e.streams, s)
	return err
}

func (e *emulator) SyncStream(s Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, err := e.stream(s)
	return err
}

func (e *emulator) NewEvent() (Event, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.next++
	e.events[Event(e.next)] = time.Time{}
	return Event(e.next), nil
}

func (e *emulator) CloseEvent(v Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.events, v)
	return nil
}

func (e *emulator) RecordEvent(v Event, s Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events[v] = time.Now()
	_, err := e.stream(s)
	return err
}

// WaitEvent finds all recorded work done.
func (e *emulator) WaitEvent(v Event, s Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.events[v].IsZero() {
		return fmt.Errorf("emulator: wait for event %d, which was not recorded", v)
	}
	_, err := e.stream(s)
	return err
}

func (e *emulator) SyncEvent(Event) error { return nil }

// Elapsed measures the emulation, not what it emulates.
func (e *emulator) Elapsed(from, to Event) (float32, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a, b := e.events[from], e.events[to]
	if a.IsZero() || b.IsZero() {
		return 0, errors.New("emulator: event was not recorded")
	}
	return float32(b.Sub(a).Seconds() * 1000), nil
}

func (e *emulator) BeginCapture(s Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	st, err := e.stream(s)
	if err == nil {
		st.capturing = true
	}
	return err
}

func (e *emulator) EndCapture(s Stream) (Graph, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	st, err := e.stream(s)
	if err != nil || !st.capturing {
		return 0, errors.Join(err, errors.New("emulator: nothing was captured"))
	}
	e.next++
	e.graphs[Graph(e.next)] = st.recorded
	*st = emuStream{}
	return Graph(e.next), nil
}

func (e *emulator) LaunchGraph(g Graph, s Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.stream(s); err != nil {
		return err
	}
	for _, x := range e.graphs[g] {
		if err := e.run(x); err != nil {
			return err
		}
	}
	return nil
}

func (e *emulator) CloseGraph(g Graph) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.graphs, g)
	return nil
}
