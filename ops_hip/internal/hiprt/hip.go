//go:build linux && !nogpu

package hiprt

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"github.com/hipengine/hipengine/internal/hostmem"
)

func init() { Register("hip", openHIP) }

// hip is the HIP runtime.
type hip struct {
	lib     *library
	version Version
	count   int
	noDev   error // why there is no device, or nil
	notes   []string

	mu    sync.Mutex
	props map[int]Properties
}

// theHIP is the one library of the process, opened on first use.
var theHIP struct {
	sync.Mutex
	rt *hip
}

func openHIP(string) (Runtime, error) {
	theHIP.Lock()
	defer theHIP.Unlock()
	if theHIP.rt != nil {
		return theHIP.rt, nil
	}
	handle, path, err := machine().find()
	if err != nil {
		return nil, err
	}
	lib, err := bind(handle, mappedPath(path), hipProtos)
	if err != nil {
		return nil, err
	}
	if lib.addrs[hipGetDevicePropertiesR0600] == 0 && lib.addrs[hipGetDeviceProperties] == 0 {
		return nil, fmt.Errorf("hiprt: %s lacks hipGetDevicePropertiesR0600 and hipGetDeviceProperties", lib.path)
	}
	h := &hip{lib: lib, props: map[int]Properties{}}
	if others := machine().others(lib.path); others != nil {
		h.notes = append(h.notes,
			fmt.Sprintf("several HIP runtimes are installed: using %s, not %s; %s chooses another", lib.path,
				strings.Join(others, ", "), EnvLibrary))
	}
	h.init()
	theHIP.rt = h
	return h, nil
}

// init counts devices. A machine without any is no failure to open: Devices reports it.
func (h *hip) init() {
	var n, v int32
	if h.noDev = h.call(hipInit, 0); h.noDev == nil {
		h.noDev = h.call(hipGetDeviceCount, uintptr(unsafe.Pointer(&n)))
	}
	if h.noDev == nil && n == 0 {
		h.noDev = ErrNoDevice
	}
	h.count = int(n)
	if h.call(hipRuntimeGetVersion, uintptr(unsafe.Pointer(&v))) == nil {
		h.version = hipVersion(v)
	}
}

// hipVersion decodes HIP_VERSION: major·10⁷ + minor·10⁵ + patch.
func hipVersion(v int32) Version {
	return Version{int(v / 1e7), int(v / 1e5 % 100), int(v % 1e5)}
}

// call calls f and turns its code into an error.
//
//go:uintptrescapes
func (h *hip) call(f int, args ...uintptr) error {
	if c := h.lib.code(f, args...); c != hipSuccess {
		return h.fail(f, c)
	}
	return nil
}

// hot is call for arguments that do not point to Go memory. It does not allocate.
func (h *hip) hot(f int, args ...uintptr) error {
	if c := h.lib.hot(f, args...); c != hipSuccess {
		return h.fail(f, c)
	}
	return nil
}

// fail describes code c of function f.
func (h *hip) fail(f int, c uint32) error {
	e := &Error{Call: h.lib.protos[f].name(), Code: c, Name: h.lib.text(hipGetErrorName, uintptr(c)),
		Meaning: h.lib.text(hipGetErrorString, uintptr(c)), Async: asyncError(c)}
	switch c {
	case hipErrorOutOfMemory:
		e.Cause = ErrOutOfMemory
	case hipErrorNoDevice, hipErrorBadDevice:
		e.Cause = ErrNoDevice
	}
	return e
}

func (h *hip) Name() string     { return "hip" }
func (h *hip) Library() string  { return h.lib.path }
func (h *hip) Version() Version { return h.version }
func (h *hip) Notes() []string  { return h.notes }

func (h *hip) Devices() (int, error) {
	if h.noDev != nil {
		if errors.Is(h.noDev, ErrNoDevice) {
			return 0, fmt.Errorf("hiprt: %s (HIP %v) sees no AMD GPU: %w", h.lib.path, h.version, h.noDev)
		}
		return 0, fmt.Errorf("hiprt: %s (HIP %v): %w", h.lib.path, h.version, h.noDev)
	}
	return h.count, nil
}

