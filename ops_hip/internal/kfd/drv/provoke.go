//go:build linux

package drv

import (
	"errors"
	"time"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// BadPacket launches a kernel in workgroups of twice the size that firmware allows, and waits. The error is how that was
// noticed; the device is lost after it. Nil means that it was not.
func (d *Device) BadPacket() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return err
	}
	const threads = 2048
	p, m, err := d.work("fill", 16, 16, uint64(d.staging.va), 16, 0)
	if err != nil {
		return err
	}
	x := p.AsDispatch()
	x.GroupX, x.GridX = threads, threads
	if err := d.submit(&p, m.sig); err != nil {
		return err
	}
	return d.sync(m)
}

// Stall lets the queue wait for a signal that nothing completes, until the time without progress is over: the error then
// wraps ErrHang, and the device is lost. Unlike a kernel without end it leaves the GPU to others.
func (d *Device) Stall() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return err
	}
	if d.p.opt.Timeout == 0 {
		return errors.New("kfd: a queue that hangs would be waited for without end: there is no timeout")
	}
	never, _, err := d.take()
	if err != nil {
		return err
	}
	m, _, err := d.take()
	if err != nil {
		return err
	}
	p := barrier(m.sig)
	p.AsBarrier().Deps[0] = addressOf(never.sig)
	if err := d.submit(&p, m.sig); err != nil {
		return err
	}
	return d.sync(m)
}

// BootTime returns the host's time since it started, that in suspend included, which the other clocks leave out.
func (d *Device) BootTime() (time.Duration, error) {
	a := &abi.ClockCounters{GPUID: d.vm.gpu.ID}
	err := d.p.call(d.p.fd, abi.IocGetClockCounters, unsafe.Pointer(a))
	return time.Duration(a.System), err
}
