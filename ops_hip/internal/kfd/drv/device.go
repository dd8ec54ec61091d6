//go:build linux

package drv

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/topo"
)

var errClosed = errors.New("kfd: it is closed")

// Device is an open GPU.
type Device struct {
	p  *Process
	vm *vm

	mu         sync.Mutex
	q          queue
	sig        signals
	watch      watch
	mem        ledger // what users allocated
	kernels    map[uint64]*Kernel
	copier     *Module
	ib         *buffer // PM4 that invalidates caches of instructions
	staging    *buffer
	counterKHz uint32
	openFree   int64 // that was available when the device was opened
	lost       error
	hung       bool
	closed     bool
}

// Open opens a GPU that Devices returned: its address space the first time, then its queue, and the kernels that copy,
// which must prove that they do.
func (p *Process) Open(g topo.GPU) (_ *Device, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	image, err := fit(&g)
	if err != nil {
		return nil, err
	}
	if err := p.start(); err != nil {
		return nil, err
	}
	v, err := p.vmOf(g)
	if err != nil {
		return nil, err
	}
	d, err := p.device(v, g)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.release())
		}
	}()
	if d.openFree, err = p.available(v); err != nil {
		return nil, err
	}
	for _, stage := range []func() error{d.makeEvents, d.makeSignals, d.makeQueue} {
		if err := stage(); err != nil {
			return nil, err
		}
	}
	if err := d.bootstrap(image); err != nil {
		return nil, err
	}
	return d, nil
}

// fit returns the kernels that copy on a GPU, or why it cannot be driven.
func fit(g *topo.GPU) (image []byte, err error) {
	if err := g.Unfit(); err != nil {
		return nil, fmt.Errorf("kfd: %w", err)
	}
	return copyObject(g.Target)
}

// device returns a device without a queue in an address space, which is its own until release.
func (p *Process) device(v *vm, g topo.GPU) (*Device, error) {
	switch {
	case v.lost != nil:
		return nil, v.lost
	case v.inUse:
		return nil, fmt.Errorf("kfd: node %d (%s) is open already", g.Node, g.Target)
	}
	v.gpu = g
	if err := p.enable(); err != nil {
		return nil, err
	}
	p.open++
	v.inUse = true
	d := &Device{p: p, vm: v, kernels: map[uint64]*Kernel{}, counterKHz: v.info.CounterKHz}
	if d.counterKHz == 0 {
		d.counterKHz = 100000
	}
	return d, nil
}

// makeEvents makes the events of the device, and the process's page of them if there is none.
func (d *Device) makeEvents() error {
	if err := d.p.eventPage(d.vm); err != nil {
		return err
	}
	return d.watchEvents()
}

// GPU returns what the topology says of the device.
func (d *Device) GPU() topo.GPU { return d.vm.gpu }

// usable says why nothing more can be done with the device; nil if something can.
func (d *Device) usable() error {
	if d.closed {
		return errClosed
	}
	return d.lost
}

// Lost returns why the device is lost, or nil.
func (d *Device) Lost() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost
}

// Close waits for the device's work and releases what it holds, except what users allocated and did not free, which is
// an error. After a hang nothing is released: kernels may still run.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	var errs []error
	if d.lost == nil {
		errs = append(errs, d.idle())
	}
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	return errors.Join(append(errs, d.release())...)
}

// release frees what there is. The process is locked.
func (d *Device) release() error {
	d.closed = true
	if d.hung {
		return nil
	}
	errs := []error{d.closeQueue()}
	if d.q.live { // its buffers are in use
		return errs[0]
	}
	if d.copier != nil {
		errs = append(errs, d.dropModule(d.copier))
	}
	for _, b := range []**buffer{&d.ib, &d.staging} {
		if *b != nil {
			errs = append(errs, d.p.free(*b))
			*b = nil
		}
	}
	errs = append(errs, d.freeSignals(), d.unwatch())
	if n := len(d.mem.list); n > 0 {
		for _, b := range d.mem.list {
			errs = append(errs, d.p.free(b))
		}
		d.mem.list = nil
		errs = append(errs, fmt.Errorf("kfd: %d allocations were not freed before their device was closed", n))
	}
	d.p.open--
	d.vm.inUse = false
	return errors.Join(append(errs, d.p.disable())...)
}
