package conformance

import (
	"context"
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops"
)

// Director is implemented by devices that capture a plan and replay it. Direct returns a device that shares their
// memory and runs the same launches one by one; the suite demands the same bits of both. It is not closed.
type Director interface{ Direct() ops.Device }

// streamChecks is layer 4: the same case run again, in a plan compiled again, and without capture must give the same
// bits.
func (s *suite) streamChecks() []check {
	return s.perCase("Stream", required, func(ctx context.Context, _ string, in *input) (r Result, err error) {
		c, err := open(s.dev, in, false)
		if err != nil {
			return Result{}, err
		}
		defer func() { err = errors.Join(err, c.close()) }()
		first, err := c.run(ctx, nil)
		if err != nil {
			return Result{}, err
		}
		for run := 2; run <= 3; run++ { // captured plans: the first run records, the second is the first replay
			again, err := c.run(ctx, nil)
			if err != nil {
				return Result{}, err
			}
			if err := equalBits(first, again); err != nil {
				return failf("run 1 and run %d of one plan: %v", run, err), nil
			}
		}
		others := []struct {
			what string
			dev  ops.Device
		}{{"a plan compiled again", s.dev}}
		if d, ok := s.dev.(Director); ok {
			others = append(others, struct {
				what string
				dev  ops.Device
			}{"direct launches", d.Direct()})
		}
		for _, o := range others {
			again, _, err := execute(ctx, o.dev, in, false)
			if err != nil {
				return Result{}, fmt.Errorf("%s: %w", o.what, err)
			}
			if err := equalBits(first, again); err != nil {
				return failf("the first plan and %s: %v", o.what, err), nil
			}
		}
		return Result{Verdict: Pass}, nil
	})
}
