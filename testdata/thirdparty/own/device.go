package own

import (
	"fmt"
	"sync/atomic"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// memory is what a device hands out in all, in bytes.
const memory = 1 << 30

// Device computes with one goroutine.
type Device struct{ used atomic.Int64 }

// New returns a device.
func New() *Device { return &Device{} }

// Info describes the device.
func (d *Device) Info() ops.Info {
	return ops.Info{Name: "own", Target: "go", Model: "plain Go", Memory: memory, Wave: 1}
}

// Caps says how much memory is left; a device need not do more.
func (d *Device) Caps() ops.Caps {
	return ops.Caps{Free: func() (int64, error) { return memory - d.used.Load(), nil }}
}

// Layout leaves weights as they lie in files.
func (d *Device) Layout(ops.WeightUse) tensor.Layout { return tensor.Layout{} }

// buffer is memory of a device.
type buffer struct {
	dev *Device
	b   []byte // nil when freed
}

// Size returns the bytes of b.
func (b *buffer) Size() int64 { return int64(len(b.b)) }

// Free gives the memory back.
func (b *buffer) Free() error {
	if b.b == nil {
		return fmt.Errorf("own: memory is freed twice")
	}
	b.dev.used.Add(-b.Size())
	b.b = nil
	return nil
}

// Alloc returns zeroed memory of any kind. The error wraps ops.ErrOutOfMemory.
func (d *Device) Alloc(bytes int64, _ ops.MemKind) (tensor.Buffer, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("own: cannot allocate %d bytes", bytes)
	}
	if used := d.used.Load(); bytes > memory-used {
		return nil, fmt.Errorf("own: cannot allocate %d bytes, %d of %d are free: %w",
			bytes, memory-used, memory, ops.ErrOutOfMemory)
	}
	d.used.Add(bytes)
	return &buffer{d, make([]byte, bytes)}, nil
}

// bytes returns the memory of the first n bytes of t.
func (d *Device) bytes(t tensor.Tensor, n int) ([]byte, error) {
	b, ok := t.Buf.(*buffer)
	if !ok || b.dev != d {
		return nil, fmt.Errorf("own: tensor %q is of another device", t.Name)
	}
	if t.Off < 0 || t.Off > b.Size() || int64(n) > b.Size()-t.Off {
		return nil, fmt.Errorf("own: tensor %q: %d bytes at %d are outside of its buffer of %d", t.Name, n, t.Off,
			b.Size())
	}
	return b.b[t.Off:][:n], nil
}

// all returns the memory of t.
func (d *Device) all(t tensor.Tensor) ([]byte, error) {
	n, err := tensor.Bytes(t.DType, t.Shape)
	if err != nil {
		return nil, fmt.Errorf("own: tensor %q: %w", t.Name, err)
	}
	return d.bytes(t, int(n))
}

// Supports reports whether there is a kernel of n's op for the types of its operands.
func (d *Device) Supports(n *ops.Node) bool {
	if kernels[n.Op] == nil {
		return false
	}
	for _, v := range n.In {
		if f, ok := v.DType().Format(); !ok || f.Dequant == nil {
			return false
		}
	}
	return true
}

// Close ends the device.
func (d *Device) Close() error { return nil }
