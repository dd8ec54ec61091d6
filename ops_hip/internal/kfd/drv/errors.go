//go:build linux

package drv

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// Errors that callers branch on.
var (
	ErrNoKFD       = errors.New("KFD is not available")
	ErrNoDevice    = errors.New("no device")
	ErrOutOfMemory = errors.New("out of memory")
	ErrLost        = errors.New("the device is lost; restart the program")
	ErrHang        = errors.New("no progress")
)

// Error is a call of the kernel's that failed, or work that did.
type Error struct {
	Call  string        // "AMDKFD_IOC_CREATE_QUEUE", "open /dev/kfd"
	Errno syscall.Errno // 0 if none is the cause
	Text  string        // what it means
	Cause error         // sentinel that errors.Is finds, or nil
	Async bool          // of work that was enqueued before
}

// names of errors that the driver meets.
var errnoNames = map[syscall.Errno]string{1: "EPERM", 2: "ENOENT", 3: "ESRCH", 4: "EINTR", 5: "EIO", 6: "ENXIO",
	9: "EBADF", 12: "ENOMEM", 13: "EACCES", 14: "EFAULT", 16: "EBUSY", 17: "EEXIST", 19: "ENODEV", 22: "EINVAL",
	25: "ENOTTY", 28: "ENOSPC", 62: "ETIME", 95: "EOPNOTSUPP", 98: "EADDRINUSE", abi.ENOTSUPP: "ENOTSUPP"}

// Name returns the name of the error number, "" if there is none.
func (e *Error) Name() string {
	if n, ok := errnoNames[e.Errno]; ok {
		return n
	}
	if e.Errno != 0 {
		return fmt.Sprintf("errno %d", int(e.Errno))
	}
	return ""
}

