package sim

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
)

// trace makes requests that arrive at random, with prompts and answers of very different lengths, some of which are
// cancelled.
func trace(rng *rand.Rand, n int, apart time.Duration) (all []Request) {
	var at time.Duration
	for range n {
		at += time.Duration(rng.ExpFloat64() * float64(apart))
		r := Request{At: at, Prompt: 1 + int(rng.ExpFloat64()*400), Answer: 1 + int(rng.ExpFloat64()*60)}
		if rng.IntN(8) == 0 {
			r.Cancel = time.Duration(rng.ExpFloat64() * float64(time.Second))
		}
		all = append(all, r)
	}
	return all
}

var cost = Cost{Step: 10 * time.Millisecond, Token: 100 * time.Microsecond}

// TestNoRequestStarves replays random traces, overload among them, and demands that each request that is not
// cancelled is answered, and that no sequence with a slot is passed over for longer than the policy promises.
func TestNoRequestStarves(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 18))
		l := runner.Limits{Vocab: 1, Context: 1 << 20, Seqs: 1 + rng.IntN(16), Batch: 1 + rng.IntN(256)}
		p := engine.Fair{StepTokens: rng.IntN(100)}
		budget := l.Batch
		if p.StepTokens > 0 {
			budget = min(budget, p.StepTokens)
		}
		requests := trace(rng, 120, time.Duration(1+rng.IntN(200))*time.Millisecond)
		r, err := Run(p, l, cost, requests)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if r.Done+r.Ended != len(requests) || r.Ended > 40 {
			t.Errorf("seed %d: %d done and %d cancelled of %d", seed, r.Done, r.Ended, len(requests))
		}
		if most := (l.Seqs + budget - 1) / budget; r.MaxIdle > most {
			t.Errorf("seed %d: idle for %d steps, at most %d are promised", seed, r.MaxIdle, most)
		}
		// Work that is there is done: the time is that of all tokens, of steps that are full or serve all, and of
		// waiting for arrivals.
		tokens := 0
		for _, q := range requests {
			tokens += q.Prompt + q.Answer
		}
		last := requests[len(requests)-1].At
		if limit := last + time.Duration(tokens)*(cost.Step+cost.Token); r.End > limit {
			t.Errorf("seed %d: it took %v, at most %v", seed, r.End, limit)
		}
	}
}

// TestShortRequestsBesideALongOne bounds what a prompt of 20,000 tokens costs others: the policy lets their prompts
// pass and bounds the time between their tokens by that of a step.
func TestShortRequestsBesideALongOne(t *testing.T) {
	requests := []Request{{Prompt: 20_000, Answer: 10}}
	for i := range 50 {
		requests = append(requests, Request{At: time.Duration(i) * 40 * time.Millisecond, Prompt: 20, Answer: 20})
	}
	slices.SortStableFunc(requests, func(a, b Request) int { return int(a.At - b.At) })
	r, err := Run(engine.Fair{StepTokens: 128}, runner.Limits{Vocab: 1, Context: 1 << 20, Seqs: 64, Batch: 512}, cost,
		requests)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%v", r)
	step := cost.Step + 128*cost.Token
	if p := Percentile(r.Between, 1); p > step {
		t.Errorf("%v between two tokens, a step takes %v", p, step)
	}
	if p := Percentile(r.First, 0.9); p > 4*step {
		t.Errorf("90 %% have their first token in %v, want four steps of %v", p, step)
	}
	if !strings.Contains(r.String(), "time to first token") {
		t.Error("the report has no first tokens")
	}
}

// TestBadPolicy reports decisions that break the rules.
func TestBadPolicy(t *testing.T) {
	for name, p := range map[string]engine.Policy{"nothing": decide{0, nil}, "too much": decide{1, []int{99}},
		"too many": decide{2, []int{1, 1}}} {
		_, err := Run(p, runner.Limits{Vocab: 1, Context: 10, Seqs: 1, Batch: 8}, cost,
			[]Request{{Prompt: 3, Answer: 1}})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// decide is a policy that always decides the same.
type decide engine.Step

func (d decide) Next(engine.Snapshot) engine.Step { return engine.Step(d) }
