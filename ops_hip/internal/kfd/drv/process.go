//go:build linux

package drv

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/topo"
)

// Options configure a Process.
type Options struct {
	Timeout      time.Duration               // without progress, after which waiting fails; 0: never
	SystemFences bool                        // every packet acquires and releases for the system
	RingPackets  uint32                      // of a queue, a power of two from 64; 0: 8192
	Lookup       func(string) (string, bool) // environment that chooses devices; nil: os.LookupEnv

	// BootstrapVRAM lets the first kernels, which copy the others, begin in device memory, all of which the host must be
	// able to map, in place of memory of the host. It is for GPUs that cannot run kernels from there.
	BootstrapVRAM bool
}

// EnvBootstrap names the environment variable that, set to "vram", asks for Options.BootstrapVRAM.
const EnvBootstrap = "HIPENGINE_KFD_BOOTSTRAP"

// Versions of the interface.
const (
	needMajor = 1
	needMinor = 14 // event ages; RUNTIME_ENABLE came with 13
)

// kfdPath is the device file of the driver.
const kfdPath = "/dev/kfd"

// Process is this program's side of the KFD driver.
type Process struct {
	sys sys.Sys
	opt Options

	mu        sync.Mutex
	fd        int // of /dev/kfd; -1 before the first device
	version   abi.Version
	apertures []abi.Apertures
	vms       map[uint32]*vm // by GPU
	page      *buffer        // of events; it cannot be freed while the process lives
	pageEvent abi.CreateEvent
	pageFree  bool // pageEvent is nobody's
	open      int  // devices
	enabled   bool // RUNTIME_ENABLE is in force by us
	reports   bool // the kernel reports errors of queues
}

// vm is the address space of this process on a GPU.
type vm struct {
	gpu      topo.GPU
	render   int // fd that stands for it
	aperture abi.Apertures
	info     topo.Info
	infoErr  error // why info is not known
	lost     error // why no device can be opened in it any more
	inUse    bool
}

// NewProcess returns a process that has opened nothing yet.
func NewProcess(s sys.Sys, o Options) (*Process, error) {
	if o.RingPackets == 0 {
		o.RingPackets = 8192
	}
	if n := o.RingPackets; n < 64 || n > 1<<17 || n&(n-1) != 0 {
		return nil, fmt.Errorf("kfd: a ring of %d packets is not a power of two from 64 to %d", n, 1<<17)
	}
	if o.Lookup == nil {
		o.Lookup = os.LookupEnv
	}
	return &Process{sys: s, opt: o, fd: -1, vms: map[uint32]*vm{}}, nil
}

// Devices returns the GPUs that the environment leaves, in the order in which HIP numbers them, by sysfs alone. With
// none, the error wraps ErrNoKFD or ErrNoDevice.
func (p *Process) Devices() ([]topo.GPU, error) {
	gpus, err := topo.All(p.sys)
	switch {
	case errors.Is(err, topo.ErrNoKFD):
		return nil, p.noKFD()
	case err != nil:
		return nil, fmt.Errorf("kfd: %w", err)
	}
	left := topo.Visible(gpus, p.opt.Lookup)
	if len(left) > 0 {
		return left, nil
	}
	text := "no AMD GPU in the KFD topology"
	for _, name := range []string{"ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"} {
		if v, ok := p.opt.Lookup(name); ok && len(gpus) > 0 {
			text = fmt.Sprintf("none of %d GPUs is left (%s=%q)", len(gpus), name, v)
			break
		}
	}
	return nil, fmt.Errorf("kfd: %s: %w", text, ErrNoDevice)
}

// noKFD says why there is no KFD.
func (p *Process) noKFD() error {
	if topo.Loaded(p.sys) {
		return fmt.Errorf("kfd: this kernel's amdgpu has no KFD for your GPU (see `dmesg | grep -i kfd`): %w", ErrNoKFD)
	}
	return fmt.Errorf("kfd: the amdgpu driver is not loaded: %w", ErrNoKFD)
}

