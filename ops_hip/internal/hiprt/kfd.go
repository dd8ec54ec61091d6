//go:build linux && (amd64 || arm64)

package hiprt

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hipengine/hipengine/internal/hostmem"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/topo"
)

// Environment of the runtime "kfd". EnvKFDTimeout is how long a device may make no progress before waiting for it fails
// ("30s", which is the default; 0 is for ever). EnvKFDFences, set to "system", lets every launch write back and
// invalidate all caches, to tell missing fences from other faults.
const (
	EnvKFDTimeout = "HIPENGINE_KFD_TIMEOUT"
	EnvKFDFences  = "HIPENGINE_KFD_FENCES"

	kfdTimeout = 30 * time.Second
)

// theKFD is the one of the process, whose GPUs the kernel gives to one user of it.
var theKFD struct {
	sync.Mutex
	rt Runtime
}

func init() { Register("kfd", openKFD) }

func openKFD(string) (Runtime, error) {
	theKFD.Lock()
	defer theKFD.Unlock()
	if theKFD.rt != nil {
		return theKFD.rt, nil
	}
	o, err := KFDOptions()
	if err != nil {
		return nil, err
	}
	rt, err := NewKFD(sys.NewLinux(), o)
	if err != nil {
		return nil, err
	}
	theKFD.rt = rt
	return rt, nil
}

// KFDOptions returns the options of the driver that the environment asks for. The error names the variable.
func KFDOptions() (drv.Options, error) { return kfdOptions(os.Getenv) }

// kfdOptions is KFDOptions in another environment.
func kfdOptions(getenv func(string) string) (drv.Options, error) {
	o := drv.Options{Timeout: kfdTimeout}
	switch v := getenv(EnvKFDTimeout); v {
	case "":
	case "0":
		o.Timeout = 0
	default:
		t, err := time.ParseDuration(v)
		if err != nil || t <= 0 {
			return o, fmt.Errorf("hiprt: %s=%q is no time such as 30s, and not 0", EnvKFDTimeout, v)
		}
		o.Timeout = t
	}
	switch v := getenv(EnvKFDFences); v {
	case "":
	case "system":
		o.SystemFences = true
	default:
		return o, fmt.Errorf("hiprt: %s=%q, it can be system", EnvKFDFences, v)
	}
	switch v := getenv(drv.EnvBootstrap); v {
	case "":
	case "vram":
		o.BootstrapVRAM = true
	default:
		return o, fmt.Errorf("hiprt: %s=%q, it can be vram", drv.EnvBootstrap, v)
	}
	return o, nil
}

// kfd is the KFD driver as a Runtime. The driver's objects know their device, so that "the current device" matters
// where something new is made.
type kfd struct {
	sys  sys.Sys
	proc *drv.Process

	current sync.Map // device number by thread

	mu      sync.Mutex
	gpus    []topo.GPU
	noDev   error
	devs    map[int]*kfdDevice
	next    uintptr // last handle
	memory  map[Ptr]*drv.Device
	modules map[Module]*drv.Module
	funcs   map[Func]*drv.Kernel
	streams map[Stream]*drv.Stream
	events  map[Event]*drv.Event
	graphs  map[Graph]*drv.Graph
}

// kfdDevice is a device that was opened, or why it cannot be.
type kfdDevice struct {
	dev *drv.Device
	err error
}

// NewKFD returns the runtime over the machine s: the real one, or a fake of it in tests. It opens no device. The error
// wraps ErrNoLibrary if the machine has no KFD.
func NewKFD(s sys.Sys, o drv.Options) (Runtime, error) {
	p, err := drv.NewProcess(s, o)
	if err != nil {
		return nil, fmt.Errorf("hiprt: %w", err)
	}
	k := &kfd{sys: s, proc: p, devs: map[int]*kfdDevice{}, memory: map[Ptr]*drv.Device{},
		modules: map[Module]*drv.Module{}, funcs: map[Func]*drv.Kernel{}, streams: map[Stream]*drv.Stream{},
		events: map[Event]*drv.Event{}, graphs: map[Graph]*drv.Graph{}}
	gpus, err := p.Devices()
	k.gpus, k.noDev = gpus, kfdError(err)
	if errors.Is(k.noDev, ErrNoLibrary) {
		return nil, k.noDev
	}
	return k, nil
}

// kfdError returns an error of the driver's in words of this package.
func kfdError(err error) error {
	if err == nil {
		return nil
	}
	var cause error
	for _, c := range []struct{ of, to error }{{drv.ErrOutOfMemory, ErrOutOfMemory}, {drv.ErrNoKFD, ErrNoLibrary},
		{drv.ErrNoDevice, ErrNoDevice}, {drv.ErrHang, ErrHang}} {
		if errors.Is(err, c.of) {
			cause = c.to
		}
	}
	if e, ok := err.(*drv.Error); ok {
		return &Error{Call: "kfd: " + e.Call, Code: uint32(e.Errno), Name: e.Name(), Meaning: e.Text,
			Cause: errors.Join(cause, e.Cause), Async: e.Async}
	}
	return &causedError{err, cause}
}

