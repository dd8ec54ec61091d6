package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// loaded is a model on a device.
type loaded struct {
	dev     ops.Device
	model   models.Model
	weights models.Weights
}

func load(ctx context.Context, dev ops.Device, m models.Model, src models.Source) (*loaded, error) {
	w, err := models.LoadWeights(ctx, m, src, dev, nil)
	if err != nil {
		return nil, err
	}
	return &loaded{dev, m, w}, nil
}

func (l *loaded) close() error { return l.weights.Free() }

// runner returns a runner for seqs sequences with caches of type kv; Invalid: F32. For an oracle both kinds of state
// are F64 instead of F32.
func (l *loaded) runner(seqs int, kv tensor.DType, wide bool) (*runner.Runner, error) {
	o := runner.Options{Seqs: seqs, KVType: kv, Context: min(l.model.Params().Context, tinyContext)}
	if wide {
		o.StateType = tensor.F64
		if kv == tensor.Invalid {
			o.KVType = tensor.F64
		}
	}
	return runner.New(l.dev, l.model, l.weights, o)
}

// tinyContext is the longest sequence of the model checks, in tokens.
const tinyContext = 128

// complete runs ids through a new sequence and returns the logits of every position. Steps have the sizes given, the
// last of them for all that is left.
func complete(ctx context.Context, r *runner.Runner, ids []int32, sizes ...int) ([]float32, error) {
	id, err := r.Open()
	if err != nil {
		return nil, err
	}
	defer r.Release(id)
	var all []float32
	for len(ids) > 0 {
		n := min(sizes[0], len(ids))
		if len(sizes) > 1 {
			sizes = sizes[1:]
		}
		rows, err := r.Step(ctx, []runner.Work{{Seq: id, Tokens: ids[:n], Rows: n}})
		if err != nil {
			return nil, err
		}
		all = append(all, rows[0]...)
		ids = ids[n:]
	}
	return all, nil
}

// whole asks complete for one step.
const whole = tinyContext

// graph records a step of one sequence of tokens tokens in pages pages, as the runner would.
func (l *loaded) graph(tokens, pages int, states map[string]tensor.Tensor) (*ops.Graph, ops.Value, error) {
	g := &ops.Graph{}
	logits := l.model.Build(g, l.weights, models.Batch{
		Tokens: g.Input("tokens", tensor.I32, tokens),
		Pos:    g.Input("pos", tensor.I32, tokens),
		Seq:    g.Input("seq", tensor.I32, tokens),
		Pages:  g.Input("pages", tensor.I32, 1, pages),
		Starts: g.Input("starts", tensor.I32, 2),
		Slots:  g.Input("slots", tensor.I32, 1),
		Rows:   g.Input("rows", tensor.I32, tokens),
		States: states,
	})
	return g, logits, g.Err()
}

// states allocates the state of one sequence of up to pages pages.
func (l *loaded) states(pages int) (map[string]tensor.Tensor, error) {
	ts := map[string]tensor.Tensor{}
	add := func(name string, shape tensor.Shape) error {
		n, err := tensor.Bytes(tensor.F32, shape)
		if err != nil {
			return err
		}
		buf, err := l.dev.Alloc(n, ops.MemState)
		if err != nil {
			return fmt.Errorf("state %q: %w", name, err)
		}
		ts[name] = tensor.Tensor{Name: name, DType: tensor.F32, Shape: shape, Buf: buf}
		return nil
	}
	spec := l.model.State()
	var errs []error
	for _, p := range spec.Paged {
		errs = append(errs, add(p.Name, tensor.Shape{pages, runner.PageSize, p.Heads, p.Dim}))
	}
	for _, t := range spec.Slots {
		errs = append(errs, add(t.Name, append(tensor.Shape{1}, t.Shape...)))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, freeAll(ts))
	}
	return ts, nil
}

func freeAll(ts map[string]tensor.Tensor) error {
	var errs []error
	for _, t := range ts {
		errs = append(errs, t.Buf.Free())
	}
	return errors.Join(errs...)
}

// floor returns the NMSE that the logits of the model may have with caches of type kv, in steps of one token or of
// many: devices may have kernels of different precision for the two.
func (l *loaded) floor(kv tensor.DType) (float64, error) {
	var floor float64
	for _, tokens := range []int{1, runner.PageSize} {
		states, err := l.states(1)
		if err != nil {
			return 0, err
		}
		defer freeAll(states)
		g, _, err := l.graph(tokens, 1, states)
		if err != nil {
			return 0, err
		}
		floor = math.Max(floor, modelFloor(l.dev, g, kv))
	}
	return floor, nil
}
