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

// Lister is an optional interface of plans that can say which kernel runs each node.
type Lister interface {
	// Kernels returns a line for each node, in the order of execution.
	Kernels() []string
}

// ListKernels writes which kernel of dev runs each node of a step, for every linked architecture as a tiny model: a
// prefill of a page of tokens, and the decoding of one. An architecture that dev cannot run is an error that names
// the node; so is a device whose plans are not a [Lister].
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
	model, src, err := tinyModel(arch, 0)
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
		p, err := dev.Compile(g, logits)
		if err != nil {
			return err
		}
		defer p.Close()
		list, ok := p.(Lister)
		if !ok {
			return fmt.Errorf("plans of %s do not list their kernels", dev.Info().Name)
		}
		if _, err := fmt.Fprintf(w, "%s on %s, a step of %d tokens:\n", arch, dev.Info().Name, tokens); err != nil {
			return err
		}
		for _, k := range list.Kernels() {
			if _, err := fmt.Fprintf(w, "  %s\n", k); err != nil {
				return err
			}
		}
	}
	return nil
}
