package runner

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// maxTop is the most logits of a row that a device is asked to find: what common values of top-k need. More would take
// longer to find than to download.
const maxTop = 64

// topOf returns Limits.Top for a vocabulary.
func topOf(dev ops.Device, vocab int) int {
	for _, k := range []int{1, min(maxTop, vocab)} {
		g := &ops.Graph{}
		ids, _ := ops.TopK(g, g.Input("logits", tensor.F32, 1, vocab), k)
		if g.Err() != nil || !dev.Supports(ids.Node()) {
			return 0
		}
	}
	return min(maxTop, vocab)
}

// StepTop is [Runner.Step] for callers whom a few logits of each row suffice: it returns, for each work item, the k of
// highest rank of each of its Rows, one row behind the other, in rank order. They are found on the device, so that
// only they cross to the host. With k = 1 the ids alone do, and Logit is zero. k is from 1 to Limits.Top.
func (r *Runner) StepTop(ctx context.Context, work []Work, k int) ([][]sample.Logit, error) {
	if k < 1 || k > r.limits.Top {
		return nil, fmt.Errorf("runner: the %d largest logits of each row are wanted, of which 1 to %d can be had", k,
			r.limits.Top)
	}
	planned := 1
	if k > 1 {
		planned = r.limits.Top // so that there are few plans
	}
	p, err := r.begin(work, planKey{top: planned})
	if err != nil {
		return nil, err
	}
	if err := r.readTop(ctx, p, planned, k); err != nil {
		return nil, err
	}
	if planned > 1 {
		r.last = p
	}
	r.tops = r.tops[:0]
	top := r.top
	for _, w := range work {
		r.took(w)
		n := w.Rows * k
		r.tops, top = append(r.tops, top[:n:n]), top[n:]
	}
	return r.tops, nil
}

// readTop downloads the first k of the planned largest logits of the wanted rows to r.top.
func (r *Runner) readTop(ctx context.Context, p ops.Plan, planned, k int) error {
	n := 4 * r.wanted * planned
	parts := 2 // ids and values
	if k == 1 {
		parts = 1
	}
	raw, err := r.download(ctx, p, parts, n)
	if err != nil {
		return err
	}
	r.top = slices.Grow(r.top[:0], r.wanted*k)[:r.wanted*k]
	for i := range r.top {
		at := 4 * (i/k*planned + i%k)
		l := sample.Logit{ID: int32(binary.LittleEndian.Uint32(raw[at:]))}
		if l.ID < 0 {
			return r.brokenTop(ctx, p, planned, i/k, int(-1-l.ID))
		}
		if k > 1 {
			l.Logit = math.Float32frombits(binary.LittleEndian.Uint32(raw[n+at:]))
		}
		r.top[i] = l
	}
	return nil
}

// brokenTop returns the error for a row in which the device found that logit i is not finite.
func (r *Runner) brokenTop(ctx context.Context, p ops.Plan, planned, row, i int) error {
	n := 4 * r.wanted * planned
	raw, err := r.download(ctx, p, 2, n)
	if err != nil {
		return err
	}
	return broken("logit", row, i, math.Float32frombits(binary.LittleEndian.Uint32(raw[n+4*row*planned:])))
}

// Logits returns all logits of a row of the last step, for callers whom those of highest rank did not suffice after
// all: the step was a StepTop with k above 1. Rows count over all work. They are valid until the next call.
func (r *Runner) Logits(ctx context.Context, row int) ([]float32, error) {
	if r.last == nil || row < 0 || row >= r.wanted {
		return nil, fmt.Errorf("runner: logits of row %d, where the last step has none or fewer", row)
	}
	n := r.limits.Vocab
	t := r.last.Output(2)
	t.Shape, t.Off = tensor.Shape{n}, t.Off+int64(4*n*row)
	r.raw = slices.Grow(r.raw[:0], 4*n)[:4*n]
	if err := errors.Join(r.stream.Download(r.raw, t), r.stream.Sync(ctx)); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	r.numbers = slices.Grow(r.numbers[:0], n)[:n]
	if i := decode(r.numbers, r.raw); i >= 0 {
		return nil, broken("logit", row, i, r.numbers[i])
	}
	return r.numbers, nil
}
