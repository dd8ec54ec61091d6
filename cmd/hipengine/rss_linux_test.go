package main

import (
	"os"
	"syscall"
)

// maxRSS returns the most memory that a process had at once, in bytes.
func maxRSS(p *os.ProcessState) int64 {
	u, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return u.Maxrss * 1024
}
