//go:build linux

package fake

import (
	"bytes"
	"syscall"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
)

// handler is an ioctl: the size of its argument in this kernel, and what it does.
type handler struct {
	size  int
	minor uint32 // of the interface that brought it
	call  func(m *Machine, arg unsafe.Pointer) error
}

// handle returns the handler of an ioctl with an argument of type T.
func handle[T any](minor uint32, f func(m *Machine, a *T) error) handler {
	var zero T
	return handler{int(unsafe.Sizeof(zero)), minor, func(m *Machine, p unsafe.Pointer) error { return f(m, (*T)(p)) }}
}

// unused is an ioctl that the kernel has and that a driver of our kind does not call.
func unused(nr uint32, minor uint32) handler {
	return handler{int(nr >> 16 & 0x3fff), minor, func(m *Machine, _ unsafe.Pointer) error {
		m.violate("unused-ioctl", "%s is not for this driver", abi.IoctlName(nr))
		return syscall.EINVAL
	}}
}

// handlers are the ioctls of /dev/kfd by number.
var handlers = map[uint32]handler{
	0x01: handle(0, (*Machine).version),
	0x02: handle(0, (*Machine).createQueue),
	0x03: handle(0, (*Machine).destroyQueue),
	0x04: unused(abi.IocSetMemoryPolicy, 0),
	0x05: handle(0, (*Machine).clocks),
	0x07: unused(abi.IocUpdateQueue, 0),
	0x08: handle(0, (*Machine).createEvent),
	0x09: handle(0, (*Machine).destroyEvent),
	0x0a: handle(0, (*Machine).setEvent),
	0x0b: handle(0, (*Machine).resetEvent),
	0x0c: handle(0, (*Machine).waitEvents),
	0x11: unused(abi.IocSetScratchVA, 0),
	0x13: unused(abi.IocSetTrapHandler, 0),
	0x14: handle(0, (*Machine).apertures),
	0x15: handle(0, (*Machine).acquireVM),
	0x16: handle(0, (*Machine).alloc),
	0x17: handle(0, (*Machine).free),
	0x18: handle(0, (*Machine).mapGPU),
	0x19: handle(0, (*Machine).unmapGPU),
	0x1a: unused(abi.IocSetCUMask, 0),
	0x1c: unused(abi.IocGetDmabufInfo, 0),
	0x1d: unused(abi.IocImportDmabuf, 0),
	0x1f: handle(3, (*Machine).smiEvents),
	0x21: unused(abi.IocSetXNACK, 0),
	0x23: handle(9, (*Machine).available),
	0x24: unused(abi.IocExportDmabuf, 12),
	0x25: handle(13, (*Machine).runtimeEnable),
	0x26: unused(abi.IocDbgTrap, 13),
	0x27: handle(19, func(m *Machine, _ *struct{}) error { return m.createProcess() }),
	0x28: unused(abi.IocProfiler, 23),
}

// maxArgument is the size of the largest argument.
const maxArgument = 128

// Ioctl implements sys.Sys, as kfd_ioctl does: arguments of another size than the kernel's are extended or cut, and
// what the call left in its copy goes back even if it failed.
func (m *Machine) Ioctl(fd int, nr uint32, arg unsafe.Pointer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.fds[fd]
	switch {
	case f == nil:
		m.violate("ioctl-fd", "ioctl %#x of file %d, which is not open", nr, fd)
		return syscall.EBADF
	case f.render != nil:
		return m.renderIoctl(f, nr, arg)
	case nr>>8&0xff != 'K' || !f.kfd:
		m.violate("ioctl-number", "ioctl %#x of %s", nr, f.path)
		return syscall.ENOTTY
	}
	h, ok := handlers[nr&0xff]
	if !ok || h.minor > m.cfg.Kernel.Minor {
		return syscall.ENOTTY
	}
	if n := int(nr >> 16 & 0x3fff); n != h.size {
		m.violate("ioctl-size", "ioctl %#x has an argument of %d bytes, the kernel's has %d", nr, n, h.size)
	}
	n := min(int(nr>>16&0x3fff), maxArgument)
	var user []byte
	if n > 0 {
		user = unsafe.Slice((*byte)(arg), n)
	}
	if old := m.retry[nr]; old != nil {
		delete(m.retry, nr)
		if !bytes.Equal(old, user) {
			m.violate("retry", "%s was interrupted, and is repeated with another argument than the kernel left",
				abi.IoctlName(nr))
		}
	}
	var words [maxArgument / 8]uint64
	local := unsafe.Slice((*byte)(unsafe.Pointer(&words)), maxArgument)
	copy(local[:min(n, h.size)], user)
	err := m.interrupted(nr)
	if err == nil {
		err = h.call(m, unsafe.Pointer(&words))
	}
	if nr>>31 != 0 {
		copy(user, local[:min(n, h.size)])
	}
	if err == syscall.EINTR {
		m.retry[nr] = bytes.Clone(user)
	}
	return err
}

