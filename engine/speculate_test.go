package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/engine/spec"
	"github.com/hipengine/hipengine/internal/fake"
)

// rewinding is a fake whose sequences can be cut.
func rewinding(reply string) *fake.Runner {
	return &fake.Runner{Reply: reply, Lim: runner.Limits{Rewinds: fake.Anywhere, Batch: 96, Top: 64}}
}

// told is what a consumer sees of a sequence.
func told(t *testing.T, s *engine.Sequence) string {
	t.Helper()
	_, tokens, err := read(s)
	return fmt.Sprintf("%+v %v", tokens, err)
}

// texts returns the tokens of sequences behind their prompts.
func texts(t *testing.T, e *engine.Engine, rs []engine.Request) (out [][]int32) {
	t.Helper()
	for _, r := range rs {
		r.Decoder = fake.Tokenizer{}.NewStream(false)
		ids := slices.Clone(r.Prompt)
		_, tokens, err := read(submit(t, e, r))
		if err != nil {
			t.Fatal(err)
		}
		for _, tok := range tokens {
			ids = append(ids, tok.ID)
		}
		out = append(out, ids)
	}
	return out
}

// demands returns requests with what there is to ask for.
func demands() (rs []engine.Request) {
	chains := []sample.Params{{}, sample.Defaults(), {Temperature: 1}, {Temperature: 1.3, TopK: 5, RepeatPenalty: 1.2},
		{Temperature: 1, TopP: 0.8, MinP: 0.02, PresencePenalty: 0.5},
		{Temperature: 1, DRYMultiplier: 0.8, DRYBase: 1.75, DRYAllowedLength: 1},
		{Temperature: 1, Mirostat: 2, MirostatTau: 3, MirostatEta: 0.1},
		{Temperature: 1, TopK: 20, XTCProbability: 0.5, XTCThreshold: 0.05},
		{Temperature: 1, MinTokens: 9}}
	for i, p := range chains {
		p.Seed = uint64(i)
		r := request(fmt.Sprintf("prompt %d", i), 24)
		r.Sampling = p
		rs = append(rs, r)
		r.Logprobs, r.TopLogprobs = true, 2
		rs = append(rs, r)
		r.Sampled = true
		rs = append(rs, r)
	}
	stop := request("stop", 30)
	stop.Stop = []string{"wo th"}
	budget := request("think", 30)
	budget.Thoughts = &engine.Thoughts{Budget: 4, Open: true, Opener: "<", Closers: []string{">"}, End: []int32{'>'}}
	ends := request("ends", 30)
	ends.StopTokens = []int32{'w'}
	long := request("long", 0)
	return append(rs, stop, budget, ends, long)
}

// TestSpeculationChangesNothing compares all that a consumer sees with and without drafts, of which shares are right.
func TestSpeculationChangesNothing(t *testing.T) {
	for _, reply := range []string{"", "one two three four, one two three four and five"} {
		rs := demands()
		if reply == "" {
			rs[len(rs)-1].MaxTokens = 40 // it does not end by itself
		}
		var want []string
		var known [][]int32
		bubble("plain "+reply, t, func(t *testing.T) {
			e := start(t, rewinding(reply), nil)
			known = texts(t, e, rs)
			for _, r := range rs {
				r.Decoder = fake.Tokenizer{}.NewStream(false)
				want = append(want, told(t, submit(t, e, r)))
			}
		})
		for _, share := range []float64{0, 0.5, 0.8, 1} {
			for _, depth := range []int{1, 3, 8} {
				bubble(fmt.Sprintf("%q, %v of %d", reply, share, depth), t, func(t *testing.T) {
					e := start(t, rewinding(reply), func(c *engine.Config) {
						c.Drafters = []spec.Drafter{spec.NewReplay(known, share, fake.EOG, 1, nil)}
						c.Depth = spec.Fixed(depth)
					})
					seqs := make([]*engine.Sequence, len(rs))
					for i, r := range rs {
						r.Decoder = fake.Tokenizer{}.NewStream(false)
						seqs[i] = submit(t, e, r)
					}
					for i, s := range seqs {
						if got := told(t, s); got != want[i] {
							t.Errorf("request %d: %s\nwithout drafts %s", i, got, want[i])
						}
					}
					s := e.Stats()
					if s.DraftedTokens == 0 || share == 0 && s.AcceptedTokens > 0 ||
						share == 1 && s.AcceptedTokens < s.DraftedTokens*8/10 {
						t.Errorf("stats %+v", s)
					}
				})
			}
		}
	}
}

