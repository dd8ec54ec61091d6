//go:build linux && !nogpu

package hiprt

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

func init() { Register("cuda", openCUDA) }

// cudaSoname is the library of NVIDIA's kernel driver.
const cudaSoname = "libcuda.so.1"

// cuda is the CUDA driver API.
type cuda struct {
	lib     *library
	version Version
	count   int
	noDev   error // why there is no device, or nil

	mu       sync.Mutex
	contexts map[int]uintptr // primary contexts, retained until the process ends

	jit struct { // options of cuModuleLoadDataEx, kept off the stack
		sync.Mutex
		options [2]int32
		values  [2]uintptr
		log     [8 << 10]byte
	}
}

// theCUDA is the one library of the process, opened on first use.
var theCUDA struct {
	sync.Mutex
	rt *cuda
}

func openCUDA(string) (Runtime, error) {
	theCUDA.Lock()
	defer theCUDA.Unlock()
	if theCUDA.rt != nil {
		return theCUDA.rt, nil
	}
	handle, err := purego.Dlopen(cudaSoname, rtldNow)
	if err != nil {
		return nil, fmt.Errorf("hiprt: %v: %w (it comes with the NVIDIA driver)", err, ErrNoLibrary)
	}
	lib, err := bind(handle, mappedPath(cudaSoname), cudaProtos)
	if err != nil {
		return nil, err
	}
	h := &cuda{lib: lib, contexts: map[int]uintptr{}}
	h.init()
	theCUDA.rt = h
	return h, nil
}

// init counts devices. A machine without any is no failure to open: Devices reports it.
func (h *cuda) init() {
	var n, v int32
	if h.noDev = h.call(cuInit, 0); h.noDev == nil {
		h.noDev = h.call(cuDeviceGetCount, uintptr(unsafe.Pointer(&n)))
	}
	if h.noDev == nil && n == 0 {
		h.noDev = ErrNoDevice
	}
	h.count = int(n)
	if h.call(cuDriverGetVersion, uintptr(unsafe.Pointer(&v))) == nil {
		h.version = Version{int(v / 1000), int(v % 1000 / 10), int(v % 10)}
	}
}

// call calls f and turns its code into an error.
//
//go:uintptrescapes
func (h *cuda) call(f int, args ...uintptr) error {
	if c := h.lib.code(f, args...); c != cudaSuccess {
		return h.fail(f, c)
	}
	return nil
}

// hot is call for arguments that do not point to Go memory. It does not allocate.
func (h *cuda) hot(f int, args ...uintptr) error {
	if c := h.lib.hot(f, args...); c != cudaSuccess {
		return h.fail(f, c)
	}
	return nil
}

// fail describes code c of function f.
func (h *cuda) fail(f int, c uint32) *Error {
	e := &Error{Call: h.lib.protos[f].name(), Code: c, Async: asyncError(c)}
	var s uintptr
	if h.lib.code(cuGetErrorName, uintptr(c), uintptr(unsafe.Pointer(&s))) == cudaSuccess {
		e.Name = cString(s)
	}
	s = 0
	if h.lib.code(cuGetErrorString, uintptr(c), uintptr(unsafe.Pointer(&s))) == cudaSuccess {
		e.Meaning = cString(s)
	}
	switch c {
	case cudaErrorOutOfMemory:
		e.Cause = ErrOutOfMemory
	case cudaErrorNoDevice, cudaErrorBadDevice:
		e.Cause = ErrNoDevice
	}
	return e
}

func (h *cuda) Name() string     { return "cuda" }
func (h *cuda) Library() string  { return h.lib.path }
func (h *cuda) Version() Version { return h.version }
func (h *cuda) Notes() []string  { return nil }

func (h *cuda) Devices() (int, error) {
	if h.noDev != nil {
		return 0, fmt.Errorf("hiprt: %s (CUDA %v) sees no NVIDIA GPU: %w", h.lib.path, h.version, h.noDev)
	}
	return h.count, nil
}

