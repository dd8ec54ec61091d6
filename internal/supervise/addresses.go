package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// maxPreamble is far above two addresses.
const maxPreamble = 256

// preambleTimeout is how long a worker waits for what a supervisor sends at once.
const preambleTimeout = 10 * time.Second

// preamble is what a connection to a worker begins with: the addresses of the client's connection.
func preamble(remote, local string) string { return remote + " " + local + "\n" }

// workerListener accepts connections that begin with a preamble.
type workerListener struct {
	net.Listener
	addr net.Addr
}

// Accept implements net.Listener. It does not wait for the preamble, and hangs up on all but the supervisor.
func (l *workerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	for err == nil && !fromSupervisor(c) {
		c.Close()
		c, err = l.Listener.Accept()
	}
	if err != nil {
		return nil, err
	}
	w := &workerConn{Conn: c, local: l.addr}
	w.remote = w.local // until the preamble says more
	return w, nil
}

// Addr implements net.Listener.
func (l *workerListener) Addr() net.Addr { return l.addr }

// workerConn has the addresses that its preamble gives.
type workerConn struct {
	net.Conn
	once          sync.Once
	remote, local net.Addr
	err           error
}

// greet reads the preamble. HTTP servers ask for addresses first, from the goroutine of the connection.
func (c *workerConn) greet() {
	c.once.Do(func() {
		c.Conn.SetReadDeadline(time.Now().Add(preambleTimeout))
		defer c.Conn.SetReadDeadline(time.Time{})
		var line []byte
		// what follows is the request
		for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); line = append(line, b...) {
			if _, c.err = c.Conn.Read(b); c.err != nil {
				return
			}
			if len(line) == maxPreamble {
				c.err = errors.New("supervise: no preamble")
				return
			}
		}
		remote, local, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		r, rerr := net.ResolveTCPAddr("tcp", remote)
		l, lerr := net.ResolveTCPAddr("tcp", local)
		if err := errors.Join(rerr, lerr); err != nil {
			c.err = fmt.Errorf("supervise: preamble %q: %w", line, err)
			return
		}
		c.remote, c.local = r, l
	})
}

// RemoteAddr implements net.Conn.
func (c *workerConn) RemoteAddr() net.Addr {
	c.greet()
	return c.remote
}

// LocalAddr implements net.Conn.
func (c *workerConn) LocalAddr() net.Addr {
	c.greet()
	return c.local
}

// Read implements net.Conn.
func (c *workerConn) Read(b []byte) (int, error) {
	if c.greet(); c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(b)
}
