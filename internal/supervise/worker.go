package supervise

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// envWorker names the environment variable that makes a process a worker. Its value is the address that clients see.
const envWorker = "HIPENGINE_WORKER"

// Files of a worker, behind standard error.
const (
	listenerFile = 3
	statusFile   = 4
)

// What a worker writes to the status file, a line each.
const (
	wordDevice = "device " // and its description
	wordReady  = "ready"
	wordDone   = "done" // the process ends because its work did, whatever its exit code
)

// Worker is a supervised process' side of the matter. Methods that tell the supervisor something do nothing on a nil
// Worker.
type Worker struct {
	listener net.Listener
	status   *os.File
}

// AsWorker returns what a process that a supervisor started needs to know, nil for any other process. It is called
// once, before the process starts others.
func AsWorker() (*Worker, error) {
	public := os.Getenv(envWorker)
	if public == "" {
		return nil, nil
	}
	os.Unsetenv(envWorker)
	syscall.CloseOnExec(statusFile) // the supervisor waits for its end
	addr, err := net.ResolveTCPAddr("tcp", public)
	if err != nil {
		return nil, fmt.Errorf("supervise: %s: %w", envWorker, err)
	}
	f := os.NewFile(listenerFile, "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("supervise: the supervisor's listener: %w", err)
	}
	return &Worker{listener: &workerListener{l, addr}, status: os.NewFile(statusFile, "status")}, nil
}

// Listener returns where the worker gets its connections. Their addresses are those of the clients' connections with
// the supervisor, and its address is the supervisor's.
func (w *Worker) Listener() net.Listener { return w.listener }

// Device tells the supervisor where the worker computes, for its messages.
func (w *Worker) Device(description string) { w.tell(wordDevice + description) }

// Ready tells the supervisor that the worker is up: if it dies from now on, it is worth another start.
func (w *Worker) Ready() { w.tell(wordReady) }

// Done tells the supervisor that the process is about to end and need not be started again.
func (w *Worker) Done() { w.tell(wordDone) }

func (w *Worker) tell(word string) {
	if w != nil {
		fmt.Fprintln(w.status, word) // an error means that the supervisor is gone, and this process soon
	}
}
