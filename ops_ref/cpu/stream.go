package cpu

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/host"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

// stream does all work at once.
type stream struct{ host.Stream }

// Run implements ops.Stream.
func (stream) Run(p ops.Plan) error {
	mine, ok := p.(*plan)
	if !ok {
		return fmt.Errorf("cpu: plan %T is of another device", p)
	}
	return mine.run()
}

// Download implements ops.Stream. Rows of weights that are interleaved come as files have them, those that lie together
// at a time.
func (s stream) Download(dst []byte, src tensor.Tensor) error {
	if src.Layout.Name != interleaved {
		return s.Stream.Download(dst, src)
	}
	f, ok := interleavable(src.DType, src.Shape)
	if !ok {
		return fmt.Errorf("cpu: download %q: rows of %v%v cannot be interleaved", src.Name, src.DType, src.Shape)
	}
	m, _, err := host.Memory(src, int64(len(dst)))
	if err != nil {
		return fmt.Errorf("cpu: download %q: %w", src.Name, err)
	}
	k := src.Shape.Last()
	row := f.Bytes(k)
	if len(dst)%(simd.InterleavedRows*row) != 0 {
		return fmt.Errorf("cpu: download %q: %d bytes are not whole rows of %d, %d together", src.Name, len(dst), row,
			simd.InterleavedRows)
	}
	// Runs of rows that lie together, shared out among goroutines: the workers may be at a plan.
	runs := len(dst) / row / simd.InterleavedRows
	parts := min(runtime.GOMAXPROCS(0), max(1, len(dst)/downloadBytes))
	var wg sync.WaitGroup
	for p := range parts {
		wg.Go(func() {
			for i := runs * p / parts * simd.InterleavedRows; i < runs*(p+1)/parts*simd.InterleavedRows; i++ {
				first := i / simd.InterleavedRows * simd.InterleavedRows
				f.InterleavedRow(dst[i*row:][:row], m[first*row:], i-first, k)
			}
		})
	}
	wg.Wait()
	return nil
}

// downloadBytes is what a goroutine is worth when rows are brought back to how files have them.
const downloadBytes = 64 << 10

// Upload implements ops.Stream. It interleaves rows of weights that lie so.
func (s stream) Upload(dst tensor.Tensor, src []byte) error {
	if dst.Layout.Name != interleaved {
		return s.Stream.Upload(dst, src)
	}
	f, ok := interleavable(dst.DType, dst.Shape)
	if !ok {
		return fmt.Errorf("cpu: upload %q: rows of %v%v cannot be interleaved", dst.Name, dst.DType, dst.Shape)
	}
	m, _, err := host.Memory(dst, int64(len(src)))
	if err == nil {
		err = host.Writable(dst)
	}
	if err != nil {
		return fmt.Errorf("cpu: upload %q: %w", dst.Name, err)
	}
	k := dst.Shape.Last()
	if row := f.Bytes(k); len(src)%(simd.InterleavedRows*row) != 0 {
		return fmt.Errorf("cpu: upload %q: %d bytes are not whole rows of %d, %d together", dst.Name, len(src), row,
			simd.InterleavedRows)
	}
	f.Interleave(m, src, k)
	return nil
}
