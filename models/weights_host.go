package models

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// readers is the number of reads under way, so that the disk, the copies out of its cache and the new memory do not
// wait for each other.
const readers = 8

// loadHost fills host, the memory of h, straight from src where its device leaves weights as files have them.
func (w Weights) loadHost(ctx context.Context, h *home, src Source, host []byte) error {
	var pieces []piece
	for _, r := range h.rs {
		r.t.Buf = h.buf
		w.tensors[r.spec.Name] = r.t
		pieces = append(pieces, r.pieces()...)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var mu sync.Mutex // guards done, and calls of progress
	var done int64
	read := func() (err error) {
		s, err := h.dev.Stream()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		var staging []byte
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= len(pieces) {
				break
			}
			p := pieces[i]
			if p.n > 0 && p.r.t.Layout.IsZero() {
				err = p.read(src, host[p.at:p.at+p.n])
			} else {
				staging, err = p.upload(s, src, staging)
			}
			if err != nil {
				return fmt.Errorf("tensor %q: %w", p.r.spec.Name, err)
			}
			mu.Lock()
			done += p.size
			h.progress(done)
			mu.Unlock()
		}
		return s.Sync(context.WithoutCancel(ctx))
	}
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			if err := read(); err != nil {
				stop(fmt.Errorf("models: %w", err))
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h.progress(h.size)
	return nil
}