// interrupted returns EINTR if that was asked for, for calls that have no part of it themselves.
func (m *Machine) interrupted(nr uint32) error {
	for _, g := range m.gpus {
		if g.removed && nr != abi.IocGetVersion && nr != abi.IocWaitEvents {
			return syscall.ENODEV
		}
	}
	if f := m.trip(AtIoctl, abi.IoctlName(nr)); f != nil {
		return f.Err
	}
	return nil
}

func (m *Machine) version(a *abi.Version) error {
	*a = abi.Version{Major: 1, Minor: m.cfg.Kernel.Minor}
	return nil
}

func (m *Machine) createProcess() error {
	if m.proc.secured || len(m.proc.bos) > 0 {
		return syscall.EINVAL
	}
	m.proc.secured = true
	return nil
}

// Apertures of gfx11 and gfx12.
const (
	ldsBase     = 1 << 48
	scratchBase = 2 << 48
)

func (m *Machine) apertures(a *abi.AperturesArgs) error {
	if a.Pad != 0 {
		m.violate("reserved", "GET_PROCESS_APERTURES_NEW with padding %#x", a.Pad)
	}
	var list []abi.Apertures
	for _, g := range m.gpus {
		if f := m.trip(AtApertures, ""); f != nil {
			continue
		}
		list = append(list, abi.Apertures{LDSBase: ldsBase, LDSLimit: ldsBase | 0xffffffff, ScratchBase: scratchBase,
			ScratchLimit: scratchBase | 0xffffffff, GPUVMBase: 0x10000, GPUVMLimit: addressLimit - 1, GPUID: g.id})
	}
	if a.N == 0 {
		a.N = uint32(len(list))
		return nil
	}
	a.N = min(a.N, uint32(len(list)))
	if a.N == 0 {
		return nil
	}
	size := int(unsafe.Sizeof(list[0]))
	return write(a.Ptr, unsafe.Slice((*byte)(unsafe.Pointer(&list[0])), int(a.N)*size))
}

// acquireVM is ACQUIRE_VM, kfd_process_device_init_vm.
func (m *Machine) acquireVM(a *abi.AcquireVM) error {
	g, f := m.gpuOf(a.GPUID), m.fds[int(a.DRMFD)]
	if e := m.trip(AtAcquireVM, ""); e != nil {
		return e.Err
	}
	switch {
	case g == nil:
		return syscall.EINVAL
	case f == nil || f.render == nil:
		m.violate("acquire-vm", "ACQUIRE_VM with file %d, which is no render node", a.DRMFD)
		return syscall.EINVAL
	case g.vmFD == f.fd:
		return nil
	case g.vmFD >= 0:
		return syscall.EBUSY
	case f.render != g:
		m.violate("acquire-vm", "ACQUIRE_VM of GPU %#x with %s, which is another's", g.id, f.path)
		return syscall.EINVAL
	}
	g.vmFD = f.fd
	return nil
}

// runtimeEnable is RUNTIME_ENABLE.
func (m *Machine) runtimeEnable(a *abi.RuntimeEnableArgs) error {
	m.proc.asked = true
	if f := m.trip(AtRuntimeEnable, ""); f != nil {
		return f.Err
	}
	switch a.Mode {
	case abi.RuntimeDisable:
		if len(m.proc.queues) > 0 {
			m.violate("runtime-order", "RUNTIME_ENABLE with mode 0 while queues exist")
		}
		m.proc.runtime = false
		return nil
	case abi.RuntimeEnable:
	default:
		m.violate("runtime-mode", "RUNTIME_ENABLE with mode %d, want 1", a.Mode)
	}
	if a.RDebug != 0 {
		m.violate("reserved", "RUNTIME_ENABLE with r_debug %#x, which is a debugger's", a.RDebug)
	}
	switch {
	case m.proc.runtime:
		return syscall.EBUSY
	case len(m.proc.queues) > 0:
		m.violate("runtime-order", "RUNTIME_ENABLE after the first queue")
		return syscall.EEXIST
	}
	m.proc.runtime = true
	a.Caps = 0
	return nil
}

