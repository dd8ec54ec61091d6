//go:build linux

package drv

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// CopyPeer copies n bytes between two devices of one process through memory of the host that both map, piece by piece,
// and waits.
func CopyPeer(to *Device, dst uint64, from *Device, src uint64, n int64) (err error) {
	if to == from || to.p != from.p {
		return errors.New("kfd: a copy between devices takes two of one process")
	}
	if n < 0 {
		return fmt.Errorf("kfd: a copy of %d bytes", n)
	}
	if n == 0 {
		return nil
	}
	b, err := from.window(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.closeWindow(b, to)) }()
	for n > 0 {
		piece := min(n, int64(b.size))
		if err := from.piece(uint64(b.va), src, piece, src); err != nil {
			return err
		}
		if err := to.piece(dst, uint64(b.va), piece, dst); err != nil {
			return err
		}
		dst, src, n = dst+uint64(piece), src+uint64(piece), n-piece
	}
	return nil
}

// peerBytes is the size of pieces.
const peerBytes = 1 << 20

// window returns memory of the host that d and another device map. It is d's.
func (d *Device) window(other *Device) (*buffer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return nil, err
	}
	b, err := d.p.alloc(d.vm, peerBytes, abi.HostFlags, false)
	if err != nil {
		return nil, err
	}
	if err := d.p.mapTo(b, other.vm.gpu.ID); err != nil {
		return nil, errors.Join(err, d.p.free(b))
	}
	d.mem.add(b)
	return b, nil
}

// closeWindow frees memory that d and another device map, once both are idle: the kernel takes it from both.
func (d *Device) closeWindow(b *buffer, other *Device) error {
	first, second := d, other
	if second.vm.gpu.ID < first.vm.gpu.ID { // all callers lock in one order
		first, second = second, first
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()
	if d.closed {
		return errClosed
	}
	d.mem.take(b.va)
	return release(b, d, other)
}

// piece copies n bytes and waits; own is the side that must be d's.
func (d *Device) piece(to, from uint64, n int64, own uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return err
	}
	if err := d.mem.check(uintptr(own), n, false); err != nil {
		return err
	}
	return d.copyNow(to, from, n)
}