func (h *hip) Properties(dev int) (Properties, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, ok := h.props[dev]; ok {
		return p, nil
	}
	var p Properties
	buf := new([hipPropertiesBytes]byte)
	if h.lib.addrs[hipGetDevicePropertiesR0600] != 0 {
		if err := h.call(hipGetDevicePropertiesR0600, uintptr(unsafe.Pointer(buf)), uintptr(dev)); err != nil {
			return p, err
		}
		p = propertiesR0600(buf)
	} else {
		if err := h.call(hipGetDeviceProperties, uintptr(unsafe.Pointer(buf)), uintptr(dev)); err != nil {
			return p, err
		}
		p = propertiesR0000(buf)
	}
	id := new([64]byte)
	if h.call(hipDeviceGetPCIBusId, uintptr(unsafe.Pointer(id)), uintptr(len(id)), uintptr(dev)) == nil {
		p.PCI = goString(id[:])
	}
	p.countUnits("/sys")
	h.props[dev] = p
	return p, nil
}

func (h *hip) Use(dev int) error { return h.call(hipSetDevice, uintptr(dev)) }

func (h *hip) MemInfo(int) (free, total int64, err error) {
	var f, t uint64
	err = h.call(hipMemGetInfo, uintptr(unsafe.Pointer(&f)), uintptr(unsafe.Pointer(&t)))
	return int64(f), int64(t), err
}

func (h *hip) SharedMemory(dev int) (SharedMemory, bool) {
	p, err := h.Properties(dev)
	if err != nil || !p.Integrated {
		return SharedMemory{}, false
	}
	m, ok := sharedMemory("/sys", p.PCI)
	// Not what a control group allows: memory of the device is not charged to it.
	m.Available, _ = hostmem.System()
	return m, ok
}

func (h *hip) Malloc(n int64) (Ptr, error) {
	var p Ptr
	err := h.call(hipMalloc, uintptr(unsafe.Pointer(&p)), uintptr(n))
	return p, err
}

// Reach implements [Peers].
func (h *hip) Reach(dev, peer int) error {
	if h.lib.addrs[hipDeviceCanAccessPeer] == 0 || h.lib.addrs[hipDeviceEnablePeerAccess] == 0 {
		return fmt.Errorf("hiprt: HIP %v knows no peers", h.version)
	}
	var can int32
	if err := h.call(hipDeviceCanAccessPeer, uintptr(unsafe.Pointer(&can)), uintptr(dev), uintptr(peer)); err != nil {
		return err
	}
	if can == 0 {
		return fmt.Errorf("hiprt: the driver does not let device %d reach the memory of device %d", dev, peer)
	}
	if c := h.lib.code(hipDeviceEnablePeerAccess, uintptr(peer), 0); c != hipSuccess && c != hipErrorPeerReached {
		return h.fail(hipDeviceEnablePeerAccess, c)
	}
	return nil
}

// MallocShared implements [Peers]. What hipMalloc returns may stay in the cache of its own device while peers write it.
func (h *hip) MallocShared(n int64) (Ptr, error) {
	if h.lib.addrs[hipExtMallocWithFlags] == 0 {
		return 0, fmt.Errorf("hiprt: HIP %v has no memory that no cache keeps", h.version)
	}
	var p Ptr
	err := h.call(hipExtMallocWithFlags, uintptr(unsafe.Pointer(&p)), uintptr(n), hipMallocUncached)
	if err != nil {
		err = h.call(hipExtMallocWithFlags, uintptr(unsafe.Pointer(&p)), uintptr(n), hipMallocFinegrained)
	}
	return p, err
}

func (h *hip) Free(p Ptr) error { return h.call(hipFree, uintptr(p)) }

func (h *hip) HostAlloc(n int64) (Host, error) {
	var p unsafe.Pointer
	if err := h.call(hipHostMalloc, uintptr(unsafe.Pointer(&p)), uintptr(n), hipHostMallocMapped); err != nil {
		return Host{}, err
	}
	m := Host{Bytes: hostBytes(p, n)}
	if err := h.call(hipHostGetDevicePointer, uintptr(unsafe.Pointer(&m.Addr)), uintptr(p), 0); err != nil {
		return Host{}, errors.Join(err, h.HostFree(m))
	}
	return m, nil
}

func (h *hip) HostFree(m Host) error { return h.call(hipHostFree, data(m.Bytes)) }

func (h *hip) CopyToDevice(dst Ptr, src []byte, s Stream) error {
	return h.hot(hipMemcpyAsync, uintptr(dst), data(src), uintptr(len(src)), hipMemcpyHostToDevice, uintptr(s))
}

func (h *hip) CopyToHost(dst []byte, src Ptr, s Stream) error {
	return h.hot(hipMemcpyAsync, data(dst), uintptr(src), uintptr(len(dst)), hipMemcpyDeviceToHost, uintptr(s))
}

