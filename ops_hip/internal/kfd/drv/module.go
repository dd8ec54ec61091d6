//go:build linux

package drv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// Module is a code object in a device's memory.
type Module struct {
	d        *Device
	buf      *buffer
	kernels  map[string]*Kernel
	unloaded bool
}

// Kernel is a kernel of a Module.
type Kernel struct {
	codeobj.Kernel
	module  *Module
	object  uint64 // address of its descriptor
	minArgs int    // bytes of its arguments without padding behind the last
}

// Limits of descriptors.
const (
	maxLDS       = 64 << 10
	wantProps    = codeobj.PropKernargPtr | codeobj.PropWave32
	rsrc1Refused = 1<<20 | 1<<22 | 1<<24 // PRIV, DEBUG_MODE, BULKY
	rsrc2Refused = 1 | 1<<6 | 0x7f<<24   // scratch, trap handler, exceptions
	descSize     = 64
)

// rsrc3Allowed returns the bits of the third register that may be set, the size of the instruction prefetch. On gfx11
// what follows are traps at start and end, before it shared registers (LLVM's User Guide for AMDGPU Backend).
func rsrc3Allowed(target string) uint32 {
	if strings.HasPrefix(target, "gfx12") {
		return 0xff0
	}
	return 0x3f0
}

// checkKernel refuses kernels that the queue is not made for, or whose descriptor says what nobody should.
func checkKernel(o *codeobj.Object, f *codeobj.Function) error {
	x := f.Descriptor
	raw := o.Image[f.DescriptorAddr:][:descSize]
	le := binary.LittleEndian
	zero := func(from, to int) bool {
		for _, b := range raw[from:to] {
			if b != 0 {
				return false
			}
		}
		return true
	}
	for _, a := range f.Args {
		if a.Hidden() {
			return fmt.Errorf("it has a hidden argument %s", a.Kind)
		}
	}
	switch {
	case x.LDS > maxLDS:
		return fmt.Errorf("%d bytes of LDS, at most %d", x.LDS, maxLDS)
	case x.Private != 0 || f.Scratch != 0 || f.DynamicStack:
		return fmt.Errorf("it needs %d bytes of scratch memory, which the queue does not have", max(x.Private, uint32(f.Scratch)))
	case int(x.KernargSize) != f.KernargSize:
		return fmt.Errorf("%d bytes of arguments by its descriptor, %d by its metadata", x.KernargSize, f.KernargSize)
	case f.DescriptorAddr%descSize != 0 || f.Entry%256 != 0 || x.EntryOffset <= 0:
		return fmt.Errorf("descriptor at %#x, code at %#x: not at multiples of 64 and 256, or in the wrong order",
			f.DescriptorAddr, f.Entry)
	case x.Rsrc1&rsrc1Refused != 0 || x.Rsrc2&rsrc2Refused != 0 || x.Rsrc3&^rsrc3Allowed(o.Target) != 0:
		return fmt.Errorf("registers %#x, %#x, %#x ask for privileges, traps or scratch memory", x.Rsrc1, x.Rsrc2, x.Rsrc3)
	case x.Properties != wantProps:
		return fmt.Errorf("properties %#x, %#x are supported", x.Properties, wantProps)
	case x.KernargPreload != 0:
		return errors.New("it has arguments loaded before it starts, which is not supported")
	case f.Wave != 32:
		return fmt.Errorf("waves of %d lanes, 32 are supported", f.Wave)
	case le.Uint32(raw[12:]) != 0 || !zero(24, 44) || le.Uint32(raw[60:]) != 0:
		return errors.New("reserved fields of its descriptor are set")
	}
	return nil
}

// parse reads a code object for a target and checks all of its kernels.
func parse(image []byte, target string) (*codeobj.Object, error) {
	o, err := codeobj.Parse(image)
	if err != nil {
		return nil, fmt.Errorf("kfd: %w", err)
	}
	if o.Target != target {
		return nil, fmt.Errorf("kfd: the code object is for %s, the device is %s", o.Target, target)
	}
	if len(o.Relocs) > 0 {
		return nil, fmt.Errorf("kfd: the code object has %d relocations, none are supported", len(o.Relocs))
	}
	for i := range o.Kernels {
		if err := checkKernel(o, &o.Kernels[i]); err != nil {
			return nil, fmt.Errorf("kfd: kernel %s: %w", o.Kernels[i].Name, err)
		}
	}
	return o, nil
}

// module makes o, which lies or will lie in b, a module.
func (d *Device) module(o *codeobj.Object, b *buffer) *Module {
	m := &Module{d: d, buf: b, kernels: map[string]*Kernel{}}
	for i := range o.Kernels {
		f := &o.Kernels[i]
		k := &Kernel{Kernel: f.Kernel, module: m, object: uint64(b.va) + f.DescriptorAddr}
		for _, a := range f.Args {
			k.minArgs = max(k.minArgs, a.Offset+a.Size)
		}
		m.kernels[f.Name], d.kernels[k.object] = k, k
	}
	return m
}

// LoadModule copies a code object to the device.
func (d *Device) LoadModule(image []byte) (*Module, error) {
	o, err := parse(image, d.vm.gpu.Target)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return nil, err
	}
	return d.load(o)
}

func (d *Device) load(o *codeobj.Object) (*Module, error) {
	b, err := d.p.alloc(d.vm, int64(len(o.Image)), abi.DeviceFlags, false)
	if err != nil {
		return nil, err
	}
	if err = d.upload(uint64(b.va), o.Image); err == nil {
		err = d.dropCode()
	}
	if err != nil {
		if d.hung {
			return nil, err
		}
		return nil, errors.Join(err, d.p.free(b))
	}
	return d.module(o, b), nil
}

// dropCode makes the GPU forget instructions that it has in caches: code has changed.
func (d *Device) dropCode() error {
	m, _, err := d.take()
	if err != nil {
		return err
	}
	p := abi.Indirect(uint64(d.ib.va), abi.AcquireMemDwords, addressOf(m.sig))
	if err := d.submit(&p, m.sig); err != nil {
		return err
	}
	return d.sync(m)
}

// Function returns a kernel.
func (m *Module) Function(name string) (*Kernel, error) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	k := m.kernels[name]
	if k == nil || m.unloaded {
		return nil, fmt.Errorf("kfd: the module has no kernel %s, or was unloaded", name)
	}
	return k, nil
}

// Unload waits for the device's work and frees the module.
func (m *Module) Unload() error {
	d := m.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.unloaded || d.closed {
		return errClosed
	}
	if d.lost == nil {
		if err := d.idle(); err != nil && d.hung {
			return err
		}
	}
	if d.hung {
		return nil
	}
	return d.dropModule(m)
}

// dropModule frees a module that nothing uses.
func (d *Device) dropModule(m *Module) error {
	m.unloaded = true
	for _, k := range m.kernels {
		delete(d.kernels, k.object)
	}
	return d.p.free(m.buf)
}

// addressOf returns the address of a signal.
func addressOf(s *abi.Signal) uint64 { return uint64(uintptr(unsafe.Pointer(s))) }
