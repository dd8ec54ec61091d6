//go:build linux

package drv

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
)

// bootstrap brings the kernels that copy to the device. They cannot copy themselves before they run: the first of them
// run from memory that the host writes.
func (d *Device) bootstrap(image []byte) error {
	o, err := parse(image, d.vm.gpu.Target)
	if err != nil {
		return err
	}
	if d.ib, err = d.p.alloc(d.vm, abi.PageSize, abi.HostFlags, true); err != nil {
		return err
	}
	code := abi.AcquireMem(abi.GCRCode)
	*(*[8]uint32)(pointer(d.ib.va)) = code
	if d.staging, err = d.p.alloc(d.vm, stagingBytes, abi.HostFlags, true); err != nil {
		return err
	}
	b, err := d.firstCode(o.Image)
	if err != nil {
		return err
	}
	first := d.module(o, b)
	d.copier = first
	if err := d.dropCode(); err != nil {
		return err
	}
	final, err := d.load(o)
	if err != nil {
		return d.firstFailed(err)
	}
	d.copier = final
	if err := d.idle(); err != nil {
		return err
	}
	if err := d.dropModule(first); err != nil {
		return err
	}
	return d.firstFailed(d.proveCopies(o))
}

// firstCode returns memory with the kernels that run before there is one that copies: memory of the host or, with
// Options.BootstrapVRAM, device memory that the host maps.
func (d *Device) firstCode(image []byte) (*buffer, error) {
	p, flags := d.p, uint32(abi.HostFlags)
	if p.opt.BootstrapVRAM {
		if !d.vm.gpu.LargeBAR {
			return nil, fmt.Errorf("kfd: the host maps a part of the memory of node %d only (Resizable BAR is off), "+
				"so that the first kernels cannot begin there", d.vm.gpu.Node)
		}
		flags = abi.WindowFlags
	}
	b, err := p.alloc(d.vm, int64(len(image)), flags, true)
	if err != nil {
		return nil, err
	}
	copy(b.bytes(), image)
	if p.opt.BootstrapVRAM && !d.vm.info.Integrated {
		if err := p.flushWindow(d.vm); err != nil {
			return nil, errors.Join(err, p.free(b))
		}
	}
	return b, nil
}

// firstFailed adds to an error of the first kernels where else they can begin.
func (d *Device) firstFailed(err error) error {
	if err == nil || d.p.opt.BootstrapVRAM || !d.vm.gpu.LargeBAR {
		return err
	}
	return fmt.Errorf("%w; if the GPU cannot run kernels from memory of the host, %s=vram may help", err, EnvBootstrap)
}

// flushWindow brings what the host has stored in device memory out of the buffers on the way (the host data path, HDP):
// by a register, in a page that the kernel lets processes map for that.
func (p *Process) flushWindow(v *vm) error {
	b := &buffer{size: abi.PageSize}
	if err := p.reserve(b, abi.PageSize); err != nil {
		return err
	}
	m := &abi.Alloc{VA: uint64(b.va), Size: abi.PageSize, GPUID: v.gpu.ID, Flags: abi.MMIOFlags}
	if err := p.call(p.fd, abi.IocAlloc, unsafe.Pointer(m)); err != nil {
		return errors.Join(err, p.sys.Munmap(b.va, b.size))
	}
	_, err := p.sys.Mmap(p.fd, m.MmapOffset, b.va, b.size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED|syscall.MAP_FIXED)
	if err == nil {
		r := (*uint32)(pointer(b.va + abi.HDPMemFlush))
		sys.Store32(r, 1)
		atomic.LoadUint32(r) // comes back when the store has arrived
	} else {
		err = failed("mmap of the registers that flush", err)
	}
	f := &abi.Free{Handle: m.Handle}
	return errors.Join(err, p.sys.Munmap(b.va, b.size), p.call(p.fd, abi.IocFree, unsafe.Pointer(f)))
}

// proveCopies reads back what bootstrap wrote, by kernels alone.
func (d *Device) proveCopies(o *codeobj.Object) error {
	b := d.staging.bytes()
	n := min(len(o.Image), len(b))
	clear(b)
	if err := d.copyNow(uint64(d.staging.va), uint64(d.copier.buf.va), int64(n)); err != nil {
		return err
	}
	for i, x := range o.Image[:n] {
		if b[i] != x {
			return fmt.Errorf("kfd: byte %d of what was copied to the device comes back as %#x, not %#x", i, b[i], x)
		}
	}
	return nil
}
