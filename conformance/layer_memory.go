package conformance

import (
	"bytes"
	"context"
	"errors"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// memoryChecks is layer 5. A plan runs on poison first: NaN in every float input, so that its arena is full of NaN.
// Run then on its own data it must give the bits of a fresh plan, write nothing outside its buffers and its own
// rows of a state, and leave weights alone. (Unused rows of states are poisoned in every layer.)
func (s *suite) memoryChecks() []check {
	return s.perCase("Memory", required, func(ctx context.Context, _ string, in *input) (r Result, err error) {
		fresh, _, err := execute(ctx, s.dev, in, false)
		if err != nil {
			return Result{}, err
		}
		c, err := open(s.dev, in, false)
		if err != nil {
			return Result{}, err
		}
		defer func() { err = errors.Join(err, c.close()) }()
		stale := make([][]byte, len(in.data))
		for i, a := range in.c.Args {
			stale[i] = in.data[i]
			if a.Leaf == ops.Input && a.DType != tensor.I32 {
				stale[i] = bytes.Repeat([]byte{poison}, len(in.data[i]))
			}
		}
		if _, err := c.run(ctx, stale); err != nil {
			return Result{}, err
		}
		again, err := c.run(ctx, nil)
		if err != nil {
			return Result{}, err
		}
		if err := equalBits(fresh, again); err != nil {
			return failf("results depend on what ran before: %v", err), nil
		}
		if err := c.damage(again); err != nil {
			return failf("%v", err), nil
		}
		return Result{Verdict: Pass}, nil
	})
}
