package engine_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/fake"
)

// TestPromptLogprobs compares the log-probabilities of a prompt with those of an answer that says the same.
func TestPromptLogprobs(t *testing.T) {
	run := &fake.Runner{Checkpoints: 4}
	e := start(t, run, func(c *engine.Config) { c.Checkpoints = 4 })
	r := request("some prompt that is long enough to be kept", 30)
	r.Logprobs, r.TopLogprobs = true, 2
	text, answer, err := read(submit(t, e, r))
	if err != nil {
		t.Fatal(err)
	}
	again := request("some prompt that is long enough to be kept"+text, 3)
	again.Logprobs, again.TopLogprobs, again.PromptLogprobs = true, 2, true
	before := len(run.Steps())
	seqs, err := e.SubmitChoices(t.Context(), again, again)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range seqs {
		if _, tokens, err := read(s); err != nil || len(tokens) != 3 {
			t.Fatalf("%d tokens, %v", len(tokens), err)
		}
	}
	// Pieces of the prompt, in a step each, and the two tokens behind the first of each answer; the second may come to its
	// slot later.
	pieces := (len(again.Prompt) + runner.PromptRows - 1) / runner.PromptRows
	if n := len(run.Steps()) - before; n < pieces+2 || n > pieces+4 {
		t.Errorf("%d steps for a prompt of %d tokens and answers of 3", n, len(again.Prompt))
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

// TestPromptLogprobsTogether reads prompts of several lengths at once: in no step are there more rows of them than
// memory is planned for, and each prompt gets what it gets alone.
func TestPromptLogprobsTogether(t *testing.T) {
	run := &fake.Runner{}
	e := start(t, run, nil)
	prompts := []string{"p", "two", strings.Repeat("some text, ", 6), strings.Repeat("x y", 40)}
	ask := func(text string) *engine.Sequence {
		r := request(text, 2)
		r.Logprobs, r.TopLogprobs, r.PromptLogprobs = true, 1, true
		return submit(t, e, r)
	}
	alone := make([][]engine.Token, len(prompts))
	for i, p := range prompts {
		s := ask(p)
		if _, _, err := read(s); err != nil {
			t.Fatal(err)
		}
		alone[i] = s.PromptLogprobs()
	}
	seqs := make([]*engine.Sequence, len(prompts))
	for i, p := range prompts {
		seqs[i] = ask(p)
	}
	for i, s := range seqs {
		if _, _, err := read(s); err != nil {
			t.Fatal(err)
		}
		diff := cmp.Diff(alone[i], s.PromptLogprobs())
		if diff != "" || len(alone[i]) != len(request(prompts[i], 1).Prompt) {
			t.Errorf("prompt %d of %d tokens differs from it alone: %s", i, len(alone[i]), diff)
		}
	}
	for _, step := range run.Steps() {
		rows := 0
		for _, w := range step {
			rows += w.Rows
		}
		if rows > runner.PromptRows+run.Limits().Seqs {
			t.Errorf("a step of %d rows", rows)
		}
	}
}
