//go:build !noasm

package simd

import "syscall"

// Linux saves the 8 KiB of tile registers only for processes that have asked for it.
const (
	archReqXcompPerm = 0x1023
	xfeatureTileData = 18
)

// allowTiles asks the operating system to save tile registers and reports whether it will, for all threads.
func allowTiles() bool {
	_, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, archReqXcompPerm, xfeatureTileData, 0)
	return errno == 0
}
