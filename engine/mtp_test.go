package engine_test

import (
	"context"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/spec"
	"github.com/hipengine/hipengine/internal/ember"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops_ref/cpu"
	"github.com/hipengine/hipengine/tensor"
)

// frequent is a runner that has cheap guesses of the first tokens.
type frequent struct {
	*runner.Runner
	tokens int
}

func (f frequent) Limits() runner.Limits {
	l := f.Runner.Limits()
	l.FrequentTokens = f.tokens
	return l
}

// TestEmberDrafts lets Ember guess with its own layer: its greedy answers are those without, alone and all at the same
// time, and a step gives three and a half tokens on average; guesses of half its vocabulary are as good, but for tokens
// that they cannot be.
func TestEmberDrafts(t *testing.T) {
	f, err := ember.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := models.New(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	d, err := models.WithDrafts(m)
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.New(cpu.Options{})
	defer dev.Close()
	w, err := models.LoadWeights(t.Context(), d, f, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Free()
	prompts := testfiles.EmberPrompts(t)
	answers := func(m models.Model, drafting bool, seqs, tokens int) ([][]int32, engine.Stats) {
		t.Helper()
		r, err := runner.New(dev, m, w, runner.Options{Context: 1024, Seqs: seqs, Rewind: spec.MaxDepth,
			KVType: tensor.F16, Checkpoints: 4})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		c := engine.Config{Runner: r, EOG: func(id int32) bool { return id == 2 }}
		if drafting {
			c.Drafters, c.Depth = []spec.Drafter{spec.NewMTP(frequent{r, tokens})}, spec.Fixed(3)
			c.DrafterFailed = func(name string, err error) { t.Errorf("%s: %v", name, err) }
		}
		e, err := engine.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close(context.Background())
		out := make([][]int32, len(prompts))
		for from := 0; from < len(prompts); from += seqs {
			var running []*engine.Sequence
			for _, p := range prompts[from:min(from+seqs, len(prompts))] {
				s, err := e.Submit(t.Context(), engine.Request{Prompt: p.IDs, MaxTokens: 96})
				if err != nil {
					t.Fatal(err)
				}
				running = append(running, s)
			}
			for i, s := range running {
				for tok, err := range s.Tokens() {
					if err != nil {
						t.Fatal(err)
					}
					out[from+i] = append(out[from+i], tok.ID)
				}
			}
		}
		return out, e.Stats()
	}
	want, _ := answers(m, false, 1, 0)
	for _, c := range []struct {
		seqs, tokens int // at once, and that guesses are among; 0: all
		least        float64
	}{{1, 0, 3.5}, {len(prompts), 0, 3.5}, {len(prompts), d.Params().Vocab / 2, 3}} {
		seqs := c.seqs
		got, stats := answers(d, true, seqs, c.tokens)
		for i, ids := range got {
			if !slices.Equal(ids, want[i]) {
				t.Errorf("%d at a time, prompt %d: with drafts %v, without %v", seqs, i, ids, want[i])
			}
		}
		rounds, tokens := stats.Drafts, stats.GeneratedTokens
		perRound := float64(rounds+stats.AcceptedTokens) / float64(rounds)
		t.Logf("%+v: %d tokens, %d drafted in %d rounds, %d of them accepted: %.2f tokens a round", c, tokens,
			stats.DraftedTokens, rounds, stats.AcceptedTokens, perRound)
		if perRound < c.least {
			t.Errorf("%+v: %.2f tokens a round", c, perRound)
		}
	}
}
