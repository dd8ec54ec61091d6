package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hipengine/hipengine/engine/kv"
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

// runner returns a runner for seqs sequences with caches of type cache; Invalid: F32. For an oracle both kinds of
// state are F64 instead of F32.
func (l *loaded) runner(seqs int, cache tensor.DType, wide bool) (*runner.Runner, error) {
	return runner.New(l.dev, l.model, l.weights, l.options(seqs, cache, wide))
}

// options are those of runner.
func (l *loaded) options(seqs int, cache tensor.DType, wide bool) runner.Options {
	o := runner.Options{Seqs: seqs, Checkpoints: 1, KVType: cache, Context: min(l.model.Params().Context, tinyContext)}
	if wide {
		o.StateType = tensor.F64
		if cache == tensor.Invalid {
			o.KVType = tensor.F64
		}
	}
	return o
}

// tinyContext is the longest sequence of the model checks, in tokens.
const tinyContext = 128

// step is a step of r that returns logits, or the hidden states of an encoder.
func step(ctx context.Context, r *runner.Runner, work []runner.Work) ([][]float32, error) {
	if r.Limits().Encoder {
		return r.StepHidden(ctx, withTypes(work, r.Limits().TokenTypes))
	}
	return r.Step(ctx, work)
}

// withTypes gives tokens all of n types, in turn and in as many runs.
func withTypes(work []runner.Work, n int) []runner.Work {
	if n < 2 {
		return work
	}
	work = slices.Clone(work)
	for i, w := range work {
		types := make([]int32, len(w.Tokens))
		for j := range types {
			types[j] = int32(j * n / len(types))
		}
		work[i].Types = types
	}
	return work
}

// complete runs ids through a new sequence and returns the logits of every position, or the hidden states of an encoder. Steps have the sizes given, the
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
		rows, err := step(ctx, r, []runner.Work{{Seq: id, Tokens: ids[:n], Rows: n}})
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
	g, out, err := models.Record(l.model, l.weights, states,
		0, models.Sizes{Tokens: tokens, Seqs: 1, Pages: pages, Rows: tokens})
	return g, out.Result(), err
}

// states allocates the state of one sequence of up to pages pages.
func (l *loaded) states(pages int) (map[string]tensor.Tensor, error) {
	ts, err := l.model.State().
		Tensors(kv.Storage{Pages: func(int) int { return pages }, Slots: 1, KVType: tensor.F32, Type: tensor.F32})
	if err != nil {
		return nil, err
	}
	states := map[string]tensor.Tensor{}
	for _, t := range ts {
		n, err := tensor.Bytes(t.DType, t.Shape)
		if err == nil {
			t.Buf, err = l.dev.Alloc(n, ops.MemState)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("state %q: %w", t.Name, err), freeAll(states))
		}
		states[t.Name] = t
	}
	return states, nil
}

func freeAll(ts map[string]tensor.Tensor) error {
	var errs []error
	for _, t := range ts {
		errs = append(errs, t.Buf.Free())
	}
	return errors.Join(errs...)
}

// floor returns the NMSE that the logits of the model may have with caches of type cache, in steps of one token or of
// many: devices may have kernels of different precision for the two.
func (l *loaded) floor(cache tensor.DType) (float64, error) {
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
		floor = math.Max(floor, modelFloor(l.dev, g, cache))
	}
	return floor, nil
}
