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