// Version returns the version of the interface. It opens /dev/kfd for a moment, unless it is open; where it cannot, that
// is 1.0.
func (p *Process) Version() (major, minor int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.version.Major == 0 {
		fd, err := p.sys.Open(kfdPath, syscall.O_RDWR)
		if err != nil {
			return needMajor, 0
		}
		v := new(abi.Version)
		err = p.call(fd, abi.IocGetVersion, unsafe.Pointer(v))
		if p.sys.Close(fd) != nil || err != nil {
			return needMajor, 0
		}
		p.version = *v
	}
	return int(p.version.Major), int(p.version.Minor)
}

// Info returns what the graphics driver says of a GPU. It opens the render node for a moment, unless it is open.
func (p *Process) Info(g *topo.GPU) (topo.Info, error) {
	p.mu.Lock()
	v := p.vms[g.ID]
	p.mu.Unlock()
	if v != nil {
		return v.info, v.infoErr
	}
	return topo.DevInfo(p.sys, g)
}

// call issues an ioctl until no signal interrupts it. arg stays as the kernel left it between attempts.
func (p *Process) call(fd int, nr uint32, arg unsafe.Pointer) error {
	for {
		err := p.sys.Ioctl(fd, nr, arg)
		switch {
		case err == nil:
			return nil
		case errno(err) != syscall.EINTR:
			return failed(abi.IoctlName(nr), err)
		}
	}
}

// start opens /dev/kfd.
func (p *Process) start() error {
	if p.fd >= 0 {
		return nil
	}
	fd, err := p.openKFD()
	if err != nil {
		return err
	}
	v := new(abi.Version)
	if err := p.call(fd, abi.IocGetVersion, unsafe.Pointer(v)); err != nil {
		return errors.Join(err, p.sys.Close(fd))
	}
	if v.Major != needMajor || v.Minor < needMinor {
		return errors.Join(&Error{Call: abi.IoctlName(abi.IocGetVersion), Cause: ErrNoKFD,
			Text: fmt.Sprintf("the kernel's KFD interface is %d.%d, %d.%d or later of major version %d is needed (Linux 6.8 or later)",
				v.Major, v.Minor, needMajor, needMinor, needMajor)}, p.sys.Close(fd))
	}
	a, err := p.readApertures(fd)
	if err != nil {
		return errors.Join(err, p.sys.Close(fd))
	}
	p.fd, p.version, p.apertures = fd, *v, a
	return nil
}

// lockedTries and lockedPause bound how long opening waits for a reset to end.
const (
	lockedTries = 30
	lockedPause = 100 * time.Millisecond
)

// openKFD opens the device file. EINVAL with GPUs in the topology means that one is being reset.
func (p *Process) openKFD() (int, error) {
	for try := 0; ; try++ {
		fd, err := p.sys.Open(kfdPath, syscall.O_RDWR)
		if err == nil {
			return fd, nil
		}
		e := failed("open "+kfdPath, err)
		switch e.Errno {
		case syscall.ENOENT:
			e.Text, e.Cause = "the driver has no KFD, or a container does not pass the file on", ErrNoKFD
		case syscall.EACCES:
			e.Cause = ErrNoDevice
			e.Text = "no permission: add yourself to the group render (video on old distributions) and log in again: sudo usermod -aG render $USER"
		case syscall.EPERM:
			e.Text, e.Cause = "a control group of devices forbids it", ErrNoDevice
		case syscall.EINVAL:
			if gpus, err := topo.All(p.sys); err == nil && len(gpus) > 0 && try < lockedTries {
				p.sys.Sleep(lockedPause)
				continue
			}
			e.Text, e.Cause = "no supported GPU, or a reset of one does not end", ErrNoDevice
		case syscall.ENXIO, syscall.ENODEV:
			e.Text, e.Cause = "the file has no driver", ErrNoKFD
		}
		return -1, e
	}
}

// readApertures returns the address ranges of all GPUs.
func (p *Process) readApertures(fd int) ([]abi.Apertures, error) {
	a := new(abi.AperturesArgs)
	if err := p.call(fd, abi.IocGetApertures, unsafe.Pointer(a)); err != nil {
		return nil, err
	}
	if a.N == 0 || a.N > 1<<10 {
		return nil, &Error{Call: abi.IoctlName(abi.IocGetApertures), Cause: ErrNoDevice,
			Text: fmt.Sprintf("the kernel names %d GPUs", a.N)}
	}
	list := make([]abi.Apertures, a.N)
	var pin runtime.Pinner
	pin.Pin(&list[0])
	defer pin.Unpin()
	*a = abi.AperturesArgs{Ptr: uint64(uintptr(unsafe.Pointer(&list[0]))), N: a.N}
	if err := p.call(fd, abi.IocGetApertures, unsafe.Pointer(a)); err != nil {
		return nil, err
	}
	return list[:min(int(a.N), len(list))], nil
}

