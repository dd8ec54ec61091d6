package pages

import (
	"fmt"
	"syscall"
)

// mapMemory returns n bytes of anonymous memory, in huge pages if the system's settings let a process ask for them.
func mapMemory(n int64) (b []byte, mapped bool, err error) {
	b, err = syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, false, fmt.Errorf("pages: mapping %d bytes: %w", n, err)
	}
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) // without them it is only slower
	return b, true, nil
}

// unmap returns what mapMemory gave. It cannot fail for such memory.
func unmap(b []byte) { _ = syscall.Munmap(b) }
