package supervise

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Config is what a supervisor is made of.
type Config struct {
	Listener net.Listener // for clients, which the supervisor closes
	Args     []string     // arguments of workers, without the program, which is this one
	Device   string       // where workers compute, as long as they have not said so
	Stderr   *os.File     // of workers; nil is that of this process
	Say      func(string) // what the owner of the process should know, a sentence or more
	Ready    func()       // is called whenever a worker has become ready, from another goroutine; nil is nothing

	// Of the server, as in serve.Config; 0 is none.
	HeaderTimeout, IdleTimeout, ReadTimeout, WriteTimeout time.Duration
	MaxHeaderBytes                                        int

	// A worker that dies when it was ready, or after such a one, is started again, after Backoff for the first time
	// and twice the time before for each further one; Restarts within Window are the most. 0 is 1 s, 5, and 10 min.
	Backoff  time.Duration
	Restarts int
	Window   time.Duration
}

func (c Config) withDefaults() Config {
	if c.Ready == nil {
		c.Ready = func() {}
	}
	if c.Stderr == nil {
		c.Stderr = os.Stderr
	}
	if c.Backoff == 0 {
		c.Backoff = time.Second
	}
	if c.Restarts == 0 {
		c.Restarts = 5
	}
	if c.Window == 0 {
		c.Window = 10 * time.Minute
	}
	return c
}

// ExitError says that a worker ended by itself with an exit code other than 0, and has said why.
type ExitError struct{ Code int }

// Error implements error.
func (e *ExitError) Error() string { return fmt.Sprintf("the worker ended with exit code %d", e.Code) }

// ErrWorker is the error of workers that died and are not started again. Errors that wrap it say how.
var ErrWorker = errors.New("supervise")

// supervisor is a running supervisor.
type supervisor struct {
	c       Config
	current atomic.Pointer[process]
	next    atomic.Pointer[time.Time] // when the next worker will be started, or was
	loads   atomic.Int64              // nanoseconds that the last worker took to be ready
	deaths  []time.Time
}

// Run serves until ctx is done, and then asks the worker to stop, waits until it has, and returns nil if its exit
// code is 0. It also returns when a worker ends by itself, with an *ExitError unless its exit code is 0, when a
// worker dies that comes before any was ready, and when too many have died.
func Run(ctx context.Context, c Config) error {
	s := &supervisor{c: c.withDefaults()}
	defer c.Listener.Close()
	f := newFront(s.worker, s.retryAfter)
	f.readTimeout, f.writeTimeout = c.ReadTimeout, c.WriteTimeout
	server := &http.Server{
		Handler:           f,
		ReadHeaderTimeout: c.HeaderTimeout, IdleTimeout: c.IdleTimeout, MaxHeaderBytes: c.MaxHeaderBytes,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(c.Listener) }()
	err := s.run(ctx, served)
	// Answers are complete, or have failed, when the worker has ended: this is the time to write them.
	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if server.Shutdown(last) != nil {
		server.Close()
	}
	return err
}

// run starts workers until one ends for good.
func (s *supervisor) run(ctx context.Context, served <-chan error) error {
	up := false // a worker was ready
	for {
		now := time.Now()
		s.next.Store(&now)
		p, err := s.start()
		if err != nil {
			return err
		}
		s.current.Store(p)
		stopping := false
		select {
		case <-p.exited:
		case err = <-served:
			stopping = true
		case <-ctx.Done():
			stopping = true
		}
		if stopping {
			p.stop()
			<-p.exited
		}
		s.current.Store(nil)
		switch {
		case err != nil:
			return fmt.Errorf("supervise: %w", err)
		case p.done || p.state.Exited() && p.state.ExitCode() != crashed:
			if code := p.state.ExitCode(); code != 0 {
				return &ExitError{code}
			}
			return nil
		}
		if at := p.readyAt.Load(); at != nil {
			up = true
			s.loads.Store(int64(at.Sub(p.started)))
		}
		what := p.obituary(s.c.Device)
		switch wait, again := s.again(p.ended); {
		case stopping:
			return fmt.Errorf("%w: while it was to stop, %s", ErrWorker, what)
		case !up:
			return fmt.Errorf("%w: %s", ErrWorker, what)
		case !again:
			return fmt.Errorf("%w: %s It was started %d times within %v and is not started again", ErrWorker, what,
				s.c.Restarts, s.c.Window)
		default:
			s.c.Say(fmt.Sprintf("%s Requests in flight were answered with status 503; it starts again in %v (%d of %d times within %v).",
				what, wait, len(s.deaths), s.c.Restarts, s.c.Window))
			at := p.ended.Add(wait)
			s.next.Store(&at)
			select {
			case <-time.After(wait):
			case err := <-served:
				return fmt.Errorf("supervise: %w", err)
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// again counts a death and returns how long to wait before the next start, and whether there may be one.
func (s *supervisor) again(now time.Time) (time.Duration, bool) {
	for len(s.deaths) > 0 && now.Sub(s.deaths[0]) > s.c.Window {
		s.deaths = s.deaths[1:]
	}
	s.deaths = append(s.deaths, now)
	return s.c.Backoff << (len(s.deaths) - 1), len(s.deaths) <= s.c.Restarts
}

// worker returns the worker, nil if there is none.
func (s *supervisor) worker() *process {
	if p := s.current.Load(); p != nil && p.alive() {
		return p
	}
	return nil
}

// retryAfter returns when a worker may be ready: the wait for its start, and what the last one took.
func (s *supervisor) retryAfter() time.Duration {
	wait := time.Duration(s.loads.Load())
	if at := s.next.Load(); at != nil {
		wait += time.Until(*at)
	}
	return max(0, wait)
}
