package conformance

import (
	"context"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/tensor"
)

// invariant demands of a device that says so (ops.Caps) that the logits of a prompt are right, and the same bits
// whole, in steps of one token or of several, beside others, after a checkpoint, and after tokens that were taken back.
func invariant(ctx context.Context, m *modelRun, _ *runner.Runner) Result {
	r, refused := m.invariantRunner()
	if r == nil {
		return refused
	}
	defer r.Close()
	res := Result{Verdict: Pass}
	var want [][]float32
	for i, p := range m.prompts {
		got, err := complete(ctx, r, p, whole)
		if err != nil {
			return failure(err, false)
		}
		m.judge(&res, "in one step", i, got)
		want = append(want, got)
	}
	if res.Verdict != Pass {
		return res
	}
	for i, p := range m.prompts {
		for _, sizes := range [][]int{{1}, {7}, {20, 1, 9, 1}} {
			got, err := complete(ctx, r, p, sizes...)
			if err != nil {
				return failure(err, false)
			}
			if e := equalLogits(want[i], got,
				fmt.Sprintf("%d tokens in steps of %v", len(p), sizes)); e.Verdict != Pass {
				return e
			}
		}
	}
	if e := m.crowd(ctx, r, want); e.Verdict != Pass {
		return e
	}
	return res
}

// invariantRunner returns a runner for all prompts that has the contract, which the caller closes, or nil and the
// result of a check on a device that has not.
func (m *modelRun) invariantRunner() (*runner.Runner, Result) {
	if !m.dev.dev.Caps().Invariant {
		return nil, Result{Verdict: Skip, Detail: "the device does not say that it can"}
	}
	o := m.dev.options(len(m.prompts), tensor.F16, false)
	o.Invariant, o.Rewind = true, rewindTokens
	r, err := runner.New(m.dev.dev, m.dev.model, m.dev.weights, o)
	if err != nil {
		return nil, failure(err, false)
	}
	return r, Result{}
}

// crowd runs all prompts side by side in steps of random size, every third of which goes on from a checkpoint, and some
// of which have wrong tokens at the end that are taken back, and compares the bits with those of each prompt alone.
func (m *modelRun) crowd(ctx context.Context, r *runner.Runner, want [][]float32) Result {
	rnd := newRand(m.s.o.Seed, "crowd")
	ids := make([]runner.SeqID, len(m.prompts))
	at := make([]int, len(m.prompts))
	var err error
	for i := range ids {
		if ids[i], err = r.Open(); err != nil {
			return failf("%v", err)
		}
	}
	vocab := m.dev.model.Params().Vocab
	for {
		var work []runner.Work
		var of []int
		for _, i := range rnd.Perm(len(ids)) {
			left := len(m.prompts[i]) - at[i]
			if left == 0 {
				continue
			}
			if rnd.IntN(3) == 0 && at[i] > 0 {
				if ids[i], err = again(r, ids[i]); err != nil {
					return failf("%v", err)
				}
			}
			n := stepTokens(rnd, left)
			wrong := min(rnd.IntN(rewindTokens+1), r.Limits().Rewinds, tinyContext-at[i]-n)
			work = append(work, guess(r, ids[i], m.prompts[i][at[i]:at[i]+n], wrong))
			of = append(of, i)
		}
		if len(work) == 0 {
			return Result{Verdict: Pass}
		}
		rows, err := r.Step(ctx, work)
		if err != nil {
			return failure(err, false)
		}
		for j, i := range of {
			n := len(work[j].Tokens) - work[j].Rewind
			if e := equalLogits(want[i][at[i]*vocab:(at[i]+n)*vocab], slices.Clone(rows[j][:n*vocab]),
				fmt.Sprintf("token %d on, %d of a step of %d sequences", at[i], n, len(work))); e.Verdict != Pass {
				return e
			}
			at[i] += n
			if err := takeBack(r, work[j]); err != nil {
				return failf("%v", err)
			}
		}
	}
}

// again releases a sequence and resumes it from a checkpoint.
func again(r *runner.Runner, id runner.SeqID) (runner.SeqID, error) {
	cp, err := r.Checkpoint(id)
	if err != nil {
		return 0, err
	}
	defer r.Drop(cp)
	r.Release(id)
	return r.Resume(cp)
}
