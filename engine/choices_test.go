package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/fake"
)

// choices are n requests that differ in seed and length.
func choices(prompt string, n, tokens int) []engine.Request {
	var rs []engine.Request
	for i := range n {
		r := request(prompt, tokens-i)
		r.Sampling = sample.Params{Temperature: 1, Seed: uint64(10 + i)}
		rs = append(rs, r)
	}
	return rs
}

// TestChoicesReadTheirPromptOnce compares choices with requests of their own, however many slots and checkpoints there
// are, and counts the tokens of prompts that the runner saw.
func TestChoicesReadTheirPromptOnce(t *testing.T) {
	prompt := strings.Repeat("all of them begin like this ", 5)
	const n, tokens = 5, 30
	for _, c := range []struct{ seqs, checkpoints, others int }{{1, 0, 0}, {1, 1, 0}, {2, 0, 3}, {2, 1, 3}, {3, 9, 1},
		{8, 0, 0}, {8, 2, 6}} {
		bubble(fmt.Sprintf("%d slots, %d checkpoints, %d others", c.seqs, c.checkpoints, c.others), t,
			func(t *testing.T) {
				alone := start(t, &fake.Runner{}, nil)
				r := &fake.Runner{Lim: runner.Limits{Seqs: c.seqs, Batch: 16}, Checkpoints: c.checkpoints}
				e := start(t, r, nil)
				var others []*engine.Sequence
				prompts := len(prompt)
				for i := range c.others {
					p := strings.Repeat("x", 10+20*i)
					others = append(others, submit(t, e, request(p, 20)))
					prompts += len(p)
				}
				seqs, err := e.SubmitChoices(context.Background(), choices(prompt, n, tokens)...)
				if err != nil {
					t.Fatal(err)
				}
				for i, req := range choices(prompt, n, tokens) {
					want, _, err := read(submit(t, alone, req))
					if err != nil {
						t.Fatal(err)
					}
					got, ts, err := read(seqs[i])
					if err != nil || got != want || len(ts) != tokens-i {
						t.Errorf("choice %d: %q in %d tokens, %v; alone %q", i, got, len(ts), err, want)
					}
				}
				for _, s := range others {
					if _, _, err := read(s); err != nil {
						t.Error(err)
					}
				}
				if s := e.Stats(); s.PromptTokens != uint64(prompts) || s.Length != uint64(n+c.others) {
					t.Errorf("%d tokens of prompts read, want %d; %d sequences ended", s.PromptTokens, prompts,
						s.Length)
				}
			})
	}
}

