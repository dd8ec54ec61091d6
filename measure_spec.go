package hipengine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/bench"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/spec"
)

// SpecTest is how guesses are measured. The zero value measures what an engine makes of them.
type SpecTest struct {
	Depth  int     // tokens that are always guessed at once; 0 leaves that to what pays
	Thin   bool    // guesses are replaced by what will come
	Accept float64 // with Thin, but for a share at random: this share is right
}

// SpecResult is how fast answers are made with guesses and without.
type SpecResult struct {
	bench.Test
	Spec    string    `json:"spec"`              // what guesses
	Plain   []float64 `json:"plain"`             // tokens per second of all sequences, without guesses
	Guessed []float64 `json:"guessed"`           // with them: each was measured behind the one without
	Ratio   float64   `json:"ratio"`             // median of the ratios of the two
	PerStep float64   `json:"tokens_per_step"`   // of a sequence, with guesses
	Right   float64   `json:"accepted_share"`    // of the guesses
	Depth   float64   `json:"guesses_per_draft"` // in the mean
}

// BenchSpec measures greedy answers of t.Tokens behind prompts of random tokens, at least SpecPrompt of them, reps times
// without guesses and with them in turns, after once that warms up. The model was opened with Options.Spec, of which the
// first kind of guesses is used. The model must be idle, else the error is [ErrBusy].
func (m *Model) BenchSpec(ctx context.Context, t bench.Test, reps int, st SpecTest) (res SpecResult, err error) {
	switch {
	case len(m.drafters) == 0:
		return res, &OptionError{Option: "Spec", Reason: "guesses nothing, so that there is nothing to measure"}
	case t.Kind != bench.Decode || t.Tokens < 2 || reps < 1 || st.Depth < 0 || st.Depth > spec.MaxDepth ||
		!(st.Accept >= 0 && st.Accept <= 1):
		return res, fmt.Errorf("hipengine: measuring guesses: %v of %d tokens, %d times, depth %d of 0..%d, share %v of 0..1",
			t.Kind, t.Tokens, reps, st.Depth, spec.MaxDepth, st.Accept)
	}
	err = m.alone(ctx, func(ctx context.Context, r *runner.Runner) error {
		res, err = m.benchSpec(ctx, r, t, reps, st)
		return err
	})
	return res, err
}

// SpecPrompt is the least length of prompts of BenchSpec, so that there is something to look up.
const SpecPrompt = 16

// MaxGuesses is the most tokens that are guessed at once.
const MaxGuesses = spec.MaxDepth

func (m *Model) benchSpec(ctx context.Context, r *runner.Runner, t bench.Test, reps int, st SpecTest) (SpecResult,
	error) {
	res := SpecResult{Test: t, Spec: m.drafters[0].Info().Name}
	random := rand.New(rand.NewPCG(1, 2))
	prompts := make([][]int32, t.Batch)
	for i := range prompts {
		for range max(t.Depth, SpecPrompt) {
			prompts[i] = append(prompts[i], random.Int32N(int32(r.Limits().Vocab)))
		}
	}
	var depth spec.Chooser
	if st.Depth > 0 {
		depth = spec.Fixed(st.Depth)
	}
	drafter := &later{Drafter: m.drafters[0]}
	e, err := engine.New(engine.Config{Runner: r, Drafters: []spec.Drafter{drafter}, Depth: depth,
		DrafterFailed: m.drafterFailed})
	if err != nil {
		return res, err
	}
	defer e.Close(context.Background())
	var ratios []float64
	for i := range reps + 1 {
		plain, texts, err := answerAll(ctx, e, prompts, t.Tokens, engine.NoDrafter)
		if err != nil {
			return res, err
		}
		if st.Thin && i == 0 {
			drafter.Drafter = spec.NewReplay(texts, st.Accept, r.Limits().Vocab, 1, m.drafters[0])
		}
		before := e.Stats()
		guessed, _, err := answerAll(ctx, e, prompts, t.Tokens, "")
		if err != nil {
			return res, err
		}
		if i == 0 {
			continue
		}
		s := e.Stats()
		drafts, drafted, right := s.Drafts-before.Drafts, s.DraftedTokens-before.DraftedTokens,
			s.AcceptedTokens-before.AcceptedTokens
		res.Plain, res.Guessed = append(res.Plain, plain), append(res.Guessed, guessed)
		ratios = append(ratios, guessed/plain)
		drawn := float64(t.Tokens * t.Batch)
		res.PerStep += drawn / (drawn - float64(right)) / float64(reps)
		res.Right += float64(right) / float64(max(drafted, 1)) / float64(reps)
		res.Depth += float64(drafted) / float64(max(drafts, 1)) / float64(reps)
	}
	slices.Sort(ratios)
	res.Ratio = (ratios[(reps-1)/2] + ratios[reps/2]) / 2
	return res, nil
}

// later is a drafter that is replaced.
type later struct{ spec.Drafter }

// answerAll makes greedy answers of n tokens to all prompts at once. It returns the tokens per second behind the first
// of each, and prompts with their answers.
func answerAll(ctx context.Context, e *engine.Engine, prompts [][]int32, n int, drafter string) (rate float64,
	texts [][]int32, err error) {
	texts = make([][]int32, len(prompts))
	first, last, errs := make([]time.Time, len(prompts)), make([]time.Time, len(prompts)), make([]error, len(prompts))
	var wait sync.WaitGroup
	for i, p := range prompts {
		s, err := e.Submit(ctx, engine.Request{Prompt: p, MaxTokens: n, IgnoreEOG: true, Drafter: drafter})
		if err != nil {
			return 0, nil, err
		}
		texts[i] = slices.Clone(p)
		wait.Go(func() {
			for tok, err := range s.Tokens() {
				if errs[i] = err; err != nil {
					return
				}
				if last[i] = time.Now(); first[i].IsZero() {
					first[i] = last[i]
				}
				texts[i] = append(texts[i], tok.ID)
			}
		})
	}
	wait.Wait()
	for i := range prompts {
		if errs[i] != nil {
			return 0, nil, errs[i]
		}
	}
	took := slices.MaxFunc(last, time.Time.Compare).Sub(slices.MinFunc(first, time.Time.Compare))
	return float64((n-1)*len(prompts)) / took.Seconds(), texts, nil
}
