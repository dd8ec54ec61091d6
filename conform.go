package hipengine

import (
	"context"
	"io"

	"github.com/hipengine/hipengine/conformance"
)

// Conform checks that the host's device computes what the reference computes. It blocks until the checks are done, or
// ctx is. It leaves out the short self-test of the device, of which it is the long form. Models may be in use
// meanwhile.
func (h *Host) Conform(ctx context.Context, o conformance.Options) (*conformance.Report, error) {
	d, err := h.device(ctx, false)
	if err != nil {
		return nil, err
	}
	defer d.users.Done()
	return conformance.Run(ctx, d.ops, o)
}

// ListKernels writes which kernel runs each node of every architecture on the host's device.
func (h *Host) ListKernels(ctx context.Context, w io.Writer) error {
	d, err := h.device(ctx, false)
	if err != nil {
		return err
	}
	defer d.users.Done()
	return conformance.ListKernels(ctx, d.ops, w)
}
