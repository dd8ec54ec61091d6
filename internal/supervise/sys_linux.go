package supervise

import "syscall"

// executable is the program that runs, even if its file was replaced since.
const executable = "/proc/self/exe"

// attributes put a worker into a process group of its own, so that signals of a terminal reach it by way of the
// supervisor alone, and end it when the thread that started it ends, which is with the supervisor.
func attributes() (*syscall.SysProcAttr, error) {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}, nil
}
