package sys

import (
	"time"
	"unsafe"
)

// Sys are the calls of the driver. Errors are of type syscall.Errno, or wrap one. Safe for concurrent use.
type Sys interface {
	Open(path string, flags int) (fd int, err error)
	Close(fd int) error

	// Ioctl issues the call once. Where it fails with EINTR, arg holds what the kernel wrote back, with which the caller
	// calls again.
	Ioctl(fd int, nr uint32, arg unsafe.Pointer) error

	// Mmap maps n bytes at addr (0: anywhere). fd is -1 for anonymous memory. Children do not inherit the mapping.
	Mmap(fd int, off uint64, addr, n uintptr, prot, flags int) (uintptr, error)
	Munmap(addr, n uintptr) error

	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error) // names, sorted

	// Ring stores v to a doorbell with one plain 64-bit store, after all stores before it.
	Ring(doorbell *uint64, v uint64)

	Sleep(d time.Duration)
	Now() time.Duration // monotonic; from any moment
}

// Pointer returns the memory at an address outside the Go heap.
func Pointer(addr uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) // vet cannot know that addr is none of the collector's
}
