package rdna

import (
	"fmt"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/check"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/exec"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

// Fault is the error of a kernel that hardware would not have run to its end
// with defined results.
type Fault = exec.Fault

// Stats counts what a launch executed.
type Stats = exec.Stats

// Checks selects the optional checkers.
type Checks = check.Options

// Device is an emulated GPU: an address space that modules and buffers share.
// Its methods may be called from several goroutines; launches that run at the
// same time see each other's memory in no defined order.
type Device struct {
	space mem.Space
}

// NewDevice returns a device with the given memory in bytes; 0 means 16 GiB.
// Memory is taken from the Go heap as it is allocated.
func NewDevice(bytes int64) *Device {
	d := &Device{}
	d.space.Limit = bytes
	return d
}

// Alloc reserves size bytes of device memory, filled with 0xff, and returns
// their address. Gaps between allocations are unmapped.
func (d *Device) Alloc(size int64) (uint64, error) {
	a, err := d.space.Alloc(size, fmt.Sprintf("buffer of %d bytes", size), false)
	if err != nil {
		return 0, fmt.Errorf("rdna: %w", err)
	}
	return a.Base, nil
}

// AllocZeros is Alloc for memory that holds zeros. Of a large one, the host provides what kernels touch.
func (d *Device) AllocZeros(size int64) (uint64, error) {
	a, err := d.space.AllocZeros(size, fmt.Sprintf("buffer of %d zeros", size), false)
	if err != nil {
		return 0, fmt.Errorf("rdna: %w", err)
	}
	return a.Base, nil
}

// AllocReadOnly is Alloc for memory that kernels may only read.
func (d *Device) AllocReadOnly(data []byte) (uint64, error) {
	a, err := d.space.Alloc(int64(len(data)), fmt.Sprintf("read-only buffer of %d bytes", len(data)), true)
	if err != nil {
		return 0, fmt.Errorf("rdna: %w", err)
	}
	copy(a.Data, data)
	return a.Base, nil
}

// Free releases the allocation that starts at addr.
func (d *Device) Free(addr uint64) error {
	if err := d.space.Free(addr); err != nil {
		return fmt.Errorf("rdna: %w", err)
	}
	return nil
}

// Read copies device memory at addr into dst. The range must lie in one
// allocation.
func (d *Device) Read(dst []byte, addr uint64) error {
	b, err := d.space.Bytes(addr, int64(len(dst)))
	if err != nil {
		return fmt.Errorf("rdna: read: %w", err)
	}
	copy(dst, b)
	return nil
}

// Write copies src to device memory at addr. The range must lie in one
// allocation.
func (d *Device) Write(addr uint64, src []byte) error {
	b, err := d.space.Bytes(addr, int64(len(src)))
	if err != nil {
		return fmt.Errorf("rdna: write: %w", err)
	}
	copy(b, src)
	return nil
}

// Module is a code object loaded on a device.
type Module struct {
	dev  *Device
	obj  *codeobj.Object
	prog *exec.Program
	base uint64
}

// Load places a code object for target on the device. An empty target accepts
// whatever the object was built for.
func (d *Device) Load(target string, codeObject []byte) (*Module, error) {
	obj, err := codeobj.Parse(codeObject)
	if err != nil {
		return nil, fmt.Errorf("rdna: %w", err)
	}
	if target != "" && obj.Target != target {
		return nil, fmt.Errorf("rdna: code object is for %q, not for %q", obj.Target, target)
	}
	gen, err := decode.GenOf(obj.Target)
	if err != nil {
		return nil, fmt.Errorf("rdna: %w", err)
	}
	text, addr := obj.Text()
	prog, err := exec.Compile(gen, text, addr)
	if err != nil {
		return nil, fmt.Errorf("rdna: %w", err)
	}
	a, err := d.space.Alloc(int64(len(obj.Image)), "code object for "+obj.Target, false)
	if err != nil {
		return nil, fmt.Errorf("rdna: %w", err)
	}
	copy(a.Data, obj.Image)
	for _, r := range obj.Relocs {
		v := a.Base + r.Value
		for k := range 8 {
			a.Data[r.Addr+uint64(k)] = byte(v >> (8 * k))
		}
	}
	return &Module{dev: d, obj: obj, prog: prog, base: a.Base}, nil
}

// Unload releases the module's device memory.
func (m *Module) Unload() error { return m.dev.Free(m.base) }

// Object returns the parsed code object, for static checks. It must not be
// modified.
func (m *Module) Object() *codeobj.Object { return m.obj }

// Target returns the target that the module was built for.
func (m *Module) Target() string { return m.obj.Target }

// Instructions returns the decoded text. It must not be modified.
func (m *Module) Instructions() []decode.Inst { return m.prog.Instructions() }

// Kernels returns the module's kernels sorted by name.
func (m *Module) Kernels() []codeobj.Function { return m.obj.Kernels }

// Global returns address and size of a device variable of the module.
func (m *Module) Global(name string) (addr, size uint64, err error) {
	for _, s := range m.obj.Symbols {
		if s.Name == name {
			return m.base + s.Addr, s.Size, nil
		}
	}
	return 0, 0, fmt.Errorf("rdna: module has no variable %q", name)
}