// vmOf returns the address space of a GPU, acquired the first time.
func (p *Process) vmOf(g topo.GPU) (*vm, error) {
	if v := p.vms[g.ID]; v != nil {
		return v, nil
	}
	v := &vm{gpu: g}
	for _, a := range p.apertures {
		if a.GPUID == g.ID {
			v.aperture = a
		}
	}
	if v.aperture.GPUID == 0 {
		return nil, &Error{Call: abi.IoctlName(abi.IocGetApertures), Cause: ErrNoDevice,
			Text: fmt.Sprintf("the kernel gives this process no addresses on GPU %d (node %d)", g.ID, g.Node)}
	}
	fd, err := p.sys.Open(g.RenderPath(), syscall.O_RDWR)
	if err != nil {
		e := failed("open "+g.RenderPath(), err)
		if e.Errno == syscall.EACCES || e.Errno == syscall.EPERM {
			e.Text, e.Cause = "no permission: add yourself to the group render and log in again", ErrNoDevice
		}
		return nil, e
	}
	v.render = fd
	if v.info, v.infoErr = topo.DevInfoOf(p.sys, fd); v.infoErr != nil {
		v.info = topo.Info{CounterKHz: 100000, Integrated: Integrated(g.Target)}
	}
	a := &abi.AcquireVM{DRMFD: uint32(fd), GPUID: g.ID}
	if err := p.call(p.fd, abi.IocAcquireVM, unsafe.Pointer(a)); err != nil {
		e := err.(*Error) // which call returns
		if e.Errno == syscall.EBUSY {
			e.Text = "the GPU is already driven by libamdhip64 in this process; choose one of the two"
		}
		return nil, errors.Join(e, p.sys.Close(fd))
	}
	p.vms[g.ID] = v
	return v, nil
}

// Integrated reports whether GPUs of a target share the host's memory, where the driver does not say it.
func Integrated(target string) bool {
	return target == "gfx1103" || target == "gfx1150" || target == "gfx1151"
}

// enable asks the kernel to report errors of queues, before the first queue. Kernels that cannot, and those whose
// other user in this process did, are no obstacle.
func (p *Process) enable() error {
	if p.enabled || p.open > 0 {
		return nil
	}
	a := &abi.RuntimeEnableArgs{Mode: abi.RuntimeEnable}
	err := p.call(p.fd, abi.IocRuntimeEnable, unsafe.Pointer(a))
	switch errno(err) {
	case 0:
		p.enabled, p.reports = err == nil, err == nil
		return err
	case syscall.EBUSY:
		p.reports = true
		return nil
	case syscall.EEXIST, syscall.ENOTTY, syscall.EINVAL:
		p.reports = false
		return nil
	}
	return err
}

// disable ends what enable began, after the last queue.
func (p *Process) disable() error {
	if !p.enabled || p.open > 0 {
		return nil
	}
	p.enabled = false
	a := &abi.RuntimeEnableArgs{Mode: abi.RuntimeDisable}
	return p.call(p.fd, abi.IocRuntimeEnable, unsafe.Pointer(a))
}

// Close closes the files. All devices must be closed. The kernel keeps address spaces and events until the program
// ends, so that another Process cannot open the same GPUs.
func (p *Process) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open > 0 {
		return fmt.Errorf("kfd: %d devices are open", p.open)
	}
	if p.fd < 0 {
		return nil
	}
	var errs []error
	if p.page != nil {
		if p.pageFree {
			errs = append(errs, p.destroyEvent(p.pageEvent.EventID))
		}
		errs = append(errs, p.unmapPage())
	}
	for _, v := range p.vms {
		errs = append(errs, p.sys.Close(v.render))
	}
	errs = append(errs, p.sys.Close(p.fd))
	p.fd, p.vms, p.page = -1, map[uint32]*vm{}, nil
	return errors.Join(errs...)
}