func (h *hip) Memset(dst Ptr, value byte, n int64, s Stream) error {
	return h.hot(hipMemsetAsync, uintptr(dst), uintptr(value), uintptr(n), uintptr(s))
}

func (h *hip) CopyOnDevice(dst, src Ptr, n int64, s Stream) error {
	return h.hot(hipMemcpyDtoDAsync, uintptr(dst), uintptr(src), uintptr(n), uintptr(s))
}

func (h *hip) CopyPeer(dst Ptr, dstDev int, src Ptr, srcDev int, n int64, s Stream) error {
	return h.hot(hipMemcpyPeerAsync, uintptr(dst), uintptr(dstDev), uintptr(src), uintptr(srcDev), uintptr(n),
		uintptr(s))
}

func (h *hip) LoadModule(image []byte) (Module, error) {
	var m Module
	err := h.call(hipModuleLoadData, uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(unsafe.SliceData(image))))
	return m, err
}

func (h *hip) UnloadModule(m Module) error { return h.call(hipModuleUnload, uintptr(m)) }

func (h *hip) Function(m Module, name string) (Func, error) {
	var f Func
	c := zeroTerminated(name)
	err := h.call(hipModuleGetFunction, uintptr(unsafe.Pointer(&f)), uintptr(m), uintptr(unsafe.Pointer(&c[0])))
	return f, err
}

func (h *hip) Prepare(l *Launch, mem []byte) { prepare(l, mem) }

func (h *hip) Launch(l *Launch, s Stream) error {
	if c := h.lib.issue(hipModuleLaunchKernel, l, s); c != hipSuccess {
		return h.fail(hipModuleLaunchKernel, c)
	}
	return nil
}

func (h *hip) NewStream() (Stream, error) {
	var s Stream
	err := h.call(hipStreamCreateWithFlags, uintptr(unsafe.Pointer(&s)), hipStreamNonBlocking)
	return s, err
}

func (h *hip) CloseStream(s Stream) error { return h.call(hipStreamDestroy, uintptr(s)) }
func (h *hip) SyncStream(s Stream) error  { return h.hot(hipStreamSynchronize, uintptr(s)) }

func (h *hip) NewEvent() (Event, error) {
	var e Event
	err := h.call(hipEventCreateWithFlags, uintptr(unsafe.Pointer(&e)), hipEventDefault)
	return e, err
}

func (h *hip) CloseEvent(e Event) error { return h.call(hipEventDestroy, uintptr(e)) }

func (h *hip) RecordEvent(e Event, s Stream) error {
	return h.hot(hipEventRecord, uintptr(e), uintptr(s))
}

func (h *hip) WaitEvent(e Event, s Stream) error {
	return h.hot(hipStreamWaitEvent, uintptr(s), uintptr(e), 0)
}

func (h *hip) SyncEvent(e Event) error { return h.hot(hipEventSynchronize, uintptr(e)) }

func (h *hip) Elapsed(from, to Event) (float32, error) {
	var ms float32
	err := h.call(hipEventElapsedTime, uintptr(unsafe.Pointer(&ms)), uintptr(from), uintptr(to))
	return ms, err
}

// BeginCapture refuses runtimes whose graphs cannot be trusted: before 6.0, those that share a kernel shared its
// arguments.
func (h *hip) BeginCapture(s Stream) error {
	if h.version.Less(Version{Major: 6}) {
		return fmt.Errorf("hiprt: HIP %v mixes up the arguments of graphs that share a kernel, from 6.0 on they do not: %w", h.version, ErrNoGraphs)
	}
	return h.call(hipStreamBeginCapture, uintptr(s), hipCaptureModeThreadLocal)
}

func (h *hip) EndCapture(s Stream) (Graph, error) {
	var g, x uintptr
	if err := h.call(hipStreamEndCapture, uintptr(s), uintptr(unsafe.Pointer(&g))); err != nil {
		return 0, err
	}
	err := h.call(hipGraphInstantiate, uintptr(unsafe.Pointer(&x)), g, 0, 0, 0)
	return Graph(x), errors.Join(err, h.call(hipGraphDestroy, g))
}

func (h *hip) LaunchGraph(g Graph, s Stream) error {
	return h.hot(hipGraphLaunch, uintptr(g), uintptr(s))
}

func (h *hip) CloseGraph(g Graph) error { return h.call(hipGraphExecDestroy, uintptr(g)) }
