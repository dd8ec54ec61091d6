package opship_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/ember"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// maxMeanKL bounds the mean divergence from the reference in nats. It is half the mean square error of the logits.
// Rounding both operands of a product to half has one of at most 1.6e-7 of the product's variance; 33 products lie on
// the way through 8 layers, and Ember's logits have a variance of about 6.
const maxMeanKL = 2e-5

// emberOn loads Ember on a device.
func emberOn(t *testing.T, dev ops.Device) *runner.Runner {
	t.Helper()
	f, err := ember.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := models.New(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	w, err := models.LoadWeights(t.Context(), m, f, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Free(); err != nil {
			t.Error(err)
		}
	})
	r, err := runner.New(dev, m, w, runner.Options{Context: 256, Rewind: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// greedy reads the prompt in one step, then takes the most likely token n times. It returns the tokens taken and the
// logits of every position that was run.
func greedy(t *testing.T, r *runner.Runner, prompt []int32, n int) (taken []int32, all []float32) {
	t.Helper()
	id, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release(id)
	for next := prompt; ; next = taken[len(taken)-1:] {
		rows, err := r.Step(t.Context(), []runner.Work{{Seq: id, Tokens: next, Rows: len(next)}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rows[0]...)
		if len(taken) == n {
			return taken, all
		}
		last := all[len(all)-r.Limits().Vocab:]
		taken = append(taken, logits.Argmax(last))
	}
}

// emberPrompt returns a JSON record, longer than the tests; the first tokens of the story are a near tie.
func emberPrompt(t *testing.T) testfiles.EmberPrompt {
	t.Helper()
	return testfiles.EmberPrompts(t)[3]
}

// TestEmberEmulated runs the built-in model through the shipped code of one target of each generation: a prompt, which
// takes the matrix kernels, and 16 tokens, which take the mat-vec kernels and the recurrent state. All targets must
// write the reference's text.
func TestEmberEmulated(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	const steps = 16
	p := emberPrompt(t)
	ref := opsref.New(opsref.Options{})
	t.Cleanup(func() { ref.Close() })
	text, want := greedy(t, emberOn(t, ref), p.IDs, steps)
	if !slices.Equal(text, p.Greedy[:steps]) {
		t.Fatalf("the reference writes %v, recorded are %v", text, p.Greedy[:steps])
	}
	for _, target := range []string{"gfx1100", "gfx1151", "gfx1201"} {
		t.Run(target, func(t *testing.T) {
			dev, err := opship.Open("emu:" + target)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { dev.Close() })
			r := emberOn(t, dev)
			start := time.Now()
			got, logits := greedy(t, r, p.IDs, steps)
			if !slices.Equal(got, text) {
				t.Errorf("text %v, the reference writes %v", got, text)
			}
			l, err := conformance.CompareLogits(want, logits, r.Limits().Vocab)
			if err != nil {
				t.Fatal(err)
			}
			if !(l.MeanKL <= maxMeanKL) || l.Top1 < 1-1e-9 {
				t.Errorf("%v; want a mean KL of at most %g and the same top-1 everywhere", l, maxMeanKL)
			}
			wmma, instructions := uint64(0), uint64(0)
			executed := dev.Executed()
			for _, k := range []string{"mul_mat_q8_0_dot1", "mul_mat_q8_0_dot1_gated", "mul_mat_q8_0_dot1_norm",
				"mul_mat_skinny32"} {
				if executed[k].Launches == 0 {
					t.Errorf("%s was not launched", k)
				}
			}
			for _, k := range executed {
				wmma += k.ByClass["wmma"]
				instructions += k.Instructions
			}
			if wmma == 0 {
				t.Error("no matrix instruction was executed")
			}
			t.Logf("%v; %d positions in %.1f s, %.1f million wave-instructions", l, l.Positions,
				time.Since(start).Seconds(), float64(instructions)/1e6)
		})
	}
}

// TestEmberRewindEmulated writes the text that the reference writes with two right guesses in each step and a wrong one
// behind them, which is taken back, or with wrong ones alone.
func TestEmberRewindEmulated(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	p := emberPrompt(t)
	for _, target := range []string{"gfx1100", "gfx1201"} {
		t.Run(target, func(t *testing.T) {
			dev, err := opship.Open("emu:" + target)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { dev.Close() })
			r := emberOn(t, dev)
			id, err := r.Open()
			if err != nil {
				t.Fatal(err)
			}
			next, text := p.IDs, p.Greedy[:13]
			for at, right := 0, 0; at < len(text); at, right = at+1+right, 2-right {
				right = min(right, len(text)-at-1)
				tokens := append(slices.Clone(next), text[at:at+right]...)
				for range 3 - right {
					tokens = append(tokens, text[at]+1)
				}
				rows, err := r.Step(t.Context(), []runner.Work{{Seq: id, Tokens: tokens, Rows: 4, Rewind: 3}})
				if err != nil {
					t.Fatal(err)
				}
				for i := range 1 + right {
					if got := logits.Argmax(rows[0][i*r.Limits().Vocab:][:r.Limits().Vocab]); got != text[at+i] {
						t.Fatalf("token %d is %d, the reference writes %d", at+i, got, text[at+i])
					}
				}
				if err := r.Truncate(id, r.Len(id)-3+right); err != nil {
					t.Fatal(err)
				}
				next = text[at+right : at+right+1]
			}
			for _, k := range []string{"delta_net_core_f32_step_kept", "delta_net_f32_chunk"} {
				launched := false
				for symbol, e := range dev.Executed() {
					launched = launched || strings.HasPrefix(symbol, k) && e.Launches > 0
				}
				if !launched {
					t.Errorf("%s was not launched", k)
				}
			}
		})
	}
}
