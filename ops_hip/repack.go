package opship

import (
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// layout is how rows of weights of a type lie in device memory if not as in files: as planes, one part of all blocks
// of a row after the other, so that lanes read aligned vectors. See weight_row in kernels/quant.h.
type layout struct {
	block  int // elements of a block
	file   int // bytes of a block in files
	packed int // bytes of a repacked one

	// repack writes the row of n blocks src to dst, which has n·packed bytes.
	repack func(dst, src []byte, n int)
}

// layouts are the types that are repacked. repack_<type>.go add theirs from init.
var layouts = map[tensor.DType]layout{}

// rowAlign is the alignment of repacked rows in bytes.
const rowAlign = 16

var _ ops.Repacker = (*Device)(nil)

// row returns the size of a repacked row of k elements.
func (l layout) row(k int) int64 {
	return (int64(k/l.block)*int64(l.packed) + rowAlign - 1) &^ (rowAlign - 1)
}

// RepackedBytes implements ops.Repacker.
func (d *Device) RepackedBytes(dt tensor.DType, s tensor.Shape) (int64, int) {
	l, ok := layouts[dt]
	if !ok {
		return 0, 0
	}
	if n, err := tensor.Bytes(dt, s); err != nil || n > math.MaxInt64/4 {
		return 0, 0
	}
	rows := s[:len(s)-1].Elems()
	return int64(rows) * l.row(s.Last()), 1
}

// bytes returns the memory that t takes on d.
func (d *Device) bytes(t tensor.Tensor) (int64, error) {
	if b, ok := t.Buf.(*buffer); ok && b.kind == ops.MemWeights {
		return ops.WeightBytes(d, t.DType, t.Shape)
	}
	return tensor.Bytes(t.DType, t.Shape)
}

// repacked returns the layout of t if its rows are repacked: a weight of a type that has one.
func repacked(t tensor.Tensor) (layout, bool) {
	b, ok := t.Buf.(*buffer)
	if !ok || b.kind != ops.MemWeights {
		return layout{}, false
	}
	l, ok := layouts[t.DType]
	return l, ok
}

// repackMin is the number of bytes from which on rows are repacked on several cores.
const repackMin = 128 << 10

// repackRows writes rows of k elements to dst, of which it fills the whole length: row(k) bytes for each of src.
func (l layout) repackRows(dst, src []byte, k int) {
	blocks, size := k/l.block, int(l.row(k))
	one := func(lo, hi int) {
		for r := lo; r < hi; r++ {
			out := dst[r*size:][:size]
			l.repack(out, src[r*blocks*l.file:][:blocks*l.file], blocks)
			clear(out[blocks*l.packed:])
		}
	}
	rows := len(dst) / size
	parts := min(runtime.GOMAXPROCS(0), rows, len(dst)/repackMin)
	if parts < 2 {
		one(0, rows)
		return
	}
	var wg sync.WaitGroup
	for p := range parts {
		wg.Go(func() { one(p*rows/parts, (p+1)*rows/parts) })
	}
	wg.Wait()
}

// uploadChunk is how many bytes are repacked at a time, if rows are not larger: few enough for a cache.
const uploadChunk = 1 << 20

// uploadRepacked is Upload of whole rows of a weight that is repacked.
func (s *stream) uploadRepacked(dst tensor.Tensor, l layout, src []byte) error {
	k := dst.Shape.Last()
	from, to := k/l.block*l.file, int(l.row(k))
	if len(src)%from != 0 {
		return fmt.Errorf("opship: upload of %q: %d bytes are not whole rows of %d, which repacking needs", dst.Name, len(src), from)
	}
	addr, err := s.check("upload", dst, len(src), int64(len(src)/from)*int64(to))
	for err == nil && len(src) > 0 {
		rows := min(max(1, uploadChunk/to), len(src)/from)
		if cap(s.rows) < rows*to {
			s.rows = make([]byte, rows*to)
		}
		m := s.rows[:rows*to]
		l.repackRows(m, src[:rows*from], k)
		err = s.send(addr, m)
		src, addr = src[rows*from:], addr+hiprt.Ptr(len(m))
	}
	return err
}
