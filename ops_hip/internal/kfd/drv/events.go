//go:build linux

package drv

import (
	"errors"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// eventPage makes v see the process's page of events, which the first event of the process brings.
func (p *Process) eventPage(v *vm) error {
	if p.page != nil {
		return p.share(p.page, v)
	}
	b, err := p.alloc(v, abi.EventPageSize, abi.HostFlags, true)
	if err != nil {
		return err
	}
	e := &abi.CreateEvent{PageOffset: b.handle, Type: abi.EventSignal, AutoReset: 1}
	if err := p.call(p.fd, abi.IocCreateEvent, unsafe.Pointer(e)); err != nil {
		err.(*Error).Text = "the process has events already: the GPU is driven by libamdhip64 too"
		return errors.Join(err, p.free(b))
	}
	p.page, p.pageEvent, p.pageFree = b, *e, true
	return nil
}

// unmapPage takes the page of events from the host; the kernel keeps the memory.
func (p *Process) unmapPage() error { return p.sys.Munmap(p.page.va, p.page.size) }

// createEvent makes an event.
func (p *Process) createEvent(kind, autoReset uint32) (abi.CreateEvent, error) {
	if kind == abi.EventSignal && autoReset == 1 && p.pageFree {
		p.pageFree = false
		return p.pageEvent, nil
	}
	e := &abi.CreateEvent{Type: kind, AutoReset: autoReset}
	err := p.call(p.fd, abi.IocCreateEvent, unsafe.Pointer(e))
	return *e, err
}

// destroyEvent removes an event; the one that came with the page is kept for the next device.
func (p *Process) destroyEvent(id uint32) error {
	if id == p.pageEvent.EventID && !p.pageFree {
		p.pageFree = true
		return nil
	}
	e := &abi.EventID{ID: id}
	return p.call(p.fd, abi.IocDestroyEvent, unsafe.Pointer(e))
}

// mailbox returns the address of an event's slot in the page.
func (p *Process) mailbox(e abi.CreateEvent) uint64 { return uint64(p.page.va) + 8*uint64(e.Slot) }

// watch are the events of a device.
type watch struct {
	queue, failure, memory, hardware abi.CreateEvent
	age, failureAge                  uint64
	args                             abi.WaitEvents
	data                             [4]abi.EventData
}

// indexes in watch.data.
const (
	watchQueue = iota
	watchFailure
	watchMemory
	watchHardware
)

// watchEvents makes the events of a device.
func (d *Device) watchEvents() error {
	p, w := d.p, &d.watch
	for _, x := range []struct {
		to    *abi.CreateEvent
		kind  uint32
		reset uint32
	}{{&w.queue, abi.EventSignal, 1}, {&w.failure, abi.EventSignal, 0}, {&w.memory, abi.EventMemory, 0},
		{&w.hardware, abi.EventHWException, 0}} {
		e, err := p.createEvent(x.kind, x.reset)
		if err != nil {
			return err
		}
		*x.to = e
	}
	w.age, w.failureAge = 1, 1
	return nil
}

// unwatch removes the events that were made.
func (d *Device) unwatch() error {
	var errs []error
	for _, e := range []*abi.CreateEvent{&d.watch.queue, &d.watch.failure, &d.watch.memory, &d.watch.hardware} {
		if e.EventID != 0 {
			errs = append(errs, d.p.destroyEvent(e.EventID))
			*e = abi.CreateEvent{}
		}
	}
	return errors.Join(errs...)
}

// await waits up to ms milliseconds for any event of the device, and looks at what it says of exceptions.
func (d *Device) await(ms uint32) error {
	w := &d.watch
	w.data = [4]abi.EventData{watchQueue: {EventID: w.queue.EventID}, watchFailure: {EventID: w.failure.EventID},
		watchMemory: {EventID: w.memory.EventID}, watchHardware: {EventID: w.hardware.EventID}}
	w.data[watchQueue].Data[0], w.data[watchFailure].Data[0] = w.age, w.failureAge
	w.args = abi.WaitEvents{Ptr: uint64(uintptr(unsafe.Pointer(&w.data))), N: uint32(len(w.data)), TimeoutMS: ms}
	if err := d.p.call(d.p.fd, abi.IocWaitEvents, unsafe.Pointer(&w.args)); err != nil {
		return d.lose(abi.IoctlName(abi.IocWaitEvents), "the kernel refuses to wait: "+err.Error(), nil)
	}
	if w.args.Result != abi.WaitComplete {
		return nil
	}
	w.age, w.failureAge = w.data[watchQueue].Data[0], w.data[watchFailure].Data[0]
	if m := w.data[watchMemory].Memory(); m.GPUID == d.vm.gpu.ID {
		return d.faulted(m)
	} else if m.GPUID != 0 {
		return d.reset(w.memory.EventID) // of another GPU, whose own event tells its device
	}
	if h := w.data[watchHardware].HW(); h.GPUID == d.vm.gpu.ID {
		return d.wasReset(h)
	} else if h.GPUID != 0 {
		return d.reset(w.hardware.EventID)
	}
	return nil
}

// reset makes an event unsignalled.
func (d *Device) reset(id uint32) error {
	e := &abi.EventID{ID: id}
	return d.p.call(d.p.fd, abi.IocResetEvent, unsafe.Pointer(e))
}

// wasReset loses the device to a reset.
func (d *Device) wasReset(h abi.HWException) error {
	text := "the GPU was reset"
	if h.ResetType != 0 {
		text = "the queue was reset"
	}
	if h.ResetCause != 0 {
		text += " after a memory error that could not be corrected"
	} else {
		text += " after a hang"
	}
	if h.MemoryLost {
		text += "; all of its memory is lost"
	}
	return d.lose("GPU reset", text+"; "+d.atRead(), nil)
}
