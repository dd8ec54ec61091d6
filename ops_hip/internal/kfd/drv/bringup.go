//go:build linux

package drv

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/topo"
)

// Stepper runs a step of bringing up a device and tells the user. It returns the error of f.
type Stepper func(name string, f func() (detail string, err error)) error

// What the kernel is expected to say of gfx11 and gfx12.
const (
	wantLDSBase     = 1 << 48
	wantScratchBase = 2 << 48
)

// BringUp is Open in steps of rising risk, with proofs in between that Open does without. It stops at the first that
// fails. The first error is that of a step.
func (p *Process) BringUp(g topo.GPU, step Stepper) (_ *Device, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	image, err := fit(&g)
	if err != nil {
		return nil, err
	}
	if err := step("open /dev/kfd", func() (string, error) {
		err := p.start()
		return fmt.Sprintf("interface %d.%d, addresses on %d GPUs", p.version.Major, p.version.Minor,
			len(p.apertures)), err
	}); err != nil {
		return nil, err
	}
	var v *vm
	if err := step("address space", func() (text string, err error) {
		v, text, err = p.proveVM(g)
		return text, err
	}); err != nil {
		return nil, err
	}
	var d *Device
	if err := step("errors of queues", func() (text string, err error) {
		d, err = p.device(v, g)
		if p.reports {
			return "reported by the kernel", err
		}
		return "not reported by this kernel", err
	}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.release())
		}
	}()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range []struct {
		name string
		f    func() (string, error)
	}{
		{"clocks", d.proveClocks}, {"memory", d.proveMemory}, {"events", d.proveEvents}, {"queue", d.proveQueue},
		{"a barrier, looked at", d.proveBarrier}, {"a barrier with an interrupt", d.proveInterrupt},
		{"barriers in a row", d.proveBarriers},
		{"kernels in host memory, then in device memory", func() (string, error) {
			return "the kernels that copy have copied themselves there and back", d.bootstrap(image)
		}},
	} {
		if err := step(s.name, s.f); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// proveVM acquires the address space, twice.
func (p *Process) proveVM(g topo.GPU) (*vm, string, error) {
	v, err := p.vmOf(g)
	if err != nil {
		return nil, "", err
	}
	a := &abi.AcquireVM{DRMFD: uint32(v.render), GPUID: g.ID}
	if err := p.call(p.fd, abi.IocAcquireVM, unsafe.Pointer(a)); err != nil {
		return nil, "", fmt.Errorf("the second time: %w", err)
	}
	text := fmt.Sprintf("addresses %#x to %#x, counter %d kHz, integrated %v", v.aperture.GPUVMBase,
		v.aperture.GPUVMLimit, v.info.CounterKHz, v.info.Integrated)
	if v.aperture.LDSBase != wantLDSBase || v.aperture.ScratchBase != wantScratchBase {
		text += fmt.Sprintf("; UNUSUAL: LDS at %#x, scratch at %#x", v.aperture.LDSBase, v.aperture.ScratchBase)
	}
	if v.infoErr != nil {
		text += fmt.Sprintf("; UNUSUAL: %v", v.infoErr)
	}
	return v, text, nil
}

// clockPause is the time between two looks at the GPU's clock.
const clockPause = 100 * time.Millisecond

// proveClocks compares the GPU's clock with the host's.
func (d *Device) proveClocks() (string, error) {
	var c [2]abi.ClockCounters
	for i := range c {
		a := &abi.ClockCounters{GPUID: d.vm.gpu.ID}
		if err := d.p.call(d.p.fd, abi.IocGetClockCounters, unsafe.Pointer(a)); err != nil {
			return "", err
		}
		c[i] = *a
		if i == 0 {
			d.p.sys.Sleep(clockPause)
		}
	}
	ns := c[1].System - c[0].System
	if ns == 0 {
		return "", errors.New("the host's clock stands")
	}
	khz := float64(c[1].GPU-c[0].GPU) / float64(ns) * 1e6
	text := fmt.Sprintf("%.0f kHz by the host's clock, %d expected", khz, d.counterKHz)
	if want := float64(d.counterKHz); khz < 0.99*want || khz > 1.01*want {
		text += "; UNUSUAL: times of events will be wrong"
	}
	return text, nil
}

// proveMemory allocates both kinds and gives them back.
func (d *Device) proveMemory() (string, error) {
	p := d.p
	before, err := p.available(d.vm)
	if err != nil {
		return "", err
	}
	d.openFree = before
	host, err := p.alloc(d.vm, 64<<10, abi.HostFlags, true)
	if err != nil {
		return "", err
	}
	pattern := bytes.Repeat([]byte{0x5a, 0xa5}, len(host.bytes())/2)
	copy(host.bytes(), pattern)
	if !bytes.Equal(host.bytes(), pattern) {
		err = errors.New("memory of the host does not hold what is stored")
	}
	if err := errors.Join(err, p.free(host)); err != nil {
		return "", err
	}
	dev, err := p.alloc(d.vm, 64<<20, abi.DeviceFlags, false)
	if err != nil {
		return "", err
	}
	if err := p.free(dev); err != nil {
		return "", err
	}
	after, err := p.available(d.vm)
	text := fmt.Sprintf("%d MiB available", after>>20)
	if after < before {
		text += fmt.Sprintf("; UNUSUAL: %d bytes less than before an allocation that was freed", before-after)
	}
	return text, err
}

// proveEvents signals an event from the host, and waits for one that nobody signals.
func (d *Device) proveEvents() (string, error) {
	if err := d.makeEvents(); err != nil {
		return "", err
	}
	id := d.watch.queue.EventID
	e := &abi.EventID{ID: id}
	if err := d.p.call(d.p.fd, abi.IocSetEvent, unsafe.Pointer(e)); err != nil {
		return "", err
	}
	if err := d.await(1000); err != nil {
		return "", err
	}
	if d.watch.args.Result != abi.WaitComplete {
		return "", errors.New("an event that the host has set does not wake it")
	}
	if err := d.await(10); err != nil {
		return "", err
	}
	if d.watch.args.Result != abi.WaitTimeout {
		return "", errors.New("an event stays set after it was waited for")
	}
	return fmt.Sprintf("event %d of age %d", id, d.watch.age), nil
}

// proveQueue creates the queue, destroys it and creates it again.
func (d *Device) proveQueue() (string, error) {
	if err := d.makeSignals(); err != nil {
		return "", err
	}
	if err := d.makeQueue(); err != nil {
		return "", err
	}
	start := d.p.sys.Now()
	if err := d.closeQueue(); err != nil {
		return "", fmt.Errorf("destroying it: %w", err)
	}
	took := d.p.sys.Now() - start
	if err := d.makeQueue(); err != nil {
		return "", fmt.Errorf("the second time: %w", err)
	}
	s := d.sizes(abi.VGPRBytes(d.vm.gpu.Version))
	return fmt.Sprintf("ring %d, save area %d, control stack %d, debug %d bytes; destroying one took %v", d.q.ring.size,
		s.Save, s.Ctl, s.Debug, took.Round(time.Microsecond)), nil
}

// proveBarrier submits the first packet and looks at its signal.
func (d *Device) proveBarrier() (string, error) {
	m, _, err := d.take()
	if err != nil {
		return "", err
	}
	start := d.p.sys.Now()
	p := barrier(m.sig)
	if err := d.submit(&p, m.sig); err != nil {
		return "", err
	}
	for !isDone(m.sig) {
		if err := d.failure(); err != nil {
			return "", err
		}
		if d.p.sys.Now()-start > time.Second {
			return "", d.hang(time.Second)
		}
		d.p.sys.Sleep(10 * time.Microsecond)
	}
	took := d.p.sys.Now() - start
	text := fmt.Sprintf("%v, read index %d", took.Round(time.Microsecond), d.q.read())
	if m.sig.Start == 0 || m.sig.End < m.sig.Start {
		text += "; UNUSUAL: no timestamps"
	}
	return text, nil
}

// proveInterrupt waits in the kernel for a packet.
func (d *Device) proveInterrupt() (string, error) {
	m, _, err := d.take()
	if err != nil {
		return "", err
	}
	arm(m.sig, d.p.mailbox(d.watch.queue), d.watch.queue.EventID)
	start := d.p.sys.Now()
	p := barrier(m.sig)
	if err := d.submit(&p, m.sig); err != nil {
		return "", err
	}
	if err := d.await(1000); err != nil {
		return "", err
	}
	took, result := d.p.sys.Now()-start, d.watch.args.Result
	if err := d.wait(m.sig); err != nil {
		return "", err
	}
	if result != abi.WaitComplete {
		return "no interrupt within a second; UNUSUAL: every wait will take up to 50 ms", nil
	}
	return took.Round(time.Microsecond).String(), nil
}

// proveBarriers submits many packets with one doorbell, and with one each.
func (d *Device) proveBarriers() (string, error) {
	n := uint64(min(100, d.q.size/2))
	var took [2]time.Duration
	for i := range took {
		var m mark
		start := d.p.sys.Now()
		for j := range n {
			var err error
			if m, _, err = d.take(); err != nil {
				return "", err
			}
			p := barrier(m.sig)
			if i == 1 {
				if err := d.submit(&p, m.sig); err != nil {
					return "", err
				}
				continue
			}
			if j == 0 {
				if err := d.room(n); err != nil {
					return "", err
				}
			}
			d.q.put(d.q.write+j, &p)
		}
		if i == 0 {
			d.publish(n, m.sig)
		}
		if err := d.sync(m); err != nil {
			return "", err
		}
		took[i] = d.p.sys.Now() - start
	}
	us := func(t time.Duration) float64 { return t.Seconds() * 1e6 / float64(n) }
	return fmt.Sprintf("%.2f us each with one doorbell, %.2f us with one each", us(took[0]), us(took[1])), nil
}
