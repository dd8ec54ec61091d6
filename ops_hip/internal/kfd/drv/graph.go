//go:build linux

package drv

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// Graph is launches as packets that only have to be copied into the ring. Their arguments lie in device memory.
type Graph struct {
	d       *Device
	packets []abi.Packet
	args    *buffer
	closed  bool
}

// BeginCapture makes the stream record launches instead of starting them.
func (s *Stream) BeginCapture() error {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if err := s.working("a capture"); err != nil {
		return err
	}
	s.capturing, s.recorded, s.args = true, nil, nil
	return nil
}

// EndCapture returns the recording. The stream is free again also if that fails.
func (s *Stream) EndCapture() (*Graph, error) {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := s.ready(); err != nil {
		return nil, err
	}
	if !s.capturing {
		return nil, errors.New("kfd: nothing was captured")
	}
	g := &Graph{d: d, packets: s.recorded}
	args := s.args
	s.capturing, s.recorded, s.args = false, nil, nil
	if len(g.packets) == 0 {
		return nil, errors.New("kfd: no launch was captured")
	}
	// Kernels load their arguments in pieces of up to 64 bytes, also behind the last.
	b, err := d.p.alloc(d.vm, int64(len(args)+kernargSlot), abi.DeviceFlags, false)
	if err != nil {
		return nil, err
	}
	if err := d.upload(uint64(b.va), args); err != nil {
		if d.hung {
			return nil, err
		}
		return nil, errors.Join(err, d.p.free(b))
	}
	g.args = b
	for i := range g.packets {
		p := &g.packets[i]
		p.AsDispatch().Kernarg += uint64(b.va)
		p.SetHeader(d.header(i == 0, i == len(g.packets)-1))
	}
	return g, nil
}

// header returns the header of a launch by its place in a batch: the first sees what the host wrote, the last shows
// the host what was written.
func (d *Device) header(first, last bool) uint16 {
	switch {
	case d.p.opt.SystemFences || first && last:
		return abi.HeaderDispatchSingle
	case first:
		return abi.HeaderDispatchFirst
	case last:
		return abi.HeaderDispatchLast
	}
	return abi.HeaderDispatchInner
}

// Launch starts all launches of the graph in their order. The GPU begins while later ones are still copied.
func (g *Graph) Launch(s *Stream) error {
	d := g.d
	d.mu.Lock()
	defer d.mu.Unlock()
	switch err := s.working("a graph"); {
	case err != nil:
		return err
	case g.closed:
		return errClosed
	case s.d != d:
		return errors.New("kfd: a graph of another device")
	}
	m, _, err := d.take()
	if err != nil {
		return err
	}
	q := &d.q
	end := g.packets[len(g.packets)-1]
	end.SetCompletion(addressOf(m.sig))
	for left := g.packets; len(left) > 0; {
		n := min(len(left), int(q.size/2))
		if err := d.room(uint64(n)); err != nil {
			return fmt.Errorf("kfd: %d of %d launches of a graph were not started: %w", len(left), len(g.packets), err)
		}
		rest := left[n:]
		whole := n
		if len(rest) == 0 {
			whole--
		}
		for i := range left[:whole] {
			q.put(q.write+uint64(i), &left[i])
		}
		tail := q.tail
		if len(rest) == 0 {
			q.put(q.write+uint64(n-1), &end)
			tail = m.sig
		}
		d.publish(uint64(n), tail)
		left = rest
	}
	s.last = m
	return nil
}

// Close waits for the device's work and releases the arguments.
func (g *Graph) Close() error {
	d := g.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.closed || d.closed {
		return errClosed
	}
	g.closed = true
	if d.lost == nil {
		if err := d.idle(); err != nil && d.hung {
			return err
		}
	}
	if d.hung {
		return nil
	}
	return d.p.free(g.args)
}