// TestChoicesTakeTurns checks that choices are served before requests that came later.
func TestChoicesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fake.Runner{Lim: runner.Limits{Seqs: 1}, Gate: make(chan struct{})}
		e := start(t, r, nil)
		seqs, err := e.SubmitChoices(context.Background(), choices("abc", 3, 9)...)
		if err != nil {
			t.Fatal(err)
		}
		later := submit(t, e, request("xyz", 1))
		if s := e.Stats(); s.Running+s.Waiting != 4 {
			t.Errorf("stats %+v", s)
		}
		close(r.Gate)
		if _, _, err := read(later); err != nil {
			t.Fatal(err)
		}
		if s := e.Stats(); s.Length != 4 {
			t.Errorf("the later request is done before the choices: %+v", s)
		}
		for _, s := range seqs {
			if _, _, err := read(s); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestChoicesSurviveEachOther cancels one of the choices in each state: reading the prompt, waiting for it to be read,
// waiting for a slot, and running.
func TestChoicesSurviveEachOther(t *testing.T) {
	for _, c := range []struct {
		name   string
		steps  int // done before
		cancel int // choice
	}{
		{"reading", 1, 0}, {"waiting for the prompt", 1, 2}, {"waiting for a slot", 6, 3}, {"running", 6, 0},
		{"forked", 6, 1},
	} {
		for _, checkpoints := range []int{0, 1} {
			bubble(fmt.Sprintf("%s, %d checkpoints", c.name, checkpoints), t, func(t *testing.T) {
				r := &fake.Runner{Lim: runner.Limits{Seqs: 2, Batch: 8}, Checkpoints: checkpoints,
					Gate: make(chan struct{})}
				e := start(t, r, nil)
				prompt := strings.Repeat("p", 20) // three steps
				seqs, err := e.SubmitChoices(context.Background(), choices(prompt, 4, 12)...)
				if err != nil {
					t.Fatal(err)
				}
				for range c.steps {
					r.Gate <- struct{}{}
				}
				synctest.Wait()
				seqs[c.cancel].Cancel()
				close(r.Gate)
				for i, s := range seqs {
					_, ts, err := read(s)
					switch {
					case i == c.cancel && !errors.Is(err, context.Canceled):
						t.Errorf("choice %d was cancelled: %v", i, err)
					case i != c.cancel && (err != nil || len(ts) != 12-i):
						t.Errorf("choice %d: %d tokens, %v", i, len(ts), err)
					}
				}
				if s := e.Stats(); s.Cancelled != 1 || s.Length != 3 {
					t.Errorf("stats %+v", s)
				}
			})
		}
	}
}

// TestChoicesEndWithTheEngine closes an engine in whose queue and slots there are choices.
func TestChoicesEndWithTheEngine(t *testing.T) {
	for _, steps := range []int{0, 1, 5} {
		bubble(fmt.Sprintf("after %d steps", steps), t, func(t *testing.T) {
			r := &fake.Runner{Lim: runner.Limits{Seqs: 2, Batch: 8}, Checkpoints: 1, Gate: make(chan struct{})}
			e := start(t, r, nil)
			seqs, err := e.SubmitChoices(context.Background(), choices(strings.Repeat("p", 20), 4, 12)...)
			if err != nil {
				t.Fatal(err)
			}
			for range steps {
				r.Gate <- struct{}{}
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := e.Close(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Close: %v", err)
			}
			for i, s := range seqs {
				if _, _, err := read(s); !errors.Is(err, engine.ErrClosed) {
					t.Errorf("choice %d: %v", i, err)
				}
			}
		})
	}
}

// TestChoicesFailWithTheirStep: the step that reads the prompt fails once, so that the next choice reads it.
func TestChoicesFailWithTheirStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom, failed := errors.New("device lost"), false
		r := &fake.Runner{Lim: runner.Limits{Seqs: 2, Batch: 8}}
		r.Fail = func(work []runner.Work) error {
			if !failed && slices.Contains(work[0].Tokens, 'x') {
				failed = true
				return boom
			}
			return nil
		}
		e := start(t, r, nil)
		seqs, err := e.SubmitChoices(context.Background(), choices("aaaaaaaaaax", 3, 5)...)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range seqs {
			_, ts, err := read(s)
			if i == 0 && !errors.Is(err, boom) || i > 0 && (err != nil || len(ts) != 5-i) {
				t.Errorf("choice %d: %d tokens, %v", i, len(ts), err)
			}
		}
	})
}

func TestSubmitChoicesErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fake.Runner{Lim: runner.Limits{Seqs: 1}, Gate: make(chan struct{})}
		e := start(t, r, func(c *engine.Config) { c.MaxQueue = 3 })
		if _, err := e.SubmitChoices(context.Background()); !errors.Is(err, engine.ErrBadRequest) {
			t.Errorf("no request: %v", err)
		}
		if _, err := e.SubmitChoices(context.Background(), request("a", 1), request("b", 1)); !errors.Is(err,
			engine.ErrBadRequest) || !strings.Contains(err.Error(), "choice 1") {
			t.Errorf("two prompts: %v", err)
		}
		if _, err := e.SubmitChoices(context.Background(), choices("abc", 4, 9)...); !errors.Is(err,
			engine.ErrBadRequest) || !strings.Contains(err.Error(), "4 choices") {
			t.Errorf("more choices than the queue ever holds: %v", err)
		}
		seqs, err := e.SubmitChoices(context.Background(), choices("abc", 3, 9)...)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		// Two choices wait.
		if _, err := e.SubmitChoices(context.Background(), choices("d", 2, 1)...); !errors.Is(err,
			engine.ErrQueueFull) {
			t.Errorf("two more: error %v, want ErrQueueFull", err)
		}
		if s := e.Stats(); s.Waiting != 2 || s.Rejected != 1 {
			t.Errorf("stats %+v", s)
		}
		seqs = append(seqs, submit(t, e, request("d", 1)))
		if _, err := e.Submit(context.Background(), request("e", 1)); !errors.Is(err, engine.ErrQueueFull) {
			t.Errorf("one more: error %v, want ErrQueueFull", err)
		}
		close(r.Gate)
		for _, s := range seqs {
			if _, _, err := read(s); err != nil {
				t.Error(err)
			}
		}
	})
}
