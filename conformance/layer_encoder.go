package conformance

import (
	"context"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
)

// encoderChecksOf are the checks of architectures that read a sequence in one step and keep nothing of it. They compare
// hidden states.
var encoderChecksOf = []modelCheck{
	{"prefill", "", inChunks(whole), 0},
	{"batch", "", batched, 0},
	{"reuse", "", reusedEncoder, 0},
	{"invariant", "F16", invariantEncoder, 0},
	{"ranks=2", "", batched, 2},
}

// isEncoder reports whether an architecture is one of encoders.
func (s *suite) isEncoder(arch string) bool {
	meta, err := tinyMeta(arch, s.o.Hparams[arch])
	if err != nil {
		return false
	}
	m, err := models.New(meta)
	return err == nil && m.Params().Encoder
}

// reusedEncoder demands that nothing of a released sequence is left.
func reusedEncoder(ctx context.Context, m *modelRun, r *runner.Runner) Result {
	first, err := complete(ctx, r, m.prompts[1], whole)
	if err == nil {
		_, err = complete(ctx, r, m.prompts[0], whole)
	}
	if err != nil {
		return failure(err, false)
	}
	return sameBits(ctx, r, m.prompts[1], first, "after another sequence")
}

// invariantEncoder demands of a device that says so that a sequence has the same bits alone and beside others.
func invariantEncoder(ctx context.Context, m *modelRun, _ *runner.Runner) Result {
	r, refused := m.invariantRunner()
	if r == nil {
		return refused
	}
	defer r.Close()
	res := Result{Verdict: Pass}
	var work []runner.Work
	var alone [][]float32
	for i, p := range m.prompts {
		got, err := complete(ctx, r, p, whole)
		if err != nil {
			return failure(err, false)
		}
		m.judge(&res, "alone", i, got)
		alone = append(alone, got)
	}
	for i := range m.prompts { // each begins at another row than 0
		p := m.prompts[len(m.prompts)-1-i]
		id, err := r.Open()
		if err != nil {
			return failf("%v", err)
		}
		work = append(work, runner.Work{Seq: id, Tokens: p, Rows: len(p)})
	}
	rows, err := step(ctx, r, work)
	if err != nil {
		return failure(err, false)
	}
	for i, want := range alone {
		if e := equalLogits(want, rows[len(rows)-1-i], "beside others"); e.Verdict != Pass {
			return e
		}
	}
	return res
}
