//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package gguf

import (
	"fmt"
	"os"
	"syscall"
)

// mapFile maps the first size bytes of file read-only.
func mapFile(file *os.File, size int) (b []byte, unmap func() error, err error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	ctlErr := conn.Control(func(fd uintptr) {
		b, err = syscall.Mmap(int(fd), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	})
	if ctlErr != nil {
		err = ctlErr
	}
	if err != nil {
		return nil, nil, fmt.Errorf("mapping %s: %w", file.Name(), err)
	}
	return b, func() error { return syscall.Munmap(b) }, nil
}
