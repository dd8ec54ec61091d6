package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// ListKernels writes which kernel of dev runs each node of a step, for every linked architecture as a tiny model: a
// prefill of a page of tokens, and the decoding of one. An architecture that dev cannot run is an error that names
// the node; so is a device that cannot list the kernels of a plan.
func ListKernels(ctx context.Context, dev ops.Device, w io.Writer) error {
	var errs []error
	for _, arch := range models.Architectures() {
		if err := listKernels(ctx, dev, arch, w); err != nil {
			errs = append(errs, fmt.Errorf("conformance: %s: %w", arch, err))
		}
	}
	return errors.Join(errs...)
}

func listKernels(ctx context.Context, dev ops.Device, arch string, w io.Writer) (err error) {
	model, src, err := tinyModel(arch, 0, nil)
	if err != nil {
		return err
	}
	l, err := load(ctx, dev, model, src)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, tokens := range []int{runner.PageSize, 1} {
		states, err := l.states(1)
		if err != nil {
			return err
		}
		defer freeAll(states)
		g, logits, err := l.graph(tokens, 1, states)
		if err != nil {
			return err
		}
		p, err := dev.Compile(g, nil, logits)
		if err != nil {
			return err
		}
		defer p.Close()
		list := dev.Caps().Kernels
		if list == nil {
			return fmt.Errorf("%s does not list the kernels of plans", dev.Info().Name)
		}
		if _, err := fmt.Fprintf(w, "%s on %s, a step of %d tokens:\n", arch, dev.Info().Name, tokens); err != nil {
			return err
		}
		for _, k := range list(p) {
			if _, err := fmt.Fprintf(w, "  %s\n", k); err != nil {
				return err
			}
		}
	}
	return nil
}