// device returns the CUdevice of an ordinal.
func (h *cuda) device(dev int) (uintptr, error) {
	var d int32
	err := h.call(cuDeviceGet, uintptr(unsafe.Pointer(&d)), uintptr(dev))
	return uintptr(d), err
}

func (h *cuda) Properties(dev int) (Properties, error) {
	d, err := h.device(dev)
	if err != nil {
		return Properties{}, err
	}
	var bytes uint64
	if err := h.call(cuDeviceTotalMem, uintptr(unsafe.Pointer(&bytes)), d); err != nil {
		return Properties{}, err
	}
	name, pci := new([256]byte), new([64]byte)
	err = errors.Join(h.call(cuDeviceGetName, uintptr(unsafe.Pointer(name)), uintptr(len(name)), d),
		h.call(cuDeviceGetPCIBusId, uintptr(unsafe.Pointer(pci)), uintptr(len(pci)), d))
	attr := func(a uintptr) int {
		var v int32
		err = errors.Join(err, h.call(cuDeviceGetAttribute, uintptr(unsafe.Pointer(&v)), a, d))
		return int(v)
	}
	p := Properties{Name: goString(name[:]), Memory: int64(bytes), PCI: goString(pci[:]),
		Target: fmt.Sprintf("sm_%d%d", attr(cudaAttrMajor), attr(cudaAttrMinor)),
		Wave:   attr(cudaAttrWarpSize), CUs: attr(cudaAttrMultiprocessors), Integrated: attr(cudaAttrIntegrated) != 0,
		ClockKHz: attr(cudaAttrClockRate), MemKHz: attr(cudaAttrMemoryClockRate), BusBits: attr(cudaAttrBusWidth)}
	return p, err
}

func (h *cuda) Use(dev int) error {
	ctx, err := h.context(dev)
	if err != nil {
		return err
	}
	return h.call(cuCtxSetCurrent, ctx)
}

// context returns the primary context of a device.
func (h *cuda) context(dev int) (uintptr, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ctx, ok := h.contexts[dev]
	if !ok {
		d, err := h.device(dev)
		if err != nil {
			return 0, err
		}
		if err := h.call(cuDevicePrimaryCtxRetain, uintptr(unsafe.Pointer(&ctx)), d); err != nil {
			return 0, err
		}
		h.contexts[dev] = ctx
	}
	return ctx, nil
}

// Reach implements [Peers].
func (h *cuda) Reach(dev, peer int) error {
	if h.lib.addrs[cuDeviceCanAccessPeer] == 0 || h.lib.addrs[cuCtxEnablePeerAccess] == 0 {
		return fmt.Errorf("hiprt: CUDA %v knows no peers", h.version)
	}
	d, err := h.device(dev)
	if err != nil {
		return err
	}
	p, err := h.device(peer)
	if err != nil {
		return err
	}
	var can int32
	if err := h.call(cuDeviceCanAccessPeer, uintptr(unsafe.Pointer(&can)), d, p); err != nil {
		return err
	}
	if can == 0 {
		return fmt.Errorf("hiprt: the driver does not let device %d reach the memory of device %d", dev, peer)
	}
	ctx, err := h.context(peer)
	if err != nil {
		return err
	}
	if c := h.lib.code(cuCtxEnablePeerAccess, ctx, 0); c != cudaSuccess && c != cudaErrorPeerReached {
		return h.fail(cuCtxEnablePeerAccess, c)
	}
	return nil
}

// MallocShared implements [Peers]: the cache of a device is where its peers' accesses go too.
func (h *cuda) MallocShared(n int64) (Ptr, error) { return h.Malloc(n) }

func (h *cuda) MemInfo(int) (free, total int64, err error) {
	var f, t uint64
	err = h.call(cuMemGetInfo, uintptr(unsafe.Pointer(&f)), uintptr(unsafe.Pointer(&t)))
	return int64(f), int64(t), err
}

