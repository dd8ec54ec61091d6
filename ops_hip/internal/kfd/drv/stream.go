//go:build linux

package drv

import (
	"errors"
	"fmt"
	"math"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// ErrCapture says that something cannot be done while a stream captures.
var ErrCapture = errors.New("the stream captures launches")

// Stream is work in turn. All streams of a device share its queue.
type Stream struct {
	d         *Device
	last      mark
	capturing bool
	recorded  []abi.Packet // launches; their arguments are offsets in args
	args      []byte
	closed    bool
}

// NewStream returns a stream without work.
func (d *Device) NewStream() (*Stream, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return nil, err
	}
	return &Stream{d: d}, nil
}

// ready says why the stream takes no work.
func (s *Stream) ready() error {
	if s.closed {
		return errClosed
	}
	return s.d.usable()
}

// working is ready for what cannot be captured.
func (s *Stream) working(what string) error {
	if err := s.ready(); err != nil {
		return err
	}
	if s.capturing {
		return fmt.Errorf("kfd: %s cannot be captured: %w", what, ErrCapture)
	}
	return nil
}

// Sync waits for the stream's work.
func (s *Stream) Sync() error {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := s.working("waiting"); err != nil {
		return err
	}
	if err := d.sync(s.last); err != nil {
		return err
	}
	return d.failure()
}

// Close waits for the stream's work and ends it.
func (s *Stream) Close() error {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.closed || d.closed {
		return errClosed
	}
	s.closed = true
	if d.lost != nil {
		return nil
	}
	return d.sync(s.last)
}

// Launch starts a kernel, whose n bytes of arguments lie at the address kernarg: memory of HostAlloc, aligned to 64
// bytes, that stays as it is until the kernel has ended. grid counts blocks. While the stream captures, the arguments
// are copied instead, at once.
func (s *Stream) Launch(k *Kernel, grid, block [3]uint32, kernarg uint64, n int) error {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := s.ready(); err != nil {
		return err
	}
	p, err := k.packet(d, grid, block, n)
	if err != nil {
		return err
	}
	if kernarg%kernargSlot != 0 {
		return fmt.Errorf("kfd: kernel %s: arguments at %#x, not at a multiple of %d", k.Name, kernarg, kernargSlot)
	}
	if err := d.mem.check(uintptr(kernarg), int64(n), true); err != nil {
		return fmt.Errorf("arguments of kernel %s: %w", k.Name, err)
	}
	if s.capturing {
		at := (len(s.args) + kernargSlot - 1) &^ (kernargSlot - 1)
		s.args = append(s.args, make([]byte, at-len(s.args))...)
		if n > 0 {
			b, _ := d.mem.below(uintptr(kernarg)) // which check found
			s.args = append(s.args, b.bytes()[uintptr(kernarg)-b.va:][:n]...)
		}
		p.AsDispatch().Kernarg = uint64(at)
		s.recorded = append(s.recorded, p)
		return nil
	}
	p.AsDispatch().Kernarg = kernarg
	m, _, err := d.take()
	if err != nil {
		return err
	}
	return s.submit(&p, m)
}

// submit submits a packet that m completes.
func (s *Stream) submit(p *abi.Packet, m mark) error {
	p.SetCompletion(addressOf(m.sig))
	if err := s.d.submit(p, m.sig); err != nil {
		return err
	}
	s.last = m
	return nil
}

// packet returns a launch by itself, without arguments and completion.
func (k *Kernel) packet(d *Device, grid, block [3]uint32, n int) (p abi.Packet, err error) {
	if k.module.d != d || k.module.unloaded {
		return p, fmt.Errorf("kfd: kernel %s is of another device, or was unloaded", k.Name)
	}
	if n < k.minArgs || n > max(k.KernargSize, k.minArgs) {
		return p, fmt.Errorf("kfd: kernel %s takes %d bytes of arguments, the launch has %d", k.Name, k.minArgs, n)
	}
	threads := uint64(1)
	var all [3]uint32
	for i := range 3 {
		total := uint64(grid[i]) * uint64(block[i])
		if grid[i] == 0 || block[i] == 0 || total > math.MaxUint32 {
			return p, fmt.Errorf("kfd: kernel %s: grid %v of blocks %v is empty or too large in dimension %d", k.Name,
				grid, block, i)
		}
		all[i] = uint32(total)
		threads *= uint64(min(block[i], 1<<16))
	}
	if threads > uint64(k.MaxThreads) || threads > 1024 {
		return p, fmt.Errorf("kfd: kernel %s is compiled for blocks of up to %d threads, the launch has %d", k.Name,
			k.MaxThreads, threads)
	}
	x := abi.Dispatch{Header: abi.HeaderDispatchSingle, Setup: abi.SetupDims, GroupX: uint16(block[0]),
		GroupY: uint16(block[1]), GroupZ: uint16(block[2]), GridX: all[0], GridY: all[1], GridZ: all[2],
		GroupSize: uint32(k.LDS), KernelObject: k.object}
	return x.Packet(), nil
}