func (m *Machine) clocks(a *abi.ClockCounters) error {
	g := m.gpuOf(a.GPUID)
	if g == nil {
		return syscall.EINVAL
	}
	t := uint64(m.now().Nanoseconds())
	*a = abi.ClockCounters{GPU: g.clock(), CPU: t + 1e9, System: t + 2e9 + uint64(m.suspended), Freq: 1e9, GPUID: a.GPUID}
	return nil
}

func (m *Machine) smiEvents(a *struct{ GPUID, FD uint32 }) error {
	if m.gpuOf(a.GPUID) == nil {
		return syscall.EINVAL
	}
	a.FD = uint32(m.addFile(&file{path: "anon_inode:kfd_smi_ev"}))
	return nil
}

// child is a process that was forked off.
type child struct{ *Machine }

// Ioctl refuses what the opener alone may do.
func (c child) Ioctl(fd int, nr uint32, arg unsafe.Pointer) error {
	if c.isKFD(fd, "an ioctl") {
		return syscall.EBADF
	}
	return c.Machine.Ioctl(fd, nr, arg)
}

// Mmap refuses what the opener alone may do.
func (c child) Mmap(fd int, off uint64, addr, n uintptr, prot, flags int) (uintptr, error) {
	if c.isKFD(fd, "mmap") {
		return 0, syscall.EBADF
	}
	return c.Machine.Mmap(fd, off, addr, n, prot, flags)
}

func (c child) isKFD(fd int, what string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fds[fd]
	if f == nil || !f.kfd {
		return false
	}
	c.violate("fork", "%s of /dev/kfd after a fork", what)
	return true
}

// Fork returns m as a child of the process sees it, which has inherited files and must not use /dev/kfd.
func (m *Machine) Fork() sys.Sys { return child{m} }

// renderIoctl is an ioctl of a render node: AMDGPU_INFO.
func (m *Machine) renderIoctl(f *file, nr uint32, arg unsafe.Pointer) error {
	g := f.render
	if nr != abi.IocDRMInfo {
		m.violate("ioctl-number", "ioctl %#x of %s", nr, f.path)
		return syscall.EINVAL
	}
	if f.gone() {
		return syscall.ENODEV
	}
	a := (*abi.DRMInfo)(arg)
	var b []byte
	switch a.Query {
	case abi.QueryDevInfo:
		b = g.devInfo()
	case abi.QueryMemory:
		b = make([]byte, 96)
		total := []int64{g.spec.VRAM, g.visible(), g.spec.GTT}
		used := []int64{g.used, 0, g.usedGTT}
		for i := range total {
			le.PutUint64(b[32*i:], uint64(total[i]))
			le.PutUint64(b[32*i+8:], uint64(total[i]))
			le.PutUint64(b[32*i+16:], uint64(used[i]))
			le.PutUint64(b[32*i+24:], uint64(total[i]))
		}
	default:
		m.violate("drm-query", "AMDGPU_INFO with query %#x", a.Query)
		return syscall.EINVAL
	}
	return write(a.Ptr, b[:min(len(b), int(a.Size))])
}

// families are those of AMDGPU_INFO by target.
var families = map[string]uint32{"gfx1100": 145, "gfx1101": 145, "gfx1102": 145, "gfx1103": 148, "gfx1150": 150,
	"gfx1151": 150, "gfx1200": 152, "gfx1201": 152}

func (g *gpu) devInfo() []byte {
	b := make([]byte, abi.DevInfoSize)
	le.PutUint32(b[abi.DevInfoDeviceID:], g.spec.DeviceID)
	le.PutUint32(b[abi.DevInfoPCIRev:], 0xc8)
	le.PutUint32(b[abi.DevInfoFamily:], families[g.spec.Target])
	le.PutUint32(b[abi.DevInfoCounterFreq:], counterKHz)
	le.PutUint64(b[abi.DevInfoMaxEngineKHz:], 2_500_000)
	le.PutUint64(b[abi.DevInfoMaxMemoryKHz:], 1_250_000)
	le.PutUint32(b[abi.DevInfoActiveCUs:], uint32(g.spec.CUs))
	if g.spec.APU {
		le.PutUint64(b[abi.DevInfoIDsFlags:], abi.DevInfoFlagsFusion)
	}
	le.PutUint32(b[abi.DevInfoVRAMBits:], 256)
	return b
}