// Error formats e as "AMDKFD_IOC_ALLOC_MEMORY_OF_GPU: ENOMEM: 4096 bytes wanted".
func (e *Error) Error() string {
	parts := []string{e.Call}
	if n := e.Name(); n != "" {
		parts = append(parts, n)
	}
	if e.Text != "" {
		parts = append(parts, e.Text)
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the sentinel and the number.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Cause != nil {
		errs = append(errs, e.Cause)
	}
	if e.Errno != 0 {
		errs = append(errs, e.Errno)
	}
	return errs
}

// errno returns the number in an error of package sys.
func errno(err error) syscall.Errno {
	var e syscall.Errno
	errors.As(err, &e)
	return e
}

// failed makes an Error of a failed call.
func failed(call string, err error) *Error {
	e := &Error{Call: call, Errno: errno(err)}
	if e.Errno == 0 {
		e.Text = err.Error()
	}
	if e.Errno == syscall.ENOMEM {
		e.Cause = ErrOutOfMemory
	}
	return e
}

// queueErrors are the error bits that the kernel sets, by code.
var queueErrors = map[int]string{1: "a wave aborted", 2: "a wave trapped", 3: "arithmetic exception of a wave",
	4: "illegal instruction", 5: "memory violation of a wave", 6: "aperture violation of a wave",
	abi.ECQueueDispatchDim:      "invalid dimensions of a dispatch",
	abi.ECQueueGroupSegment:     "invalid size of group memory",
	abi.ECQueueCodeAddress:      "invalid code address",
	abi.ECQueueReserved:         "reserved bits of a packet are set",
	abi.ECQueueUnsupported:      "unsupported packet",
	abi.ECQueueWorkgroupSize:    "invalid size of workgroups",
	abi.ECQueueRegister:         "invalid registers",
	abi.ECQueueVendor:           "invalid vendor packet",
	abi.ECQueuePreemption:       "preemption failed",
	abi.ECDeviceMemoryViolation: "memory violation", 34: "memory error that cannot be corrected", 35: "fatal error"}

// payloadText describes the error bits of the kernel.
func payloadText(bits uint64) string {
	var parts []string
	for i := range 64 {
		if bits>>i&1 == 0 {
			continue
		}
		if s, ok := queueErrors[i+1]; ok {
			parts = append(parts, s)
		} else {
			parts = append(parts, fmt.Sprintf("error code %d", i+1))
		}
	}
	return strings.Join(parts, ", ")
}

// inactiveErrors are what firmware leaves in the inactive signal.
var inactiveErrors = map[int64]string{abi.InactiveScratch: "scratch memory is too small",
	abi.InactiveScratchWave: "scratch memory is too small", abi.InactiveDim: "invalid dimensions of a dispatch",
	abi.InactiveGroupMemory: "invalid size of group memory", abi.InactiveCode: "invalid code",
	abi.InactivePacket: "invalid packet", abi.InactivePacketVendor: "invalid vendor packet",
	abi.InactiveWorkgroup: "invalid size of workgroups", abi.InactiveVGPRs: "too many vector registers",
	abi.InactiveAperture: "aperture violation", abi.InactiveIllegal: "illegal instruction",
	abi.InactiveTrap: "a wave trapped"}

// inactiveText describes a code of the firmware.
func inactiveText(code int64) string {
	if s, ok := inactiveErrors[code]; ok {
		return s
	}
	return fmt.Sprintf("code %#x of the firmware", uint64(code))
}

// lose marks the device as lost and returns why. The first reason stays.
func (d *Device) lose(call, text string, cause error) error {
	if d.lost == nil {
		d.lost = &Error{Call: call, Text: text + "; restart the program", Cause: errors.Join(ErrLost, cause), Async: true}
		d.vm.lost = d.lost
		d.hung = cause == ErrHang
	}
	return d.lost
}

// faulted loses the device to a memory exception.
func (d *Device) faulted(m abi.MemoryException) error {
	var b strings.Builder
	switch {
	case m.ErrorType != 0:
		fmt.Fprintf(&b, "memory error of type %d", m.ErrorType)
	case m.NoExecute:
		b.WriteString("instruction fetch from memory that is not executable")
	case m.ReadOnly && !m.NotPresent:
		b.WriteString("store to memory that cannot be written")
	default:
		b.WriteString("access to memory that is not mapped")
	}
	fmt.Fprintf(&b, " at %#x", m.VA)
	if m.Imprecise {
		b.WriteString(" or near it")
	}
	if near, ok := d.mem.below(uintptr(m.VA)); ok {
		fmt.Fprintf(&b, ", %d bytes past the start of an allocation of %d bytes", uintptr(m.VA)-near.va, near.want)
	}
	fmt.Fprintf(&b, "; %s", d.atRead())
	return d.lose("memory fault", b.String(), nil)
}

// atRead describes the packet that the queue is at.
func (d *Device) atRead() string {
	q := &d.q
	read := q.read()
	if read >= q.write {
		return fmt.Sprintf("all %d packets have been read", q.write)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the queue is at packet %d of %d: %s", read, q.write, d.describe(q.packet(read)))
	if read > 0 && q.write-(read-1) <= uint64(q.size) {
		fmt.Fprintf(&b, ", after %s", d.describe(q.packet(read-1)))
	}
	return b.String()
}

// describe describes a packet in words of its kernel. Firmware may have replaced the header.
func (d *Device) describe(p *abi.Packet) string {
	x := p.AsDispatch()
	if k := d.kernels[x.KernelObject]; k != nil && x.GroupX > 0 && x.GroupY > 0 && x.GroupZ > 0 {
		return fmt.Sprintf("kernel %s, grid [%d %d %d] of blocks [%d %d %d], %d bytes of LDS", k.Name,
			x.GridX/uint32(x.GroupX), x.GridY/uint32(x.GroupY), x.GridZ/uint32(x.GroupZ), x.GroupX, x.GroupY, x.GroupZ,
			x.GroupSize)
	}
	return fmt.Sprintf("no kernel launch (header %#04x)", p.Header())
}
