package hipengine

import (
	"context"
	"io"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
)

// Conform checks that the host's device computes what the reference computes. It blocks until the checks are done, or
// ctx is. It leaves out the short self-test of the device, of which it is the long form. Models may be in use
// meanwhile.
func (h *Host) Conform(ctx context.Context, o conformance.Options) (*conformance.Report, error) {
	c, err := h.conforming(ctx)
	if err != nil {
		return nil, err
	}
	defer c.done()
	return conformance.Run(ctx, c.ops, o)
}

// ListKernels writes which kernel runs each node of every architecture on the host's device.
func (h *Host) ListKernels(ctx context.Context, w io.Writer) error {
	c, err := h.conforming(ctx)
	if err != nil {
		return err
	}
	defer c.done()
	return conformance.ListKernels(ctx, c.ops, w)
}

// conforming returns the host's device. Several have layers, and their experts, by turns, so that all that can cross does;
// and ranks of models that are split.
func (h *Host) conforming(ctx context.Context) (*computer, error) {
	c, err := h.computer(ctx, "", false)
	if err != nil || len(c.parts) == 1 {
		return c, err
	}
	n := len(c.parts)
	s := place.Split{Output: n - 1}
	for l := range 8 {
		s.Layers, s.Experts = append(s.Layers, l%n), append(s.Experts, (l+1)%n)
	}
	dev, err := place.New(c.devices(), func(u ops.WeightUse, kind ops.MemKind) int {
		if _, _, split := models.RankOf(u.Name); split {
			return place.ByRank(u, kind)
		}
		return s.Place(u, kind)
	})
	if err != nil {
		c.done()
		return nil, err
	}
	c.ops = dev
	return c, nil
}
