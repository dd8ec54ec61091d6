package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// modelRun is one tiny model on the device, with what its logits should be.
type modelRun struct {
	s       *suite
	dev     *loaded
	prompts [][]int32
	want    *wantedLogits
	floor   float64
}

// wantedLogits are the logits of each prompt, computed in one step by the scalar devices.
type wantedLogits struct{ oracle, ref [][]float32 }

// modelKey says which tiny model has certain logits.
type modelKey struct {
	arch  string
	kv    tensor.DType
	split bool // it has the sizes of a model that is split
}

// wantLogits computes logits on the first use.
func (s *suite) wantLogits(ctx context.Context, key modelKey, model models.Model, src models.Source,
	prompts [][]int32) (*wantedLogits, error) {
	if w := s.logits[key]; w != nil {
		return w, nil
	}
	w := &wantedLogits{}
	var err error
	if w.oracle, err = scalarLogits(ctx, s.oracle, model, src, prompts, key.kv, true); err != nil {
		return nil, fmt.Errorf("oracle: %w", err)
	}
	if w.ref, err = scalarLogits(ctx, s.ref, model, src, prompts, key.kv, false); err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	s.logits[key] = w
	return w, nil
}

// modelCheck is a check of a model.
type modelCheck struct {
	name  string
	kv    string // type of the caches; empty for F32
	run   func(ctx context.Context, m *modelRun, r *runner.Runner) Result
	ranks int // over which the model is split; 0: it is not
}

// modelChecksOf are the checks of each architecture. Each gets the model on fresh state.
var modelChecksOf = []modelCheck{
	{"prefill", "", inChunks(whole), 0},
	{"decode", "", inChunks(1), 0},
	{"chunks", "", inChunks(7), 0},
	{"kv-F16", "F16", inChunks(9), 0},
	{"kv-Q8_0", "Q8_0", inChunks(9), 0},
	{"batch", "", batched, 0},
	{"pages", "", scrambledPages, 0},
	{"reuse", "", reusedSlot, 0},
	{"restore", "", restored, 0},
	{"fork", "", forked, 0},
	{"checkpoint", "", checkpointed, 0},
	{"rewind", "", rewound, 0},
	{"churn", "", churn, 0},
	{"invariant", "F16", invariant, 0},
	{"ranks=2", "", inChunks(9), 2},
}

// modelChecks is layer 6: every linked architecture as a tiny model with random weights.
func (s *suite) modelChecks() []check {
	var cs []check
	for _, arch := range models.Architectures() {
		list := modelChecksOf
		if s.isEncoder(arch) {
			list = encoderChecksOf
		}
		for _, c := range list {
			cs = append(cs, check{fmt.Sprintf("Model/%s/%s", arch, c.name), func(ctx context.Context) Result {
				kv := tensor.Invalid
				if c.kv != "" {
					kv, _ = tensor.ParseDType(c.kv)
				}
				return s.modelCheck(ctx, arch, kv, c)
			}})
		}
	}
	return cs
}

func (s *suite) modelCheck(ctx context.Context, arch string, kv tensor.DType, c modelCheck) (res Result) {
	own, given := s.o.Hparams[arch]
	if c.ranks > 0 {
		own = merge(tinySplit, own)
	}
	model, src, err := tinyModel(arch, s.o.Seed, own)
	if err != nil {
		if _, listed := tinyArchs[arch]; !listed && !given {
			return Result{Verdict: Skip,
				Detail: fmt.Sprintf("hyper-parameters are not the common ones, and Options.Hparams has none: %v", err)}
		}
		return failf("%v", err)
	}
	m := &modelRun{s: s, prompts: prompts(model.Params().Vocab, s.o.Seed)}
	if m.want, err = s.wantLogits(ctx, modelKey{arch, kv, c.ranks > 0}, model, src, m.prompts); err != nil {
		return failf("%v", err)
	}
	if c.ranks > 0 {
		if model, err = models.SplitModel(model, c.ranks, src); err != nil {
			return failf("%v", err)
		}
	}
	if m.dev, err = load(ctx, s.dev, model, src); err != nil {
		return failure(err, false)
	}
	defer func() {
		if err := m.dev.close(); err != nil && res.Verdict == Pass {
			res = failf("%v", err)
		}
	}()
	if m.floor, err = m.dev.floor(kv); err != nil {
		return failf("%v", err)
	}
	m.floor = math.Max(m.floor, allowed(exceptions, "Model/"+arch, s.dev.Info().Target))
	r, err := m.dev.runner(len(m.prompts), kv, false)
	if err != nil {
		return failure(err, false)
	}
	defer func() {
		if err := r.Close(); err != nil && res.Verdict == Pass {
			res = failf("%v", err)
		}
	}()
	res = c.run(ctx, m, r)
	if res.Verdict == Fail && s.o.Tap {
		res.Detail += "; " + s.tap(ctx, model, src, m.prompts[0])
	}
	return res
}

