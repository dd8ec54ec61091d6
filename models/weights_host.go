package models

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hipengine/hipengine/tensor"
)

// Sizes of loading into memory of the process.
const (
	readBytes = 4 << 20 // read at a time
	readers   = 8       // reads under way, so that the disk, the copies out of its cache and the new memory do not wait for each other
)

// read is a part of a tensor that is read at once: n bytes of extent x from off on, or all of it if it is derived or
// converted.
type read struct {
	r      *resolved
	x      extent
	off, n int64
	at     int64 // where it goes in the buffer
}

// loadHost fills host, the memory of w, straight from src.
func (w Weights) loadHost(ctx context.Context, rs []resolved, src Source, host []byte, progress func(done, total int64)) error {
	var reads []read
	for i := range rs {
		r := &rs[i]
		r.t.Buf = w.buf
		w.tensors[r.spec.Name] = r.t
		if r.spec.Derive != nil || r.t.DType != r.dtype {
			reads = append(reads, read{r: r, at: r.t.Off})
			continue
		}
		at := r.t.Off
		for _, x := range r.from {
			for off := int64(0); off < x.size; off += readBytes {
				n := min(readBytes, x.size-off)
				reads = append(reads, read{r, x, off, n, at})
				at += n
			}
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var mu sync.Mutex // guards done, and calls of progress
	var done int64
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(reads) {
					return
				}
				n, err := reads[i].do(src, host)
				if err != nil {
					stop(fmt.Errorf("models: tensor %q: %w", reads[i].r.spec.Name, err))
					return
				}
				mu.Lock()
				done += n
				if progress != nil {
					progress(done, int64(len(host)))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if progress != nil {
		progress(int64(len(host)), int64(len(host)))
	}
	return nil
}

// do reads one part and returns the bytes that it fills.
func (p read) do(src Source, host []byte) (int64, error) {
	if p.n > 0 {
		return p.n, src.ReadTensor(p.x.info, host[p.at:p.at+p.n], p.x.off+p.off)
	}
	x, err := p.r.floats(src)
	if err != nil {
		return 0, err
	}
	f32, _ := tensor.F32.Format()
	n := 4 * int64(len(x))
	f32.Quant(host[p.at:p.at+n], x)
	return n, nil
}
