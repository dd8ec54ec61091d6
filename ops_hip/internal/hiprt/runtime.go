package hiprt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/hipengine/hipengine/ops"
)

// EnvLibrary names the environment variable that overrides the search for libamdhip64 with one file.
const EnvLibrary = "HIPENGINE_HIP_LIBRARY"

// Ptr is an address in device memory.
type Ptr uintptr

// Handles of runtime objects. Zero is no object.
type (
	Module uintptr // loaded code object
	Func   uintptr // kernel of a module
	Stream uintptr // in-order queue; zero is not used
	Event  uintptr // point in a stream
	Graph  uintptr // captured work, ready to be launched
)

// Errors that callers branch on.
var (
	ErrNoLibrary   = errors.New("runtime library not found")
	ErrNoDevice    = errors.New("no device")
	ErrOutOfMemory = ops.ErrOutOfMemory
	ErrNoGraphs    = errors.New("graphs are not available")
	ErrHang        = errors.New("the device makes no progress")
)

// Version is the version of a runtime.
type Version struct{ Major, Minor, Patch int }

// String formats v as "6.2.1".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Less reports whether v is older than w, patch levels aside.
func (v Version) Less(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

// Properties describe a device.
type Properties struct {
	Name       string // marketing name
	Target     string // "gfx1100", "sm_90"
	Memory     int64  // bytes
	Wave       int    // lanes
	CUs        int    // compute units or streaming multiprocessors
	Integrated bool   // shares the host's memory
	PCI        string // "0000:03:00.0"
	ClockKHz   int
	MemKHz     int // memory clock
	BusBits    int // memory bus width
}

// SharedMemory is what an integrated device and its host share, in bytes.
type SharedMemory struct {
	Carveout, CarveoutUsed int64 // set aside for the device when the machine starts
	Mapped, MappedUsed     int64 // of the host that the driver may map for the device, and maps
	Available              int64 // of the host that programs can take; 0 if not known
}

// Total returns the bytes that the device can use.
func (m SharedMemory) Total() int64 { return m.Carveout + m.Mapped }

// Host is page-locked memory that the device can address and transfers read and write directly. It is not on the
// Go heap (an emulator's may be).
type Host struct {
	Bytes []byte
	Addr  Ptr // where the device sees it
}

// Launch is one kernel launch. Prepare must be called before it is first issued.
type Launch struct {
	Func        Func
	Grid, Block [3]uint32 // blocks; threads of a block
	Args        []byte    // packed argument block
	Params      []int     // where in it each parameter of the kernel lies

	// Overlaps says that the kernel waits itself for the launches before it, so that it may begin while they still run.
	// Runtimes that cannot do that ignore it.
	Overlaps bool

	call   [11]uintptr  // words of the native launch function, but for the stream
	config launchConfig // of a launch that overlaps
}

// launchConfig is CUlaunchConfig with its only attribute, a CUlaunchAttribute.
type launchConfig struct {
	grid, block [3]uint32
	shared      uint32
	stream      Stream
	attributes  uintptr
	count       uint32

	attribute struct {
		id    uint32
		value [64 / 8]uint64
	}
}

// Runtime is a GPU runtime. Methods that act on "the current device" act on the one that the calling OS thread
// has chosen with Use, and must stay on that thread; the others may be called from anywhere. No method may be
// called with handles of another device. Errors are of type *Error where the runtime returned a code.
type Runtime interface {
	Name() string     // "hip", "kfd", "cuda", "emu"
	Library() string  // file that it was loaded from; empty for an emulator
	Version() Version // of the runtime, not of the hardware
	Notes() []string  // what users should know of how the runtime was found

	// Devices returns how many devices there are. With none the error wraps ErrNoDevice.
	Devices() (int, error)
	Properties(dev int) (Properties, error)
	Use(dev int) error // makes dev the calling thread's current device

	// MemInfo returns the bytes that are free and that exist on dev, which must be the current device, in the words of
	// the runtime.
	MemInfo(dev int) (free, total int64, err error)

	// SharedMemory returns what the operating system says of the memory of dev, an integrated device, and whether it
	// says anything.
	SharedMemory(dev int) (SharedMemory, bool)

	Malloc(n int64) (Ptr, error) // not zeroed; the error wraps ErrOutOfMemory if that is the cause
	Free(p Ptr) error
	HostAlloc(n int64) (Host, error)
	HostFree(h Host) error

	// Transfers return before they are done. Host memory must come from HostAlloc and stay as it is until then.
	CopyToDevice(dst Ptr, src []byte, s Stream) error
	CopyToHost(dst []byte, src Ptr, s Stream) error
	Memset(dst Ptr, value byte, n int64, s Stream) error

	// CopyOnDevice copies n bytes of the current device, which must not overlap. CopyPeer copies between the memory of
	// two devices; s is of either.
	CopyOnDevice(dst, src Ptr, n int64, s Stream) error
	CopyPeer(dst Ptr, dstDev int, src Ptr, srcDev int, n int64, s Stream) error

	// LoadModule loads a code object, which must stay as it is until UnloadModule: runtimes may refer to it.
	LoadModule(image []byte) (Module, error)
	UnloadModule(m Module) error
	Function(m Module, name string) (Func, error)

	// Prepare copies l.Args to mem, l.PrepareSize() bytes from HostAlloc that are left alone as long as l, and any
	// graph that captured it, is in use.
	Prepare(l *Launch, mem []byte)
	Launch(l *Launch, s Stream) error

	NewStream() (Stream, error)
	CloseStream(s Stream) error
	SyncStream(s Stream) error // blocks until the stream's work is done

	NewEvent() (Event, error)
	CloseEvent(e Event) error
	RecordEvent(e Event, s Stream) error
	WaitEvent(e Event, s Stream) error       // later work of s, of any device, starts after e, which has been recorded
	SyncEvent(e Event) error                 // blocks until the event has happened
	Elapsed(from, to Event) (float32, error) // milliseconds between two events that have happened

	// BeginCapture makes s record work instead of doing it, until EndCapture returns the recording. The error
	// wraps ErrNoGraphs if the runtime has no graphs.
	BeginCapture(s Stream) error
	EndCapture(s Stream) (Graph, error)
	LaunchGraph(g Graph, s Stream) error
	CloseGraph(g Graph) error
}

// PrepareSize returns the bytes of host memory that Prepare needs for l: its arguments, and behind them the address
// of each parameter, which is what native launch functions take.
func (l *Launch) PrepareSize() int { return paramsAt(len(l.Args)) + 8*len(l.Params) }

// paramsAt returns where the addresses of parameters start behind n bytes of arguments.
func paramsAt(n int) int { return (n + 7) &^ 7 }

// Error is a failed runtime call.
type Error struct {
	Call    string // function
	Code    uint32
	Name    string // of the code: "hipErrorInvalidValue"; empty if not known
	Meaning string // the runtime's words
	Cause   error  // sentinel that errors.Is finds, or nil

	// Async says that the error may have been caused by work enqueued before, not by this call.
	Async bool
}

// Error formats e as "hipMalloc: hipErrorOutOfMemory (2): out of memory".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", e.Call)
	switch {
	case e.Name != "":
		fmt.Fprintf(&b, "%s (%d)", e.Name, e.Code)
	case e.Code != 0 || e.Meaning == "":
		fmt.Fprintf(&b, "error %d", e.Code)
	default: // work that failed, not a call
		b.WriteString(e.Meaning)
	}
	if (e.Name != "" || e.Code != 0) && e.Meaning != "" && e.Meaning != e.Name { // HIP before 6 repeats the name
		b.WriteString(": " + e.Meaning)
	}
	if e.Async {
		b.WriteString("; may stem from an earlier asynchronous call")
	}
	return b.String()
}

// Unwrap returns e.Cause.
func (e *Error) Unwrap() error { return e.Cause }

var openers = map[string]func(target string) (Runtime, error){}

// Register adds a runtime under the name that Open takes; implementations call it from init. target is what an
// emulator shall be ("gfx1100") and empty for hardware. It panics on a duplicate.
func Register(name string, open func(target string) (Runtime, error)) {
	if openers[name] != nil {
		panic("hiprt: duplicate runtime " + name)
	}
	openers[name] = open
}

// Names returns the registered runtimes in alphabetical order.
func Names() []string {
	var names []string
	for n := range openers {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Open loads a runtime. Repeated calls for hardware return the same one, since a process must not load two. The
// error wraps ErrNoLibrary if it is not installed.
func Open(name, target string) (Runtime, error) {
	open := openers[name]
	if open == nil {
		return nil, fmt.Errorf("hiprt: runtime %q is not compiled in (there are: %s)", name,
			strings.Join(Names(), ", "))
	}
	return open(target)
}

// data returns the address of b's first byte, 0 if it has none.
func data(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
