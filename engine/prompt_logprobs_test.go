package engine_test

import (
	"errors"
	"math"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/internal/fake"
)

// TestPromptLogprobs compares the log-probabilities of a prompt with those of an answer that says the same.
func TestPromptLogprobs(t *testing.T) {
	e := start(t, &fake.Runner{Checkpoints: 4}, func(c *engine.Config) { c.Checkpoints = 4 })
	r := request("some prompt that is long enough to be kept", 30)
	r.Logprobs, r.TopLogprobs = true, 2
	text, answer, err := read(submit(t, e, r))
	if err != nil {
		t.Fatal(err)
	}
	again := request("some prompt that is long enough to be kept"+text, 3)
	again.Logprobs, again.TopLogprobs, again.PromptLogprobs = true, 2, true
	seqs, err := e.SubmitChoices(t.Context(), again, again)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range seqs {
		if _, tokens, err := read(s); err != nil || len(tokens) != 3 {
			t.Fatalf("%d tokens, %v", len(tokens), err)
		}
	}
	got := seqs[0].PromptLogprobs()
	n := len(again.Prompt) - len(answer)
	if len(got) != len(again.Prompt) || got[0].ID != again.Prompt[0] || got[0].Top != nil || seqs[0].Cached() != 0 {
		t.Fatalf("%d tokens of a prompt of %d, the first %+v, %d cached", len(got), len(again.Prompt), got[0],
			seqs[0].Cached())
	}
	for i, want := range answer {
		p := got[n+i]
		if p.ID != want.ID || math.Abs(float64(p.Logprob-want.Logprob)) > 1e-6 || len(p.Top) != 2 ||
			p.Top[0] != want.Top[0] {
			t.Errorf("token %d: %+v, want %+v", i, p, want)
		}
	}
	again.Logprobs = false
	if _, err := e.Submit(t.Context(), again); !errors.Is(err, engine.ErrBadRequest) {
		t.Errorf("without those of the answer: %v", err)
	}
}