// SharedMemory knows nothing: what integrated devices of this vendor share is not in files of the system.
func (h *cuda) SharedMemory(int) (SharedMemory, bool) { return SharedMemory{}, false }

func (h *cuda) Malloc(n int64) (Ptr, error) {
	var p Ptr
	err := h.call(cuMemAlloc, uintptr(unsafe.Pointer(&p)), uintptr(n))
	return p, err
}

func (h *cuda) Free(p Ptr) error { return h.call(cuMemFree, uintptr(p)) }

func (h *cuda) HostAlloc(n int64) (Host, error) {
	var p unsafe.Pointer
	if err := h.call(cuMemHostAlloc, uintptr(unsafe.Pointer(&p)), uintptr(n), cudaHostAllocDeviceMap); err != nil {
		return Host{}, err
	}
	m := Host{Bytes: hostBytes(p, n)}
	if err := h.call(cuMemHostGetDevicePointer, uintptr(unsafe.Pointer(&m.Addr)), uintptr(p), 0); err != nil {
		return Host{}, errors.Join(err, h.HostFree(m))
	}
	return m, nil
}

func (h *cuda) HostFree(m Host) error { return h.call(cuMemFreeHost, data(m.Bytes)) }

func (h *cuda) CopyToDevice(dst Ptr, src []byte, s Stream) error {
	return h.hot(cuMemcpyHtoDAsync, uintptr(dst), data(src), uintptr(len(src)), uintptr(s))
}

func (h *cuda) CopyToHost(dst []byte, src Ptr, s Stream) error {
	return h.hot(cuMemcpyDtoHAsync, data(dst), uintptr(src), uintptr(len(dst)), uintptr(s))
}

func (h *cuda) Memset(dst Ptr, value byte, n int64, s Stream) error {
	return h.hot(cuMemsetD8Async, uintptr(dst), uintptr(value), uintptr(n), uintptr(s))
}

func (h *cuda) CopyOnDevice(dst, src Ptr, n int64, s Stream) error {
	return h.hot(cuMemcpyDtoDAsync, uintptr(dst), uintptr(src), uintptr(n), uintptr(s))
}

func (h *cuda) CopyPeer(dst Ptr, dstDev int, src Ptr, srcDev int, n int64, s Stream) error {
	h.mu.Lock()
	to, from := h.contexts[dstDev], h.contexts[srcDev]
	h.mu.Unlock()
	if to == 0 || from == 0 {
		return fmt.Errorf("hiprt: copy from device %d to %d: not both are in use", srcDev, dstDev)
	}
	return h.hot(cuMemcpyPeerAsync, uintptr(dst), to, uintptr(src), from, uintptr(n), uintptr(s))
}

// LoadModule compiles PTX, or loads a binary; the compiler's messages are part of the error.
func (h *cuda) LoadModule(image []byte) (Module, error) {
	j := &h.jit
	j.Lock()
	defer j.Unlock()
	j.options = [2]int32{cudaJITErrorLog, cudaJITErrorLogSize}
	j.values = [2]uintptr{uintptr(unsafe.Pointer(&j.log)), uintptr(len(j.log))}
	j.log[0] = 0
	var m Module
	text := append(image[:len(image):len(image)], 0) // PTX is a C string
	c := h.lib.code(cuModuleLoadDataEx, uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(&text[0])),
		uintptr(len(j.options)), uintptr(unsafe.Pointer(&j.options)), uintptr(unsafe.Pointer(&j.values)))
	if c == cudaSuccess {
		return m, nil
	}
	e := h.fail(cuModuleLoadDataEx, c)
	if log := strings.TrimSpace(goString(j.log[:])); log != "" {
		e.Meaning += ": " + log
	}
	return 0, e
}

