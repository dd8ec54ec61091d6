package host

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops_ref/internal/pages"
	"github.com/hipengine/hipengine/tensor"
)

// Buffer is memory of the process.
type Buffer struct {
	mem  *pages.Memory // plans that use it hold it too; nil once freed
	b    []byte
	wide bool

	fixed bool // may not be written
}

// maxBytes is far above what any machine has, and far below what overflows.
const maxBytes = 1 << 46

// NewBuffer returns a buffer of zeros. In a wide one, the arena of an oracle, F32 values are stored as float64.
func NewBuffer(bytes int64, wide bool) (*Buffer, error) {
	if bytes < 0 || bytes > maxBytes {
		return nil, fmt.Errorf("host: cannot allocate %d bytes", bytes)
	}
	m, err := pages.New(bytes)
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	return &Buffer{mem: m, b: m.Bytes(), wide: wide}, nil
}

// Adopt returns a buffer that is b, which may not be written and outlives it.
func Adopt(b []byte) tensor.Buffer { return &Buffer{mem: pages.Of(b), b: b, fixed: true} }

// Size returns the number of bytes, 0 once it is freed.
func (b *Buffer) Size() int64 { return int64(len(b.b)) }

// Free gives the memory back, once plans that use it are closed.
func (b *Buffer) Free() error {
	b.b = nil
	if b.mem != nil {
		b.mem.Release()
		b.mem = nil
	}
	return nil
}

// Map returns the memory of a buffer of this package, nil for other buffers and what may not be written.
func Map(b tensor.Buffer) []byte {
	if b, ok := b.(*Buffer); ok && !b.fixed {
		return b.b
	}
	return nil
}

// Writable reports a tensor in memory that may not be written.
func Writable(t tensor.Tensor) error {
	if b, ok := t.Buf.(*Buffer); ok && b.fixed {
		return errFixed
	}
	return nil
}

// errFixed reports a write to what Adopt returned.
var errFixed = errors.New("the memory can only be read")

// errForeign reports a buffer that is not of this package.
var errForeign = errors.New("buffer is of another device")

// Memory returns where the first n bytes of t's elements are, as the caller counts them, and whether they are float32
// to the caller but stored as float64.
func Memory(t tensor.Tensor, n int64) (m []byte, wide bool, err error) {
	b, ok := t.Buf.(*Buffer)
	if !ok {
		return nil, false, fmt.Errorf("%w: %T", errForeign, t.Buf)
	}
	size, err := tensor.Bytes(t.DType, t.Shape)
	if err != nil {
		return nil, false, err
	}
	if n > size {
		return nil, false, fmt.Errorf("%d bytes in a tensor of %d", n, size)
	}
	wide = b.wide && t.DType == tensor.F32
	if wide {
		n *= 2
	}
	if t.Off < 0 || t.Off > b.Size() || n > b.Size()-t.Off {
		return nil, false, fmt.Errorf("%d bytes at %d in a buffer of %d", n, t.Off, b.Size())
	}
	return b.b[t.Off : t.Off+n], wide, nil
}

// all is Memory of all of t.
func all(t tensor.Tensor) (m []byte, wide bool, err error) {
	size, err := tensor.Bytes(t.DType, t.Shape)
	if err != nil {
		return nil, false, err
	}
	return Memory(t, size)
}
