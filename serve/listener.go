package serve

import (
	"errors"
	"net"
	"slices"
	"sync"
)

// LimitConns returns a listener that has at most n connections open; more wait to be accepted.
func LimitConns(l net.Listener, n int) net.Listener {
	return &limitedListener{Listener: l, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

type limitedListener struct {
	net.Listener
	slots  chan struct{}
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// JoinListeners returns a listener of the connections to several. Its address is that of the first which other
// machines can reach, or else that of the first.
func JoinListeners(listeners ...net.Listener) net.Listener {
	j := &joinedListener{Listener: listeners[0], all: listeners, conns: make(chan accepted), closed: make(chan struct{})}
	if i := slices.IndexFunc(listeners, func(l net.Listener) bool { return !IsLocal(l.Addr()) }); i >= 0 {
		j.Listener = listeners[i]
	}
	for _, l := range listeners {
		go j.accept(l)
	}
	return j
}

type joinedListener struct {
	net.Listener // whose address it is
	all          []net.Listener
	conns        chan accepted
	once         sync.Once
	closed       chan struct{}
}

// accepted is what Accept has returned.
type accepted struct {
	conn net.Conn
	err  error
}

// accept passes on the connections of a listener until it fails.
func (j *joinedListener) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		select {
		case j.conns <- accepted{c, err}:
		case <-j.closed:
			if err == nil {
				c.Close()
			}
			return
		}
		if err != nil {
			return
		}
	}
}

// Accept implements net.Listener.
func (j *joinedListener) Accept() (net.Conn, error) {
	select {
	case a := <-j.conns:
		return a.conn, a.err
	case <-j.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Who serves it closes it again, which is no error.
func (j *joinedListener) Close() (err error) {
	j.once.Do(func() {
		close(j.closed)
		var errs []error
		for _, l := range j.all {
			errs = append(errs, l.Close())
		}
		err = errors.Join(errs...)
	})
	return err
}
