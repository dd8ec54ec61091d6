package supervise

import (
	"net"
	"os"
	"syscall"
)

// executable is the program that runs, even if its file was replaced since.
const executable = "/proc/self/exe"

// attributes put a worker into a process group of its own, so that signals of a terminal reach it by way of the
// supervisor alone, and end it when the thread that started it ends, which is with the supervisor.
func attributes() (*syscall.SysProcAttr, error) {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}, nil
}

// fromSupervisor reports whether a connection comes from the process that started this one.
func fromSupervisor(c net.Conn) bool {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return false
	}
	from := 0
	err = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			from = int(cred.Pid)
		}
	})
	return err == nil && from == os.Getppid()
}