func (h *cuda) UnloadModule(m Module) error { return h.call(cuModuleUnload, uintptr(m)) }

func (h *cuda) Function(m Module, name string) (Func, error) {
	var f Func
	c := zeroTerminated(name)
	err := h.call(cuModuleGetFunction, uintptr(unsafe.Pointer(&f)), uintptr(m), uintptr(unsafe.Pointer(&c[0])))
	return f, err
}

func (h *cuda) Prepare(l *Launch, mem []byte) { prepare(l, mem) }

func (h *cuda) Launch(l *Launch, s Stream) error {
	if l.Overlaps && h.lib.addrs[cuLaunchKernelEx] != 0 && !h.version.Less(overlapVersion) {
		return h.launchOverlapping(l, s)
	}
	if c := h.lib.issue(cuLaunchKernel, l, s); c != cudaSuccess {
		return h.fail(cuLaunchKernel, c)
	}
	return nil
}

// overlapVersion is the first whose graphs know launches that begin before those that they follow have ended.
var overlapVersion = Version{12, 3, 0}

func (h *cuda) launchOverlapping(l *Launch, s Stream) error {
	c := &l.config
	c.grid, c.block, c.stream = l.Grid, l.Block, s
	c.attributes, c.count = uintptr(unsafe.Pointer(&c.attribute)), 1
	c.attribute.id, c.attribute.value[0] = cudaLaunchProgrammaticStreamSerialization, 1
	return h.call(cuLaunchKernelEx, uintptr(unsafe.Pointer(c)), uintptr(l.Func), l.call[9], 0)
}

func (h *cuda) NewStream() (Stream, error) {
	var s Stream
	err := h.call(cuStreamCreate, uintptr(unsafe.Pointer(&s)), cudaStreamNonBlocking)
	return s, err
}

func (h *cuda) CloseStream(s Stream) error { return h.call(cuStreamDestroy, uintptr(s)) }
func (h *cuda) SyncStream(s Stream) error  { return h.hot(cuStreamSynchronize, uintptr(s)) }

func (h *cuda) NewEvent() (Event, error) {
	var e Event
	err := h.call(cuEventCreate, uintptr(unsafe.Pointer(&e)), cudaEventDefault)
	return e, err
}

func (h *cuda) CloseEvent(e Event) error { return h.call(cuEventDestroy, uintptr(e)) }

func (h *cuda) RecordEvent(e Event, s Stream) error {
	return h.hot(cuEventRecord, uintptr(e), uintptr(s))
}

func (h *cuda) WaitEvent(e Event, s Stream) error {
	return h.hot(cuStreamWaitEvent, uintptr(s), uintptr(e), 0)
}

func (h *cuda) SyncEvent(e Event) error { return h.hot(cuEventSynchronize, uintptr(e)) }

func (h *cuda) Elapsed(from, to Event) (float32, error) {
	var ms float32
	err := h.call(cuEventElapsedTime, uintptr(unsafe.Pointer(&ms)), uintptr(from), uintptr(to))
	return ms, err
}

func (h *cuda) BeginCapture(s Stream) error {
	return h.call(cuStreamBeginCapture, uintptr(s), cudaCaptureModeThreadLocal)
}

func (h *cuda) EndCapture(s Stream) (Graph, error) {
	var g, x uintptr
	if err := h.call(cuStreamEndCapture, uintptr(s), uintptr(unsafe.Pointer(&g))); err != nil {
		return 0, err
	}
	err := h.call(cuGraphInstantiateWithFlags, uintptr(unsafe.Pointer(&x)), g, 0)
	return Graph(x), errors.Join(err, h.call(cuGraphDestroy, g))
}

func (h *cuda) LaunchGraph(g Graph, s Stream) error {
	return h.hot(cuGraphLaunch, uintptr(g), uintptr(s))
}

func (h *cuda) CloseGraph(g Graph) error { return h.call(cuGraphExecDestroy, uintptr(g)) }
