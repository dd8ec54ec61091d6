package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/cpu"
	"github.com/hipengine/hipengine/tensor"
)

var _ engine.Runner = (*runner.Runner)(nil)

// TestChoicesOfModels compares choices with requests of their own on a model with recurrent state and one with
// windows, in fewer slots than there are choices.
func TestChoicesOfModels(t *testing.T) {
	for _, arch := range []string{"qwen35", "gemma4"} {
		m, err := models.New(tiny.Meta(arch))
		if err != nil {
			t.Fatal(err)
		}
		dev := opsref.New(opsref.Options{Threads: 1})
		defer dev.Close()
		w, err := models.LoadWeights(t.Context(), m, tiny.Weights(m, tensor.F32, 1), dev, nil)
		if err != nil {
			t.Fatal(err)
		}
		var requests []engine.Request
		for i := range 4 {
			r := engine.Request{MaxTokens: 12, Sampling: sample.Params{Temperature: 1, Seed: uint64(i)}}
			for j := range int32(70) {
				r.Prompt = append(r.Prompt, j*j%tiny.Vocab)
			}
			requests = append(requests, r)
		}
		// ids runs the requests as submit hands them in, and returns the tokens of each and how many of prompts were
		// read.
		ids := func(o runner.Options, submit func(e *engine.Engine) ([]*engine.Sequence, error)) (out [][]int32,
			read uint64) {
			r, err := runner.New(dev, m, w, o)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			e, err := engine.New(engine.Config{Runner: r})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close(context.Background())
			seqs, err := submit(e)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range seqs {
				var row []int32
				for tok, err := range s.Tokens() {
					if err != nil {
						t.Fatal(err)
					}
					row = append(row, tok.ID)
				}
				out = append(out, row)
			}
			return out, e.Stats().PromptTokens
		}
		want, _ := ids(runner.Options{Seqs: 1, Batch: 32},
			func(e *engine.Engine) (seqs []*engine.Sequence, err error) {
				for _, r := range requests {
					s, err := e.Submit(t.Context(), r)
					if err != nil {
						return nil, err
					}
					seqs = append(seqs, s)
				}
				return seqs, nil
			})
		for _, o := range []runner.Options{{Seqs: 1}, {Seqs: 1, Checkpoints: 1}, {Seqs: 3, Checkpoints: 1},
			{Seqs: 4}} {
			t.Run(fmt.Sprintf("%s in %d slots with %d checkpoints", arch, o.Seqs, o.Checkpoints), func(t *testing.T) {
				o.Batch = 32
				got, read := ids(o, func(e *engine.Engine) ([]*engine.Sequence,
					error) {
					return e.SubmitChoices(t.Context(), requests...)
				})
				for i := range want {
					if len(want[i]) != 12 || !slices.Equal(got[i], want[i]) {
						t.Errorf("choice %d: %d, alone %d", i, got[i], want[i])
					}
				}
				if read != 70 {
					t.Errorf("%d tokens of prompts read, want 70", read)
				}
			})
		}
	}
}

// whole is a runner that returns all logits alone.
type whole struct{ *runner.Runner }

func (w whole) Limits() runner.Limits {
	l := w.Runner.Limits()
	l.Top = 0
	return l
}

// TestTopOfModels draws from the largest logits that a device finds, and from all of them: the tokens are the same.
func TestTopOfModels(t *testing.T) {
	var requests []engine.Request
	for i, p := range []sample.Params{{}, sample.Defaults(), {Temperature: 1.5, TopK: 64, TopP: 0.99},
		{Temperature: 2, TopK: 3}, {}} {
		p.Seed = uint64(i)
		requests = append(requests, engine.Request{Prompt: []int32{int32(i), 3, 9, 2}, MaxTokens: 24, Sampling: p})
	}
	for _, arch := range []string{"gemma4", "qwen35moe"} {
		m, err := models.New(tiny.Meta(arch))
		if err != nil {
			t.Fatal(err)
		}
		dev := cpu.New(cpu.Options{Threads: 2})
		defer dev.Close()
		w, err := models.LoadWeights(t.Context(), m, tiny.Weights(m, tensor.F32, 1), dev, nil)
		if err != nil {
			t.Fatal(err)
		}
		ids := func(all bool) (out [][]int32) {
			r, err := runner.New(dev, m, w, runner.Options{Seqs: 3, Batch: 16})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			c := engine.Config{Runner: r}
			if all {
				c.Runner = whole{r}
			}
			e, err := engine.New(c)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close(context.Background())
			var seqs []*engine.Sequence
			for _, req := range requests {
				seqs = append(seqs, submit(t, e, req))
			}
			for _, s := range seqs {
				_, tokens, err := read(s)
				if err != nil {
					t.Fatal(err)
				}
				var row []int32
				for _, tok := range tokens {
					row = append(row, tok.ID)
				}
				out = append(out, row)
			}
			return out
		}
		want, got := ids(true), ids(false)
		for i := range want {
			if len(want[i]) != 24 || !slices.Equal(got[i], want[i]) {
				t.Errorf("%s, request %d: %d, from all logits %d", arch, i, got[i], want[i])
			}
		}
	}
}