// causedError adds a sentinel to an error without adding words.
type causedError struct{ err, cause error }

func (e *causedError) Error() string { return "hiprt: " + e.err.Error() }

func (e *causedError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.err}
	}
	return []error{e.err, e.cause}
}

// kfdNote is what users should know.
const kfdNote = "the device kfd drives the GPU without ROCm; it has been proven on an emulator, not yet on a card"

func (k *kfd) Name() string    { return "kfd" }
func (k *kfd) Library() string { return "/dev/kfd" }
func (k *kfd) Notes() []string { return []string{kfdNote} }

func (k *kfd) Version() Version {
	major, minor := k.proc.Version()
	return Version{Major: major, Minor: minor}
}

func (k *kfd) Devices() (int, error) {
	if k.noDev != nil {
		return 0, k.noDev
	}
	return len(k.gpus), nil
}

// gpu returns what the topology says of a device.
func (k *kfd) gpu(dev int) (*topo.GPU, error) {
	if dev < 0 || dev >= len(k.gpus) {
		return nil, fmt.Errorf("hiprt: kfd: device %d of %d: %w", dev, len(k.gpus), ErrNoDevice)
	}
	return &k.gpus[dev], nil
}

func (k *kfd) Properties(dev int) (Properties, error) {
	g, err := k.gpu(dev)
	if err != nil {
		return Properties{}, err
	}
	if err := g.Unfit(); err != nil {
		return Properties{Name: g.Name, Target: g.Target, PCI: g.PCI}, fmt.Errorf("hiprt: kfd: %w", err)
	}
	p := Properties{Name: g.Name, Target: g.Target, Memory: int64(g.Memory), Wave: int(g.Wave), CUs: int(g.CUs),
		PCI: g.PCI, ClockKHz: int(g.ClockMHz) * 1000, MemKHz: int(g.MemMHz) * 1000, BusBits: int(g.BusBits)}
	switch i, err := k.proc.Info(g); {
	case err == nil:
		p.Integrated = i.Integrated
	default: // no permission, which using the device will say
		p.Integrated = drv.Integrated(g.Target)
	}
	return p, nil
}

// Use opens the device the first time. A failure stays: what fails once has left its mark on the process.
func (k *kfd) Use(dev int) error {
	g, err := k.gpu(dev)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.devs[dev]
	if d == nil {
		x, err := k.proc.Open(*g)
		d = &kfdDevice{x, kfdError(err)}
		k.devs[dev] = d
	}
	if d.err == nil {
		k.current.Store(syscall.Gettid(), d.dev)
	}
	return d.err
}

// here returns the calling thread's current device.
func (k *kfd) here() (*drv.Device, error) {
	if d, ok := k.current.Load(syscall.Gettid()); ok {
		return d.(*drv.Device), nil
	}
	return nil, fmt.Errorf("hiprt: kfd: this thread has no current device: %w", ErrNoDevice)
}

// close closes all devices and the process, which must not be used after. Tests look for leaks with it.
func (k *kfd) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, d := range k.devs {
		if d.dev != nil {
			errs = append(errs, d.dev.Close())
		}
	}
	return errors.Join(append(errs, k.proc.Close())...)
}

// CloseKFD closes all devices of a runtime of [NewKFD], which must not be used after. It is for tests, which look for
// what was not released; a program leaves that to its end.
func CloseKFD(rt Runtime) error {
	k, ok := rt.(*kfd)
	if !ok {
		return fmt.Errorf("hiprt: %s is not kfd", rt.Name())
	}
	return kfdError(k.close())
}

func (k *kfd) MemInfo(dev int) (free, total int64, err error) {
	k.mu.Lock()
	d := k.devs[dev]
	k.mu.Unlock()
	if d == nil || d.dev == nil {
		return 0, 0, fmt.Errorf("hiprt: kfd: device %d is not open", dev)
	}
	free, total, err = d.dev.Memory()
	return free, total, kfdError(err)
}

func (k *kfd) SharedMemory(dev int) (SharedMemory, bool) {
	p, err := k.Properties(dev)
	if err != nil || !p.Integrated {
		return SharedMemory{}, false
	}
	m, ok := sharedMemoryOf(k.sys.ReadFile, "/sys", p.PCI)
	m.Available, _ = hostmem.System() // as for hip: memory of the device is not charged to control groups
	return m, ok
}
