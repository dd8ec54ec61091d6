//go:build linux

package drv

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// hugePage is the alignment of large allocations: the GPU's page tables then have large entries.
const hugePage = 2 << 20

// maxAlloc bounds one allocation; larger requests are mistakes.
const maxAlloc = 1 << 46

// buffer is memory of a GPU, at the same address on the host.
type buffer struct {
	va, size uintptr // what is mapped
	want     int64   // what was asked for
	handle   uint64
	on       *vm
	gpus     []uint32 // that map it
	host     bool     // the host maps it too
}

// bytes returns what the host sees.
func (b *buffer) bytes() []byte { return unsafe.Slice((*byte)(pointer(b.va)), b.size) }

// alloc returns n bytes on a GPU, as the flags say. Buffers that queues use are exact: rounded to pages, never more.
func (p *Process) alloc(v *vm, n int64, flags uint32, exact bool) (*buffer, error) {
	if n <= 0 || n > maxAlloc {
		return nil, fmt.Errorf("kfd: %d bytes are outside of 1..%d", n, int64(maxAlloc))
	}
	align := uintptr(abi.PageSize)
	if n >= hugePage && !exact {
		align = hugePage
	}
	b := &buffer{size: (uintptr(n) + align - 1) &^ (align - 1), want: n, on: v, host: flags&(abi.MemGTT|abi.MemPublic) != 0}
	if err := p.reserve(b, align); err != nil {
		return nil, err
	}
	undo := func(err error) error { return errors.Join(err, p.sys.Munmap(b.va, b.size)) }
	a := v.aperture
	if uint64(b.va) < a.GPUVMBase || uint64(b.va)+uint64(b.size)-1 > a.GPUVMLimit {
		return nil, undo(fmt.Errorf("kfd: the host's address %#x of %d bytes is outside of the GPU's %#x to %#x", b.va,
			b.size, a.GPUVMBase, a.GPUVMLimit))
	}
	m := &abi.Alloc{VA: uint64(b.va), Size: uint64(b.size), GPUID: v.gpu.ID, Flags: flags}
	if err := p.call(p.fd, abi.IocAlloc, unsafe.Pointer(m)); err != nil {
		p.wanted(err, v, n)
		return nil, undo(err)
	}
	b.handle = m.Handle
	undo = func(err error) error { // the host's view first
		f := &abi.Free{Handle: b.handle}
		return errors.Join(err, p.sys.Munmap(b.va, b.size), p.call(p.fd, abi.IocFree, unsafe.Pointer(f)))
	}
	if b.host {
		_, err := p.sys.Mmap(v.render, m.MmapOffset, b.va, b.size, syscall.PROT_READ|syscall.PROT_WRITE,
			syscall.MAP_SHARED|syscall.MAP_FIXED)
		if err != nil {
			return nil, undo(failed(fmt.Sprintf("mmap of %d bytes", b.size), err))
		}
	}
	if err := p.mapTo(b, v.gpu.ID); err != nil {
		p.wanted(err, v, n)
		return nil, undo(err)
	}
	return b, nil
}

// wanted tells an error of a full device what was wanted of how much.
func (p *Process) wanted(err error, v *vm, n int64) {
	var e *Error
	if errors.As(err, &e) && e.Errno == syscall.ENOMEM {
		e.Text = fmt.Sprintf("%d bytes wanted", n)
		if free, err := p.available(v); err == nil {
			e.Text += fmt.Sprintf(", %d available", free)
		}
	}
}

// reserve finds addresses for b, which nobody can access yet.
func (p *Process) reserve(b *buffer, align uintptr) error {
	n := b.size
	if align > abi.PageSize {
		n += align
	}
	at, err := p.sys.Mmap(-1, 0, 0, n, syscall.PROT_NONE,
		syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS|syscall.MAP_NORESERVE)
	if err != nil {
		e := failed(fmt.Sprintf("reserving %d bytes of addresses", n), err)
		if e.Errno == syscall.ENOMEM {
			e.Text = "is the address space limited (ulimit -v)?"
		}
		return e
	}
	b.va = (at + align - 1) &^ (align - 1)
	var errs []error
	if head := b.va - at; head > 0 {
		errs = append(errs, p.sys.Munmap(at, head))
	}
	if tail := at + n - (b.va + b.size); tail > 0 {
		errs = append(errs, p.sys.Munmap(b.va+b.size, tail))
	}
	return errors.Join(errs...)
}

// mapTo maps b to a GPU.
func (p *Process) mapTo(b *buffer, gpu uint32) error {
	ids := []uint32{gpu}
	if err := p.mapCall(abi.IocMap, b, ids); err != nil {
		return err
	}
	b.gpus = append(b.gpus, gpu)
	return nil
}

// mapCall maps b to GPUs, or unmaps it.
func (p *Process) mapCall(nr uint32, b *buffer, ids []uint32) error {
	var pin runtime.Pinner
	pin.Pin(&ids[0])
	defer pin.Unpin()
	m := &abi.Map{Handle: b.handle, IDs: uint64(uintptr(unsafe.Pointer(&ids[0]))), N: uint32(len(ids))}
	return p.call(p.fd, nr, unsafe.Pointer(m))
}

