package supervise

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a worker that was started.
type process struct {
	socket  string // that it listens on
	started time.Time
	process *os.Process

	// Written before exited is closed, but for what is atomic.
	device  atomic.Pointer[string]
	readyAt atomic.Pointer[time.Time] // nil: it is not
	done    bool                      // it ended because its work did
	state   *os.ProcessState
	ended   time.Time
	exited  chan struct{}
}

// start starts a worker.
func (s *supervisor) start() (*process, error) {
	attr, err := attributes()
	if err != nil {
		return nil, err
	}
	// A name in place of a file: there need be no folder that can be written. Workers accept nobody else
	// (fromSupervisor).
	p := &process{socket: "@hipengine-" + rand.Text(), started: time.Now(), exited: make(chan struct{})}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.socket, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("supervise: %w", err)
	}
	defer l.Close() // connections that nobody accepts end with the worker, not with this process
	file, err := l.File()
	if err != nil {
		return nil, fmt.Errorf("supervise: %w", err)
	}
	defer file.Close()
	said, status, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("supervise: %w", err)
	}
	defer status.Close()
	cmd := exec.Command(executable, s.c.Args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), envWorker+"="+s.c.Listener.Addr().String())
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles, cmd.SysProcAttr = os.Stdout, s.c.Stderr, []*os.File{file, status}, attr
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // see attributes
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		result <- err
		if err != nil {
			return
		}
		p.listen(said, s.c.Ready)
		cmd.Wait() // its error is in the state
		p.state, p.ended = cmd.ProcessState, time.Now()
		close(p.exited)
	}()
	if err := <-result; err != nil {
		said.Close()
		return nil, fmt.Errorf("supervise: starting a worker: %w", err)
	}
	p.process = cmd.Process
	return p, nil
}

// listen reads what the worker says until its end, and calls ready when it is.
func (p *process) listen(said *os.File, ready func()) {
	defer said.Close()
	for lines := bufio.NewScanner(said); lines.Scan(); {
		switch device, ok := strings.CutPrefix(lines.Text(), wordDevice); {
		case ok:
			p.device.Store(&device)
		case lines.Text() == wordReady:
			now := time.Now()
			p.readyAt.Store(&now)
			ready()
		case lines.Text() == wordDone:
			p.done = true
		}
	}
}

// stop asks the worker to end, unless it has.
func (p *process) stop() { _ = p.process.Signal(syscall.SIGTERM) }

// alive reports whether requests may be sent to the worker.
func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// obituary says how the worker ended, when, and what usually is behind that. device is where it was to compute if it
// did not say.
func (p *process) obituary(device string) string {
	if d := p.device.Load(); d != nil {
		device = *d
	}
	when := fmt.Sprintf("%v after its start, before it was ready", p.ended.Sub(p.started).Round(time.Second))
	if at := p.readyAt.Load(); at != nil {
		when = fmt.Sprintf("%v after it was ready", p.ended.Sub(*at).Round(time.Second))
	}
	how, why := "died ("+p.state.String()+")", "It cannot have been asked to."
	status, _ := p.state.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		why = "The system ends processes so when memory runs out: the kernel's log (journalctl -k) says whether it did."
	case status.Signaled() && status.Signal() == syscall.SIGABRT, status.Exited() && status.ExitStatus() == crashed:
		why = "GPU runtimes abort a process when a kernel of the GPU touches memory that is not mapped, or when the driver resets " +
			"the GPU: the kernel's log (journalctl -k) names the fault. If it comes again, check the device with " +
			"\"hipengine conform --device NAME\", and report it with what stands above."
	}
	return fmt.Sprintf("the worker on %s %s, %s. %s", device, how, when, why)
}

// crashed is the exit code of a Go program that got a signal such as SIGABRT, or panicked.
const crashed = 2
