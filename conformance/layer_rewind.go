package conformance

import (
	"context"
	"slices"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/tensor"
)

// rewindTokens is how many tokens of a step the checks take back at most.
const rewindTokens = 3

// rewound runs all prompts side by side, a few tokens a step, with others behind them that are taken back, and demands
// the logits of the prompts.
func rewound(ctx context.Context, m *modelRun, _ *runner.Runner) Result {
	o := m.dev.options(len(m.prompts), tensor.Invalid, false)
	o.Rewind = rewindTokens
	r, err := runner.New(m.dev.dev, m.dev.model, m.dev.weights, o)
	if err != nil {
		return failure(err, false)
	}
	defer r.Close()
	if r.Limits().Rewinds < rewindTokens {
		return Result{Verdict: Skip, Detail: "the device has no kernels that keep earlier states"}
	}
	rnd := newRand(m.s.o.Seed, "rewind")
	ids, got := make([]runner.SeqID, len(m.prompts)), make([][]float32, len(m.prompts))
	for i := range ids {
		if ids[i], err = r.Open(); err != nil {
			return failf("%v", err)
		}
	}
	vocab := m.dev.model.Params().Vocab
	for {
		var work []runner.Work
		var of []int
		for i, p := range m.prompts {
			at := len(got[i]) / vocab
			if at == len(p) {
				continue
			}
			n := min(len(p)-at, 1+rnd.IntN(4))
			if at == 0 && i == 0 {
				n = runner.PageSize // a prompt beside the others
			}
			work = append(work, guess(r, ids[i], p[at:at+n], min(rnd.IntN(rewindTokens+1), tinyContext-at-n)))
			of = append(of, i)
		}
		if len(work) == 0 {
			break
		}
		rows, err := r.Step(ctx, work)
		if err != nil {
			return failure(err, false)
		}
		for j, i := range of {
			got[i] = append(got[i], rows[j][:(len(work[j].Tokens)-work[j].Rewind)*vocab]...)
			if err := takeBack(r, work[j]); err != nil {
				return failf("%v", err)
			}
		}
	}
	res := Result{Verdict: Pass}
	for i := range got {
		m.judge(&res, "with tokens taken back", i, got[i])
	}
	return res
}

// guess is work of the given tokens, and of wrong ones behind them that can be taken back.
func guess(r *runner.Runner, id runner.SeqID, tokens []int32, wrong int) runner.Work {
	vocab := int32(r.Limits().Vocab)
	all := slices.Clone(tokens)
	for range wrong {
		all = append(all, (all[len(all)-1]+1)%vocab)
	}
	return runner.Work{Seq: id, Tokens: all, Rows: len(all), Rewind: wrong}
}

// takeBack removes the wrong tokens of a guess, one and then the others.
func takeBack(r *runner.Runner, w runner.Work) error {
	n := r.Len(w.Seq)
	if w.Rewind > 1 {
		if err := r.Truncate(w.Seq, n-1); err != nil {
			return err
		}
	}
	return r.Truncate(w.Seq, n-w.Rewind)
}
