//go:build linux && (amd64 || arm64)

package sys

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Linux is the machine itself.
type Linux struct{ start time.Time }

// NewLinux returns the machine itself.
func NewLinux() *Linux { return &Linux{time.Now()} }

var _ Sys = (*Linux)(nil)

// Open opens a file; children do not inherit it.
func (*Linux) Open(path string, flags int) (int, error) {
	for {
		fd, err := syscall.Open(path, flags|syscall.O_CLOEXEC, 0)
		if err != syscall.EINTR {
			return fd, err
		}
	}
}

// Close closes a file.
func (*Linux) Close(fd int) error { return syscall.Close(fd) }

// Ioctl issues an ioctl. It tells Go's scheduler, since some of these calls wait.
func (*Linux) Ioctl(fd int, nr uint32, arg unsafe.Pointer) error {
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), uintptr(nr), uintptr(arg)); e != 0 {
		return e
	}
	return nil
}

// Mmap maps memory. It does not go through package syscall's table of mappings, which cannot place one.
func (*Linux) Mmap(fd int, off uint64, addr, n uintptr, prot, flags int) (uintptr, error) {
	p, _, e := syscall.Syscall6(syscall.SYS_MMAP, addr, n, uintptr(prot), uintptr(flags), uintptr(fd), uintptr(off))
	if e != 0 {
		return 0, e
	}
	const dontFork = 10 // MADV_DONTFORK of asm-generic/mman-common.h
	if _, _, e := syscall.Syscall(syscall.SYS_MADVISE, p, n, dontFork); e != 0 {
		syscall.Syscall(syscall.SYS_MUNMAP, p, n, 0)
		return 0, e
	}
	return p, nil
}

// Munmap removes mappings.
func (*Linux) Munmap(addr, n uintptr) error {
	if _, _, e := syscall.Syscall(syscall.SYS_MUNMAP, addr, n, 0); e != 0 {
		return e
	}
	return nil
}

// ReadFile reads a file.
func (*Linux) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// ReadDir returns the sorted names in a folder.
func (*Linux) ReadDir(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Ring rings a doorbell.
func (*Linux) Ring(doorbell *uint64, v uint64) { ring(doorbell, v) }

// Sleep waits.
func (*Linux) Sleep(d time.Duration) { time.Sleep(d) }

// Now returns the time since the Linux was made.
func (l *Linux) Now() time.Duration { return time.Since(l.start) }

// ring stores v to p with one plain 64-bit store, after the stores before it. Package atomic would exchange, which on
// memory of a device locks the bus.
//
//go:noescape
func ring(p *uint64, v uint64)

// Store32 stores v to a register of a device with one plain 32-bit store, after the stores before it, those that the
// processor combines among them.
//
//go:noescape
func Store32(p *uint32, v uint32)