// share maps b to a further GPU, if it is not yet.
func (p *Process) share(b *buffer, v *vm) error {
	if slices.Contains(b.gpus, v.gpu.ID) {
		return nil
	}
	return p.mapTo(b, v.gpu.ID)
}

// free releases b. Nothing on a GPU may use it.
func (p *Process) free(b *buffer) error {
	var errs []error
	if len(b.gpus) > 0 {
		if err := p.mapCall(abi.IocUnmap, b, b.gpus); err != nil {
			return err // still in use: giving its addresses to others would harm more than a leak
		}
		b.gpus = nil
	}
	errs = append(errs, p.sys.Munmap(b.va, b.size))
	f := &abi.Free{Handle: b.handle}
	return errors.Join(append(errs, p.call(p.fd, abi.IocFree, unsafe.Pointer(f)))...)
}

// available returns the bytes that the kernel would still give.
func (p *Process) available(v *vm) (int64, error) {
	a := &abi.AvailableMemory{GPUID: v.gpu.ID}
	err := p.call(p.fd, abi.IocAvailableMemory, unsafe.Pointer(a))
	return int64(a.Available), err
}

// ledger are the buffers that users of a device have, sorted by address.
type ledger struct {
	mu   sync.RWMutex
	list []*buffer
}

func (l *ledger) find(va uintptr) (int, bool) {
	return slices.BinarySearchFunc(l.list, va, func(b *buffer, va uintptr) int { return cmp.Compare(b.va, va) })
}

func (l *ledger) add(b *buffer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := l.find(b.va)
	l.list = slices.Insert(l.list, i, b)
}

// take removes the buffer that begins at va.
func (l *ledger) take(va uintptr) (*buffer, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, ok := l.find(va)
	if !ok {
		return nil, false
	}
	b := l.list[i]
	l.list = slices.Delete(l.list, i, i+1)
	return b, true
}

// below returns the last buffer that begins at va or before.
func (l *ledger) below(va uintptr) (*buffer, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	i, ok := l.find(va)
	if !ok {
		i--
	}
	if i < 0 {
		return nil, false
	}
	return l.list[i], true
}

// check reports whether n bytes at va are of one buffer, which the host must see if it is to be of the host.
func (l *ledger) check(va uintptr, n int64, host bool) error {
	b, ok := l.below(va)
	switch {
	case !ok || va-b.va >= b.size || uint64(n) > uint64(b.size-(va-b.va)):
		return fmt.Errorf("kfd: %d bytes at %#x are not in one allocation of this device", n, va)
	case host && !b.host:
		return fmt.Errorf("kfd: %d bytes at %#x are memory of the device, not of the host", n, va)
	}
	return nil
}

// Malloc returns the address of n bytes of device memory, aligned to 4096 bytes and not zeroed.
func (d *Device) Malloc(n int64) (uint64, error) { return d.allocate(n, abi.DeviceFlags) }

// HostAlloc returns n bytes that the host and the device see, at the same address. Behind them are 64 that are mapped
// too, since kernels load arguments in larger pieces than they have.
func (d *Device) HostAlloc(n int64) ([]byte, error) {
	if n <= 0 || n > maxAlloc {
		return nil, fmt.Errorf("kfd: %d bytes are outside of 1..%d", n, int64(maxAlloc))
	}
	va, err := d.allocate(n+64, abi.HostFlags)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(pointer(uintptr(va))), n), nil
}

func (d *Device) allocate(n int64, flags uint32) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return 0, err
	}
	b, err := d.p.alloc(d.vm, n, flags, false)
	if err != nil {
		return 0, err
	}
	d.mem.add(b)
	return uint64(b.va), nil
}

// Free releases what Malloc or HostAlloc returned, once all work that was given to the device is done.
func (d *Device) Free(va uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	b, ok := d.mem.take(uintptr(va))
	if !ok {
		return fmt.Errorf("kfd: no allocation begins at %#x", va)
	}
	return release(b, d)
}

// release frees memory that the devices map, all of them locked, once all work that was given to them is done.
func release(b *buffer, users ...*Device) error {
	var errs []error
	for _, d := range users {
		if d.lost == nil && !d.closed {
			errs = append(errs, d.idle())
		}
		if d.hung {
			return errors.Join(errs...) // a kernel may still run, with this memory
		}
	}
	return errors.Join(append(errs, users[0].p.free(b))...)
}

// Memory returns the bytes that are free and that exist, as far as the kernel says. Of a discrete GPU a little is left
// to others, since the kernel stops all queues to make room where displays want some back.
func (d *Device) Memory() (free, total int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return 0, 0, err
	}
	free, err = d.p.available(d.vm)
	total = int64(d.vm.gpu.Memory)
	if !d.vm.info.Integrated {
		free -= min(512<<20, total*3/100)
	} else if total == 0 {
		total = d.openFree
	}
	return max(0, free), total, err
}
