package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/fake"
)

// TestReuseUnderLoad submits 10,000 requests that begin alike in three spaces, some as choices, cancels some at some
// time, and lets steps lack pages. The others get what they get alone, and what they did not read was read in their
// space before. The bubble's end counts slots and checkpoints.
func TestReuseUnderLoad(t *testing.T) {
	for _, c := range []struct {
		name      string
		rewinds   int
		room      int
		hostBytes int64
	}{{"cut anywhere", fake.Anywhere, 3, 0}, {"cut nowhere", 0, 5, 0}, {"cut nowhere, with host memory", 0, 2, 1}} {
		bubble(c.name, t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(18, 10000))
			var lack *rand.Rand // pages
			r := &fake.Runner{Lim: runner.Limits{Seqs: 3, Batch: 48, Rewinds: c.rewinds}, Checkpoints: c.room + 1}
			r.Fail = func([]runner.Work) error {
				if lack.IntN(50) == 0 {
					return fmt.Errorf("step: %w", kv.ErrNoPages)
				}
				return nil
			}
			lack = rand.New(rand.NewPCG(1, 1))
			e := start(t, r, func(o *engine.Config) { o.Checkpoints, o.HostBytes = c.room, c.hostBytes })
			alone := start(t, &fake.Runner{}, nil)

			prompts := [][]int32{fake.Tokenizer{}.Encode("a prompt of some length to begin with")}
			for range 60 {
				from := prompts[rng.IntN(len(prompts))]
				p := slices.Clone(from[:1+rng.IntN(len(from))])
				for range 1 + rng.IntN(40) {
					p = append(p, int32('a'+rng.IntN(3)))
				}
				prompts = append(prompts, p)
			}
			want := make([]string, len(prompts))
			for i, p := range prompts {
				var err error
				if want[i], _, err = read(submit(t, alone,
					engine.Request{Prompt: p, MaxTokens: 4, Decoder: fake.Tokenizer{}.NewStream(false)})); err != nil {
					t.Fatal(err)
				}
			}
			seen := map[string][][]int32{} // prompts and answers by space
			done, failed, cached := 0, 0, 0
			total := 10000
			if testing.Short() {
				total = 1000
			}
			for done < total {
				var wait sync.WaitGroup
				var mu sync.Mutex // of what follows
				added := map[string][][]int32{}
				for range 1 + rng.IntN(6) {
					done++
					i, space, cancelAt := rng.IntN(len(prompts)), fmt.Sprint("key ", rng.IntN(3)), 99
					if rng.IntN(4) == 0 {
						cancelAt = rng.IntN(4)
					}
					rs := make([]engine.Request, 1+rng.IntN(8)/7)
					for j := range rs {
						rs[j] = engine.Request{Prompt: prompts[i], Space: space, MaxTokens: 4,
							Decoder: fake.Tokenizer{}.NewStream(false)}
					}
					ctx, cancel := context.WithCancel(context.Background())
					seqs, err := e.SubmitChoices(ctx, rs...)
					if err != nil {
						t.Fatal(err)
					}
					mu.Lock()
					added[space] = append(added[space],
						append(slices.Clone(prompts[i]), fake.Tokenizer{}.Encode(want[i])...))
					mu.Unlock()
					for _, s := range seqs {
						wait.Go(func() {
							if cancelAt == 0 {
								cancel()
							}
							text, n := "", 0
							var failure error
							for tok, err := range s.Tokens() {
								if failure = err; err == nil {
									text += tok.Text
									if n++; n == cancelAt {
										cancel()
									}
								}
							}
							mu.Lock()
							defer mu.Unlock()
							cached += s.Cached()
							if failure != nil {
								failed++
							} else if text != want[i] {
								t.Errorf("%q after %d cached of %q, alone %q", text, s.Cached(), prompts[i], want[i])
							}
							known := 0
							for _, p := range slices.Concat(seen[space], added[space]) {
								known = max(known, shared(p, prompts[i]))
							}
							if s.Cached() > known {
								t.Errorf("%d tokens cached of which %s had given %d", s.Cached(), space, known)
							}
						})
					}
					defer cancel()
				}
				wait.Wait()
				for space, ps := range added {
					seen[space] = append(seen[space], ps...)
					if len(seen[space]) > 200 {
						seen[space] = unique(seen[space])
					}
				}
			}
			t.Logf("%d requests, %d of them cancelled or without pages, %d tokens cached", done, failed, cached)
			if cached < total/2 || failed < total/50 || failed > total/2 {
				t.Errorf("%d tokens cached, %d of %d requests failed: the load tests little", cached, failed, done)
			}
			if s := e.Stats(); int(s.CachedTokens) < cached {
				t.Errorf("statistics of %d cached tokens, sequences of %d", s.CachedTokens, cached)
			}
		})
	}
}

// TestSpacesAreApart asks for the same random prompts in several spaces, each time in another order, and demands that
// a space has of a prompt what was asked for in it, and nothing that others gave, on the device and on the host.
func TestSpacesAreApart(t *testing.T) {
	for _, rewinds := range []int{fake.Anywhere, 0} {
		bubble(fmt.Sprintf("rewinds %d", rewinds), t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(18, 4))
			r := &fake.Runner{Lim: runner.Limits{Rewinds: rewinds}, Checkpoints: 3}
			e := start(t, r, func(o *engine.Config) { o.Checkpoints, o.HostBytes = 3, 1 })
			seen := map[string][][]int32{}
			cached := 0
			for range 150 {
				prompt := make([]int32, 40+rng.IntN(60))
				for i := range prompt {
					prompt[i] = 'a' + rng.Int32N(26)
				}
				for _, i := range rng.Perm(3) {
					space := []string{"", "key", "key 2"}[i]
					for range 1 + rng.IntN(2) {
						s := submit(t, e, engine.Request{Prompt: prompt, Space: space, MaxTokens: 3})
						if _, _, err := read(s); err != nil {
							t.Fatal(err)
						}
						known := 0
						for _, p := range seen[space] {
							known = max(known, shared(p, prompt))
						}
						if s.Cached() > known {
							t.Fatalf("%d tokens cached in %q, which had %d", s.Cached(), space, known)
						}
						cached += s.Cached()
						seen[space] = append(seen[space], prompt)
					}
				}
			}
			if cached < 5000 {
				t.Errorf("%d tokens cached: the test tests little", cached)
			}
		})
	}
}

// shared returns how many first tokens two prompts share.
func shared(a, b []int32) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func unique(ps [][]int32) (out [][]int32) {
	for _, p := range ps {
		if !slices.ContainsFunc(out, func(o []int32) bool { return slices.Equal(o, p) }) {
			out = append(out, p)
		}
	}
	return out
}

// TestReuseOff keeps nothing without checkpoints of the runner or with none allowed.
func TestReuseOff(t *testing.T) {
	for _, c := range []struct{ of, allowed int }{{0, 4}, {4, 0}} {
		bubble(fmt.Sprintf("%d of %d", c.allowed, c.of), t, func(t *testing.T) {
			e := start(t, &fake.Runner{Checkpoints: c.of, Lim: runner.Limits{Rewinds: fake.Anywhere}},
				func(o *engine.Config) { o.Checkpoints = c.allowed })
			for range 2 {
				s := submit(t, e, request("a prompt of more than a few tokens", 3))
				if _, _, err := read(s); err != nil || s.Cached() != 0 || e.Reuses() {
					t.Errorf("%d tokens cached, error %v", s.Cached(), err)
				}
			}
		})
	}
}
