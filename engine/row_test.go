package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/fake"
)

// TestTop compares texts drawn from the largest logits with those drawn from all, and looks at what the runner was
// asked for: the most that one of a step needs, and all where one needs all.
func TestTop(t *testing.T) {
	greedy, top40, top64 := sample.Params{}, sample.Defaults(), sample.Params{Temperature: 1, TopK: 64}
	biased := sample.Params{LogitBias: map[int32]float32{'a': 1}}
	for _, c := range []struct {
		name     string
		params   []sample.Params
		logprobs bool
		tops     []int // that occur
	}{
		{"greedy", []sample.Params{greedy, greedy}, false, []int{1}},
		{"top-k", []sample.Params{top64, top40, greedy}, false, []int{1, 40, 64}},
		{"too many", []sample.Params{{Temperature: 1, TopK: 65}}, false, nil},
		{"no top-k", []sample.Params{{Temperature: 1, TopP: 0.9}}, false, nil},
		{"bias", []sample.Params{biased, {RepeatPenalty: 1.2}}, false, nil},
		{"logprobs", []sample.Params{greedy, top40}, true, nil},
		{"one needs all", []sample.Params{biased, greedy}, false, []int{1}},
	} {
		bubble(c.name, t, func(t *testing.T) {
			texts := func(top int, together bool) (texts []string, tops []int) {
				r := &fake.Runner{Lim: runner.Limits{Seqs: 3, Top: top}, Checkpoints: 1}
				e := start(t, r, nil)
				var requests []engine.Request
				for i, p := range c.params {
					req := request("all of them begin like this", 20*(i+1))
					req.Sampling, req.Logprobs = p, c.logprobs
					req.Sampling.Seed = uint64(i)
					requests = append(requests, req)
				}
				texts = append(texts, answers(t, e, requests, together)...)
				tops = r.Tops()
				slices.Sort(tops)
				return texts, slices.Compact(tops)
			}
			want, tops := texts(0, false)
			if len(tops) > 0 {
				t.Errorf("a runner that finds no largest logits was asked for %v", tops)
			}
			for _, together := range []bool{false, true} {
				got, tops := texts(64, together)
				if !slices.Equal(got, want) {
					t.Errorf("together %v: %q, from all logits %q", together, got, want)
				}
				if fmt.Sprint(tops) != fmt.Sprint(c.tops) {
					t.Errorf("together %v: the runner was asked for %v, want %v", together, tops, c.tops)
				}
			}
		})
	}
}

// oddly allows the tokens whose id, divided by of, leaves what the number of tokens so far leaves: one in so many.
type oddly struct{ taken, of int32 }

func (o *oddly) Mask() ([]uint64, error) {
	mask := make([]uint64, (fake.Vocab+63)/64)
	for id := range int32(fake.Vocab) {
		if id%o.of == o.taken%o.of && id != fake.EOG {
			mask[id/64] |= 1 << (id % 64)
		}
	}
	return mask, nil
}

func (o *oddly) Accept(int32) error { o.taken++; return nil }
func (o *oddly) Forced() []int32    { return nil }

// TestTopOfConstraint holds texts to a form while the runner finds the largest logits: all logits are fetched only
// where the form allows too few of those, and the texts are those drawn from all.
func TestTopOfConstraint(t *testing.T) {
	greedy, top5 := sample.Params{}, sample.Params{Temperature: 1, TopK: 5}
	for _, c := range []struct {
		name    string
		of      int32
		fetched bool
	}{{"half", 2, false}, {"some", 20, true}, {"few", 100, true}} {
		bubble(c.name, t, func(t *testing.T) {
			texts := func(top int, together bool) (texts []string, r *fake.Runner) {
				r = &fake.Runner{Lim: runner.Limits{Seqs: 2, Top: top}}
				e := start(t, r, nil)
				var requests []engine.Request
				for i, p := range []sample.Params{greedy, top5, top5} {
					req := request("all of them begin like this", 20+i)
					req.Sampling = p
					req.Sampling.Seed, req.Sampling.Constraint = uint64(i), &oddly{of: c.of}
					requests = append(requests, req)
				}
				texts = append(texts, answers(t, e, requests, together)...)
				return texts, r
			}
			want, _ := texts(0, false)
			for _, together := range []bool{false, true} {
				got, r := texts(64, together)
				if !slices.Equal(got, want) {
					t.Errorf("together %v: %q, from all logits %q", together, got, want)
				}
				kept := 0
				if together {
					kept = 1 // of the one that waited
				}
				if n := r.Fetched() - kept; (n > 0) != c.fetched || n >= 63 || len(r.Tops()) == 0 {
					t.Errorf("together %v: all logits were fetched %d times in %d steps", together, n, len(r.Tops()))
				}
			}
		})
	}
}

// answers returns the texts of requests that are submitted together, as choices of one, or each for itself.
func answers(t *testing.T, e *engine.Engine, requests []engine.Request, together bool) (texts []string) {
	t.Helper()
	var seqs []*engine.Sequence
	if together {
		var err error
		if seqs, err = e.SubmitChoices(context.Background(), requests...); err != nil {
			t.Fatal(err)
		}
	} else {
		for _, req := range requests {
			seqs = append(seqs, submit(t, e, req))
		}
	}
	for _, s := range seqs {
		text, _, err := read(s)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}
