package hipengine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/engine/bench"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/eval"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// Logits feeds ids to an empty sequence, chunk tokens at a time (0 for as many as a step takes), and calls emit with
// the logits that follow each of them: rows of VocabSize numbers, a call for each chunk. emit must not keep the slice;
// its error ends the work and is returned. The model must be idle, else the error is [ErrBusy].
func (m *Model) Logits(ctx context.Context, ids []int32, chunk int, emit func(rows []float32) error) error {
	if chunk < 0 {
		return fmt.Errorf("hipengine: logits: a chunk of %d tokens", chunk)
	}
	return m.alone(ctx, func(ctx context.Context, r *runner.Runner) error {
		if chunk == 0 {
			chunk = r.Limits().Batch
		}
		chunk = min(chunk, r.Limits().Batch)
		id, err := r.Open()
		if err != nil {
			return err
		}
		defer r.Release(id)
		for len(ids) > 0 {
			n := min(chunk, len(ids))
			rows, err := r.Step(ctx, []runner.Work{{Seq: id, Tokens: ids[:n], Rows: n}})
			if err != nil {
				return err
			}
			if err := emit(rows[0]); err != nil {
				return err
			}
			ids = ids[n:]
		}
		return nil
	})
}

// Chunks cuts a text into chunks of size tokens for measurements that read each from an empty context; what is left
// over is dropped. Special tokens in the text are plain text.
func (m *Model) Chunks(text string, size int) ([][]int32, error) {
	bos := int32(-1)
	if id, ok := m.tok.BOS(); ok && m.tok.AddsBOS() {
		bos = id
	}
	ids, err := m.tok.Encode(text, tokenizer.Options{AddSpecial: true})
	if err != nil {
		return nil, err
	}
	return eval.Chunks(ids, size, bos)
}

// Perplexity measures how well the model predicts the second half of each chunk. progress, which may be nil, is told
// after each chunk how many are read and the score so far. The model must be idle, else the error is [ErrBusy].
func (m *Model) Perplexity(ctx context.Context, chunks [][]int32,
	progress func(done int, s eval.Score)) (eval.Score, error) {
	var score eval.Score
	err := m.alone(ctx, func(ctx context.Context, r *runner.Runner) (err error) {
		score, err = eval.Perplexity(ctx, r, chunks, progress)
		return err
	})
	return score, err
}

// Compare measures how far the predictions of m are from those of base, which must have the same tokenizer. progress,
// which may be nil, is told after each chunk how many are read and the comparison so far. Both models must be idle,
// else the error is [ErrBusy].
func Compare(ctx context.Context, base, m *Model, chunks [][]int32,
	progress func(done int, c *eval.Comparison)) (cmp *eval.Comparison, err error) {
	if base == m {
		return nil, errors.New("hipengine: a model is compared with itself: open it twice")
	}
	err = base.alone(ctx, func(ctx context.Context, b *runner.Runner) error {
		return m.alone(ctx, func(ctx context.Context, r *runner.Runner) error {
			cmp, err = eval.Compare(ctx, b, r, chunks, progress)
			return err
		})
	})
	return cmp, err
}

// Imatrix makes an importance matrix for quantizing: the squares of the activations that meet each weight while the
// model reads the chunks. The model must have been opened with Options.Collect. progress, which may be nil, is told
// after each chunk how many are read. The model must be idle, else the error is [ErrBusy].
func (m *Model) Imatrix(ctx context.Context, chunks [][]int32, progress func(done int)) (*convert.Imatrix, error) {
	if m.collector == nil {
		return nil, &OptionError{Option: "Collect", Reason: "is needed to make an importance matrix"}
	}
	var matrix *convert.Imatrix
	err := m.alone(ctx, func(ctx context.Context, r *runner.Runner) (err error) {
		matrix, err = m.collector.Imatrix(ctx, r, chunks, m.names, progress)
		return err
	})
	return matrix, err
}

// Bandwidth measures the memory of the model's device in bytes per second, for [Model.Bench]. It is 0 for devices
// whose time says nothing. It takes 512 MiB of the device for a moment. The model must be idle, else the error is
// [ErrBusy].
func (m *Model) Bandwidth(ctx context.Context) (rate float64, err error) {
	err = m.alone(ctx, func(ctx context.Context, _ *runner.Runner) error {
		rate, err = m.host.bandwidth(ctx, m.on)
		return err
	})
	return rate, err
}

// Bench measures how fast the model reads or writes, reps times. bandwidth is what Bandwidth returned, or 0. The model
// must be idle, else the error is [ErrBusy].
func (m *Model) Bench(ctx context.Context, t bench.Test, reps int, bandwidth float64) (res bench.Result, err error) {
	err = m.alone(ctx, func(ctx context.Context, r *runner.Runner) error {
		res, err = bench.Measure(ctx, r, t, reps, m.traffic, bandwidth)
		return err
	})
	return res, err
}

// tuneLayers is how many matrices of a kind Tune multiplies with: more than caches hold.
const tuneLayers = 16

// Tune times the GPU's kernels with the model's matrices and returns choices between them that are faster than the
// present ones, as lines of the file that HIPENGINE_CHOICES names. The model must be idle, else the error is
// [ErrBusy].
func (m *Model) Tune(ctx context.Context) (lines []string, err error) {
	gpu, ok := m.on.ops.(*opship.Device)
	if kind, _, _ := strings.Cut(m.Device().Name, ":"); !ok || kind == "emu" {
		return nil, fmt.Errorf("hipengine: there is nothing to tune on %s: GPUs have kernels to choose from",
			m.Device().Name)
	}
	err = m.alone(ctx, func(ctx context.Context, _ *runner.Runner) error {
		for _, ws := range m.weights.Alike(tuneLayers) {
			choices, err := gpu.Tune(ctx, ws)
			if err != nil {
				return err
			}
			for _, c := range choices {
				lines = append(lines, c.String())
			}
		}
		return nil
	})
	return lines, err
}