// prompts are sequences of random tokens: more than two pages, one page and a token, a few, one page.
func prompts(vocab int, seed uint64) [][]int32 {
	r := newRand(seed, "prompts")
	var ps [][]int32
	for _, n := range []int{2*runner.PageSize + 6, runner.PageSize + 1, 5, runner.PageSize} {
		p := make([]int32, n)
		for i := range p {
			p[i] = int32(r.IntN(vocab))
		}
		ps = append(ps, p)
	}
	return ps
}

// scalarLogits computes the logits of each prompt in one step.
func scalarLogits(ctx context.Context, dev ops.Device, model models.Model, src models.Source, prompts [][]int32,
	kv tensor.DType, wide bool) (out [][]float32, err error) {
	l, err := load(ctx, dev, model, src)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r, err := l.runner(1, kv, wide)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, p := range prompts {
		x, err := complete(ctx, r, p, whole)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// judge compares the logits of prompt i.
func (m *modelRun) judge(res *Result, what string, i int, got []float32) {
	if res.Verdict == Fail {
		return
	}
	j := judge(float64s(m.want.oracle[i]), float64s(m.want.ref[i]), float64s(got), m.floor, 0)
	if p := m.dev.model.Params(); !p.Encoder {
		if l, err := CompareLogits(m.want.ref[i], got, p.Vocab); err == nil {
			j.KL, j.Top1 = l.WorstKL, l.Top1
		}
	}
	res.Metrics, res.Bound = worse(res.Metrics, j.Metrics), math.Max(res.Bound, j.bound)
	if j.err != nil {
		res.Verdict, res.Detail = Fail,
			fmt.Sprintf("%s: prompt of %d tokens: logits: %v", what, len(m.prompts[i]), j.err)
	}
}

// inChunks runs each prompt by itself, chunk tokens a step.
func inChunks(chunk int) func(context.Context, *modelRun, *runner.Runner) Result {
	return func(ctx context.Context, m *modelRun, r *runner.Runner) Result {
		res := Result{Verdict: Pass}
		for i, p := range m.prompts {
			got, err := complete(ctx, r, p, chunk)
			if err != nil {
				return failure(err, false)
			}
			m.judge(&res, fmt.Sprintf("in steps of %d", min(chunk, len(p))), i, got)
		}
		return res
	}
}

// batched runs all prompts in one step.
func batched(ctx context.Context, m *modelRun, r *runner.Runner) Result {
	var work []runner.Work
	for _, p := range m.prompts {
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
	res := Result{Verdict: Pass}
	for i := range rows {
		m.judge(&res, fmt.Sprintf("%d prompts in one step", len(rows)), i, rows[i])
	}
	return res
}

// scrambledPages demands the same bits from a sequence whatever pages it got: addresses are not arithmetic.
func scrambledPages(ctx context.Context, m *modelRun, r *runner.Runner) Result {
	long := m.prompts[0]
	first, err := complete(ctx, r, long, whole)
	if err != nil {
		return failure(err, false)
	}
	// Sequences that grow in turn and are released in another order leave the free pages shuffled.
	var ids []runner.SeqID
	for range m.prompts {
		id, err := r.Open()
		if err != nil {
			return failf("%v", err)
		}
		ids = append(ids, id)
	}
	for range 2 {
		for _, id := range ids {
			if _, err := r.Step(ctx, []runner.Work{{Seq: id, Tokens: long[:runner.PageSize]}}); err != nil {
				return failure(err, false)
			}
		}
	}
	for _, i := range newRand(m.s.o.Seed, "pages").Perm(len(ids)) {
		r.Release(ids[i])
	}
	return sameBits(ctx, r, long, first, "on shuffled pages")
}

// reusedSlot demands that nothing of a released sequence is left in its slot.
func reusedSlot(ctx context.Context, m *modelRun, r *runner.Runner) Result {
	first, err := complete(ctx, r, m.prompts[1], whole)
	if err != nil {
		return failure(err, false)
	}
	if _, err := complete(ctx, r, m.prompts[0], 3); err != nil {
		return failure(err, false)
	}
	return sameBits(ctx, r, m.prompts[1], first, "in the slot of another sequence")
}

func sameBits(ctx context.Context, r *runner.Runner, ids []int32, want []float32, where string) Result {
	got, err := complete(ctx, r, ids, whole)
	if err != nil {
		return failure(err, false)
	}
	return equalLogits(want, got, where)
}

func equalLogits(want, got []float32, where string) Result {
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			return failf("%s: logit %d is %v, was %v", where, i, got[i], want[i])
		}
	}
	return Result{Verdict: Pass}
}

// restored demands the same bits from a sequence that was saved in the middle of a page, and restored twice, as from
// the one that went on.
func restored(ctx context.Context, m *modelRun, r *runner.Runner) Result {
	return branched(ctx, m, r, "restored", func(id runner.SeqID) (func() (runner.SeqID, error), error) {
		snap, err := r.Save(ctx, id)
		return func() (runner.SeqID, error) { return r.Restore(ctx, snap) }, err
	})
}

// forked demands the same of sequences that share the pages of their common prefix.
func forked(ctx context.Context, m *modelRun, r *runner.Runner) Result {
	return branched(ctx, m, r, "forked", func(id runner.SeqID) (func() (runner.SeqID, error), error) {
		var forks []runner.SeqID
		for range 2 { // now: the sequence goes on before they are used
			fork, err := r.Fork(id)
			if err != nil {
				return nil, err
			}
			forks = append(forks, fork)
		}
		return func() (runner.SeqID, error) {
			fork := forks[0]
			forks = forks[1:]
			return fork, nil
		}, nil
	})
}

// checkpointed demands the same of sequences that resume from a checkpoint.
func checkpointed(ctx context.Context, m *modelRun, r *runner.Runner) Result {
	return branched(ctx, m, r, "resumed", func(id runner.SeqID) (func() (runner.SeqID, error), error) {
		cp, err := r.Checkpoint(id)
		return func() (runner.SeqID, error) { return r.Resume(cp) }, err
	})
}

// branched runs the start of a prompt, takes branches of the sequence, runs the rest, and compares: the rest on a
// branch, and then the rest on another after the first branch went elsewhere.
func branched(ctx context.Context, m *modelRun, r *runner.Runner, how string,
	branch func(runner.SeqID) (func() (runner.SeqID, error), error)) Result {
	prompt := m.prompts[0]
	at := runner.PageSize + 7
	step := func(id runner.SeqID, ids []int32) ([]float32, error) {
		rows, err := r.Step(ctx, []runner.Work{{Seq: id, Tokens: ids, Rows: len(ids)}})
		if err != nil {
			return nil, err
		}
		return slices.Clone(rows[0]), nil
	}
	id, err := r.Open()
	if err != nil {
		return failf("%v", err)
	}
	if _, err := step(id, prompt[:at]); err != nil {
		return failure(err, false)
	}
	next, err := branch(id)
	if err != nil {
		return failure(err, false)
	}
	want, err := step(id, prompt[at:])
	if err != nil {
		return failure(err, false)
	}
	for i := range 2 {
		b, err := next()
		if err != nil {
			return failure(err, false)
		}
		got, err := step(b, prompt[at:])
		if err != nil {
			return failure(err, false)
		}
		if res := equalLogits(want, got, fmt.Sprintf("%s sequence %d", how, i+1)); res.Verdict != Pass {
			return res
		}
		if _, err := step(b, m.prompts[1]); err != nil {
			return failure(err, false)
		}
	}
	return Result{Verdict: Pass}
}

// churn lets sequences join, advance by a few tokens, and leave at random, several in each step, until every prompt
// was completed three times.
func churn(ctx context.Context, m *modelRun, r *runner.Runner) Result {
	rnd := newRand(m.s.o.Seed, "churn")
	type live struct {
		id     runner.SeqID
		prompt int
		at     int
		logits []float32
	}
	var queue []int
	for range 3 {
		queue = append(queue, rnd.Perm(len(m.prompts))...)
	}
	var open []*live
	res := Result{Verdict: Pass}
	for len(queue)+len(open) > 0 {
		if len(queue) > 0 && len(open) < len(m.prompts) && (len(open) == 0 || rnd.IntN(3) == 0) {
			id, err := r.Open()
			if err != nil {
				return failf("%v", err)
			}
			open = append(open, &live{id: id, prompt: queue[0]})
			queue = queue[1:]
		}
		var work []runner.Work
		var stepped []*live
		for _, l := range open {
			if len(open) > 1 && rnd.IntN(4) == 0 {
				continue // this one waits
			}
			n := stepTokens(rnd, len(m.prompts[l.prompt])-l.at)
			work = append(work, runner.Work{Seq: l.id, Tokens: m.prompts[l.prompt][l.at : l.at+n], Rows: n})
			stepped = append(stepped, l)
		}
		if len(work) == 0 {
			continue
		}
		rows, err := r.Step(ctx, work)
		if err != nil {
			return failure(err, false)
		}
		for i, l := range stepped {
			l.at += len(work[i].Tokens)
			l.logits = append(l.logits, rows[i]...)
			if l.at == len(m.prompts[l.prompt]) {
				m.judge(&res, "among sequences that join and leave", l.prompt, l.logits)
				r.Release(l.id)
				open = slices.DeleteFunc(open, func(o *live) bool { return o == l })
			}
		}
	}
	return res
}

// stepTokens picks the tokens of a step: often one, as in decoding.
func stepTokens(r *rand.Rand, left int) int {
	if r.IntN(2) == 0 {
		return 1
	}
	return 1 + r.IntN(min(left, 20))
}

func float64s(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}