// TestSpeculationWithConstraint holds texts to a form with forced tokens, with and without drafts.
func TestSpeculationWithConstraint(t *testing.T) {
	run := func(c *engine.Config, t *testing.T, top int) (string, []int32) {
		f := rewinding("")
		f.Lim.Top = top
		e := start(t, f, func(to *engine.Config) {
			if c != nil {
				to.Drafters, to.Depth = c.Drafters, c.Depth
			}
		})
		r := request("form", 40)
		r.Sampling = sample.Params{Temperature: 1, TopK: 10, Constraint: &pattern{text: "ab??cdef?gh???xyz"}}
		s := submit(t, e, r)
		_, tokens, err := read(s)
		ids := slices.Clone(r.Prompt)
		for _, tok := range tokens {
			ids = append(ids, tok.ID)
		}
		return fmt.Sprintf("%+v %v", tokens, err), ids
	}
	for _, top := range []int{0, 64} {
		var want string
		var known []int32
		bubble(fmt.Sprint("plain ", top), t, func(t *testing.T) { want, known = run(nil, t, top) })
		for seed := range uint64(6) {
			bubble(fmt.Sprintf("top %d, seed %d", top, seed), t, func(t *testing.T) {
				got, _ := run(&engine.Config{Depth: spec.Fixed(4),
					Drafters: []spec.Drafter{spec.NewReplay([][]int32{known}, 0.8, fake.EOG, seed, nil)}}, t, top)
				if got != want {
					t.Errorf("%s\nwithout drafts %s", got, want)
				}
			})
		}
	}
}

// pattern is a constraint: '?' is any letter, and all else is forced.
type pattern struct {
	text string
	at   int
}

func (p *pattern) Mask() ([]uint64, error) {
	mask := make([]uint64, 5)
	switch {
	case p.at == len(p.text):
		mask[fake.EOG/64] |= 1 << (fake.EOG % 64)
	case p.text[p.at] == '?':
		for c := 'a'; c <= 'z'; c++ {
			mask[c/64] |= 1 << (c % 64)
		}
	default:
		mask[p.text[p.at]/64] |= 1 << (p.text[p.at] % 64)
	}
	return mask, nil
}

func (p *pattern) Accept(id int32) error {
	if mask, _ := p.Mask(); mask[id/64]>>(id%64)&1 == 0 {
		return fmt.Errorf("%d at %d of %q", id, p.at, p.text)
	}
	p.at = min(p.at+1, len(p.text))
	return nil
}

func (p *pattern) Forced() (ids []int32) {
	for _, c := range []byte(p.text[p.at:]) {
		if c == '?' {
			break
		}
		ids = append(ids, int32(c))
	}
	return ids
}

// guess proposes random bytes, now and then nothing.
type guess struct {
	spec.NGram
	rng *rand.Rand
	err error
}

func (g *guess) Info() spec.Info { return spec.Info{Name: "guess", Classes: 1} }

func (g *guess) Draft(_ context.Context, asks []spec.Ask) ([]spec.Draft, error) {
	out := make([]spec.Draft, len(asks))
	for i, a := range asks {
		for range g.rng.IntN(a.Max + 1) {
			out[i].Tokens = append(out[i].Tokens, g.rng.Int32N(fake.EOG))
		}
	}
	return out, g.err
}

// TestDrafterFails goes on without a drafter that returns an error, panics or answers wrongly.
func TestDrafterFails(t *testing.T) {
	for name, d := range map[string]spec.Drafter{
		"error":   &guess{rng: rand.New(rand.NewPCG(1, 1)), err: errors.New("broken")},
		"panic":   &guess{},
		"tooLong": &tooMany{},
	} {
		bubble(name, t, func(t *testing.T) {
			var failed []string
			e := start(t, rewinding("hello"), func(c *engine.Config) {
				c.Drafters, c.Depth = []spec.Drafter{d}, spec.Fixed(3)
				c.DrafterFailed = func(name string, err error) { failed = append(failed, name+err.Error()) }
			})
			if text, _, err := read(submit(t, e, request("prompt", 0))); text != "hello" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
			synctest.Wait()
			if len(failed) != 1 {
				t.Errorf("failures: %q", failed)
			}
		})
	}
}

// tooMany answers with more than it was asked for.
type tooMany struct{ guess }

func (*tooMany) Draft(_ context.Context, asks []spec.Ask) ([]spec.Draft, error) {
	return []spec.Draft{{Tokens: make([]int32, asks[0].Max+1)}}, nil
}

// TestSpeculationNeedsPages runs with so few pages that drafts do not fit, and others would have to go for them.
func TestSpeculationNeedsPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rewinding("")
		r.Lim.Seqs, r.Lim.Batch, r.Pages = 2, 64, 64
		e := start(t, r, func(c *engine.Config) {
			c.Drafters, c.Depth = []spec.Drafter{&guess{rng: rand.New(rand.NewPCG(1, 1))}}, spec.Fixed(8)
		})
		a, b := submit(t, e, request("one", 28)), submit(t, e, request("two", 28))
		for _, s := range []*engine.Sequence{a, b} {
			if _, tokens, err := read(s); len(tokens) != 28 || err != nil {
				t.Errorf("%d tokens, %v", len(tokens), err)
			}
		}
		if s := e.Stats(); s.Preempted != 0 || s.DraftedTokens == 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestDrafterOfRequest asks for drafters by name.
func TestDrafterOfRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, rewinding(strings.Repeat("abcd", 20)), func(c *engine.Config) {
			c.Drafters, c.Depth = []spec.Drafter{spec.NewNGram(), &guess{rng: rand.New(rand.NewPCG(1, 1))}}, spec.Fixed(4)
		})
		ask := func(name string, most int) (rounds, accepted, rejected int) {
			r := request("abcd", 40)
			r.Drafter, r.MaxDrafts = name, most
			s := submit(t, e, r)
			if _, tokens, err := read(s); len(tokens) != 40 || err != nil {
				t.Errorf("%s: %d tokens, %v", name, len(tokens), err)
			}
			n := s.Speculated()
			return n.Rounds, n.Accepted, n.Rejected
		}
		if n, a, r := ask("", 0); a < 25 || r > 4 || n < (a+r)/4 || n > 40-a {
			t.Errorf("by default: %d accepted, %d rejected in %d rounds", a, r, n)
		}
		if n, a, r := ask("ngram", 1); a < 17 || a > 20 || r > 1 || n != a+r {
			t.Errorf("one at a time: %d accepted, %d rejected in %d rounds", a, r, n)
		}
		if _, a, r := ask("guess", 0); a > r {
			t.Errorf("guesses: %d accepted, %d rejected", a, r)
		}
		if n, a, r := ask("off", 0); n+a+r > 0 {
			t.Errorf("off: %d accepted, %d rejected in %d rounds", a, r, n)
		}
		r := request("abcd", 4)
		r.Drafter = "mtp"
		if _, err := e.Submit(t.Context(), r); !errors.Is(err, engine.ErrBadRequest) ||
			!strings.Contains(err.Error(), "off, ngram, guess") {
			t.Errorf("unknown drafter: %v", err)
		}
		r.Drafter, r.MaxDrafts = "", -1
		if _, err := e.Submit(t.Context(), r); !errors.Is(err, engine.ErrBadRequest) {
			t.Errorf("negative number of drafts: %v", err)
		}
	})
}

// TestSpeculationPays measures in the bubble's time what the policy makes of drafts that are good or bad, where tokens
// of a step cost much or little.
func TestSpeculationPays(t *testing.T) {
	for _, c := range []struct {
		step, each  time.Duration
		share       float64
		seqs        int
		least, most float64 // of the time without drafts by that with them
	}{
		{10 * time.Millisecond, 200 * time.Microsecond, 0.8, 1, 2, 9},
		{10 * time.Millisecond, 200 * time.Microsecond, 0, 1, 0.97, 1.001},
		{time.Millisecond, 10 * time.Millisecond, 0.8, 1, 0.97, 1.2},
		{time.Millisecond, 10 * time.Millisecond, 0, 1, 0.97, 1.001},
		{10 * time.Millisecond, 5 * time.Millisecond, 0.5, 1, 0.97, 2},
		{time.Millisecond, 10 * time.Millisecond, 0.5, 16, 0.97, 1.2},
		{time.Millisecond, 10 * time.Millisecond, 0, 16, 0.97, 1.001},
		{10 * time.Millisecond, 100 * time.Microsecond, 0.9, 4, 2, 9},
	} {
		if testing.Short() && c.seqs > 1 {
			continue // they take seconds; make long has them
		}
		bubble(fmt.Sprintf("%v and %v, %v taken, %d", c.step, c.each, c.share, c.seqs), t, func(t *testing.T) {
			var known [][]int32
			took := func(change func(*engine.Config)) time.Duration {
				r := rewinding("")
				r.Delay, r.Each, r.Lim.Seqs = c.step, c.each, c.seqs
				e := start(t, r, change)
				var rs []engine.Request
				for i := range c.seqs {
					rs = append(rs, request(fmt.Sprint("prompt ", i), 600))
				}
				if known == nil {
					known = texts(t, e, rs)
				}
				began := time.Now()
				var seqs []*engine.Sequence
				for _, r := range rs {
					seqs = append(seqs, submit(t, e, r))
				}
				for _, s := range seqs {
					if _, _, err := read(s); err != nil {
						t.Fatal(err)
					}
				}
				return time.Since(began)
			}
			without := took(nil)
			with := took(func(c2 *engine.Config) {
				c2.Drafters = []spec.Drafter{spec.NewReplay(known, c.share, fake.EOG, 1, nil)}
			})
			ratio := without.Seconds() / with.Seconds()
			t.Logf("%.3f times as fast", ratio)
			if ratio < c.least || ratio > c.most {
				t.Errorf("with drafts %v, without %v: %.3f times as fast, want %v to %v", with, without, ratio, c.least,
					c.most)
			}
		})
	}
}
