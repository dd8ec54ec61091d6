package hipengine_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/engine"
)

// TestContract holds the models' contract with Ember. With Options.Invariant, an answer's bits are those of the same
// request alone, whatever else runs, however prompts are cut, and whatever is kept. Without it, the same holds of
// texts that are always the most likely, up to ties.
func TestContract(t *testing.T) {
	h, err := hipengine.NewHost(hipengine.HostOptions{Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, invariant := range []bool{false, true} {
		t.Run(fmt.Sprintf("invariant %v", invariant), func(t *testing.T) {
			var engines []*engine.Engine
			var m *hipengine.Model
			for _, o := range []hipengine.Options{{PrefixCache: -1}, {Sequences: 4}} {
				o.Context, o.Invariant = 512, invariant
				if m, err = h.Open(t.Context(), "", o); err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				e, err := m.Engine()
				if err != nil {
					t.Fatal(err)
				}
				if e.Limits().Invariant != invariant {
					t.Error("the limits do not say what was asked for")
				}
				engines = append(engines, e)
			}
			ask := func(e *engine.Engine, i int) (tokens []engine.Token, cached int, err error) {
				// Prompts begin alike in threes.
				ids, err := m.EncodePrompt(strings.Repeat(fmt.Sprintf("%d birds sat on a tree. ", i/3+2), 8) +
					fmt.Sprintf("Then %d of them", i))
				if err != nil {
					return nil, 0, err
				}
				r := engine.Request{Prompt: ids, MaxTokens: 12, Decoder: m.NewStream(false), Logprobs: true,
					TopLogprobs: 3}
				if invariant {
					r.Sampling.Temperature, r.Sampling.Seed = 1, uint64(i)
					if i%2 == 1 { // the device may choose what it is drawn from, but not beside others
						r.Sampling.TopK, r.Logprobs, r.TopLogprobs = 20, false, 0
					}
				}
				s, err := e.Submit(context.Background(), r)
				if err != nil {
					return nil, 0, err
				}
				for t, err := range s.Tokens() {
					if err != nil {
						return nil, 0, err
					}
					tokens = append(tokens, t)
				}
				return tokens, s.Cached(), nil
			}
			const requests = 9
			var wait sync.WaitGroup
			var mu sync.Mutex
			kept := 0
			for i := range requests {
				want, _, err := ask(engines[0], i)
				if err != nil {
					t.Fatal(err)
				}
				wait.Go(func() {
					got, cached, err := ask(engines[1], i)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					kept += cached
					switch at, same := sameTokens(got, want, invariant); {
					case !same && invariant:
						t.Errorf("request %d, %d tokens cached: token %d is %+v, alone %+v", i, cached, at, got[at],
							want[at])
					case !same && !tie(want[at], got[at].ID):
						t.Errorf("request %d, %d tokens cached: token %d is %+v, alone %+v, which is no tie", i,
							cached, at, got[at], want[at])
					}
				})
			}
			wait.Wait()
			if kept < 100 {
				t.Errorf("%d tokens were kept: the test tests little", kept)
			}
		})
	}
}

// sameTokens compares answers, ids alone or all that is known of the tokens. It returns the first place that differs.
func sameTokens(a, b []engine.Token, bits bool) (at int, same bool) {
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		if x.ID != y.ID || bits && (x.Logprob != y.Logprob || !slices.Equal(x.Top, y.Top)) {
			return i, false
		}
	}
	return min(len(a), len(b)) - 1, len(a) == len(b)
}

// tie reports whether a token was about as likely as the one that was drawn.
func tie(drawn engine.Token, id int32) bool {
	for _, p := range drawn.Top {
		if p.ID == id {
			return math.Abs(float64(p.Logprob-drawn.Logprob)) < 0.01
		}
	}
	return false
}
