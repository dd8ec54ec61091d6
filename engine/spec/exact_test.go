package spec_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/engine/spec"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/internal/logits"
)

// A tiny model: few tokens, whose logits depend on all that came before.
const (
	vocab  = 5
	length = 3 // of an answer; there are vocab to the power of it
)

// prompt is one behind which every drafter proposes something that every sampler can draw.
var prompt = []int32{4, 1, 0, 4, 2, 4, 1, 3, 4, 4}

func tiny() *fake.Runner {
	return &fake.Runner{Lim: runner.Limits{Vocab: vocab, Rewinds: fake.Anywhere, Seqs: 4, Batch: 64, Top: vocab}}
}

// chains are the samplers, each with what follows from it and the tokens before alone.
func chains() map[string]sample.Params {
	return map[string]sample.Params{
		"temperature": {Temperature: 1.3}, "top-k": {Temperature: 1, TopK: 3}, "top-p": {Temperature: 1, TopP: 0.8},
		"min-p": {Temperature: 1, MinP: 0.3}, "typical": {Temperature: 1, TypicalP: 0.7},
		"sigma":     {Temperature: 1, TopNSigma: 1},
		"dynatemp":  {Temperature: 1, DynatempRange: 0.5, DynatempExponent: 1},
		"penalties": {Temperature: 1, RepeatPenalty: 1.3, PresencePenalty: 0.4, FrequencyPenalty: 0.2},
		"dry":       {Temperature: 1, DRYMultiplier: 1, DRYBase: 1.75, DRYAllowedLength: 1},
		"bias":      {Temperature: 1, LogitBias: map[int32]float32{2: 1.5, 3: -2}},
		"words":     {Temperature: 1, BadWords: [][]int32{{2}, {1, 4}}},
		"grammar":   {Temperature: 1},
		"all":       {Temperature: 0.8, TopK: 4, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1.1},
	}
}

// alternating is a constraint under which no token follows itself.
type alternating struct{ last int32 }

func (a *alternating) Mask() ([]uint64, error) { return []uint64{(1<<vocab - 1) &^ (1 << a.last)}, nil }
func (a *alternating) Accept(id int32) error   { a.last = id; return nil }
func (a *alternating) Forced() []int32         { return nil }

// constraint returns that of a chain, behind tokens.
func constraint(name string, tokens []int32) sample.Constraint {
	if name != "grammar" {
		return nil
	}
	return &alternating{tokens[len(tokens)-1]}
}

// exact returns the probability of each answer, by its number: the product of what the sampler says of each token.
func exact(t *testing.T, name string, p sample.Params) []float64 {
	out := make([]float64, int(math.Pow(vocab, length)))
	var visit func(answer []int32, at int, weight float64)
	visit = func(answer []int32, at int, weight float64) {
		if len(answer) == length {
			out[at] += weight
			return
		}
		r := tiny()
		id, err := r.Open()
		if err != nil {
			t.Fatal(err)
		}
		tokens := append(prompt[:len(prompt):len(prompt)], answer...)
		rows, err := r.Step(t.Context(), []runner.Work{{Seq: id, Tokens: tokens, Rows: 1}})
		if err != nil {
			t.Fatal(err)
		}
		p.Constraint = constraint(name, tokens)
		s, err := sample.NewSampler(p, vocab)
		if err != nil {
			t.Fatal(err)
		}
		s.AcceptPrompt(prompt...)
		for _, id := range answer {
			s.Accept(id)
		}
		if _, err := s.Next(rows[0]); err != nil {
			t.Fatal(err)
		}
		for _, x := range s.Probs() {
			visit(append(answer[:len(answer):len(answer)], x.ID), at*vocab+int(x.ID), weight*x.P)
		}
	}
	visit(nil, 0, 1)
	return out
}

// dice proposes tokens that it draws by itself from a distribution that it names, or keeps to itself.
type dice struct {
	spec.NGram
	q     []sample.Prob
	rng   *rand.Rand
	tells bool
}

func (*dice) Info() spec.Info { return spec.Info{Name: "dice", Classes: 1} }

func (d *dice) Draft(_ context.Context, asks []spec.Ask) ([]spec.Draft, error) {
	out := make([]spec.Draft, len(asks))
	for i, a := range asks {
		for range a.Max {
			u, at := d.rng.Float64(), 0
			for u -= d.q[0].P; u >= 0 && at < len(d.q)-1; u -= d.q[at].P {
				at++
			}
			out[i].Tokens = append(out[i].Tokens, d.q[at].ID)
			if d.tells {
				out[i].Probs = append(out[i].Probs, d.q)
			}
		}
	}
	return out, nil
}

// drafters are the kinds of drafters, for which a seed says what they draw.
func drafters() map[string]func(seed uint64) spec.Drafter {
	q := []sample.Prob{{ID: 0, P: 0.4}, {ID: 1, P: 0.1}, {ID: 2, P: 0.2}, {ID: 4, P: 0.3}}
	small := func(seed uint64) spec.Drafter {
		r := tiny()
		r.Alter = func(row []float32) { // like the target's, but for some noise
			for i := range row {
				row[i] = 0.7*row[i] + float32(i%3)
			}
		}
		return spec.NewModel(r, seed)
	}
	answers := [][]int32{}
	for i := range int32(vocab * vocab * vocab) {
		text := append(prompt[:len(prompt):len(prompt)], i/25, i/5%5, i%5)
		answers = append(answers, text)
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(answers), func(i, j int) { answers[i], answers[j] = answers[j], answers[i] })
	return map[string]func(seed uint64) spec.Drafter{
		"ngram":  func(uint64) spec.Drafter { return spec.NewNGram() },
		"draft":  small,
		"dice":   func(seed uint64) spec.Drafter { return &dice{q: q, rng: rand.New(rand.NewPCG(seed, 3)), tells: true} },
		"hidden": func(seed uint64) spec.Drafter { return &dice{q: q, rng: rand.New(rand.NewPCG(seed, 3))} },
		"replay": func(seed uint64) spec.Drafter { return spec.NewReplay(answers, 0.7, vocab, seed, nil) },
	}
}

// TestAnswersFollowTheModel draws answers with each sampler and each drafter, with random numbers of the drafter's own
// and without, and compares how often each comes with its probability. Of the tokens that a step checks, the last are
// never drafted, since nothing follows them.
func TestAnswersFollowTheModel(t *testing.T) {
	answers := 600
	if !testing.Short() {
		answers = 1_000_000 / length
	}
	for name, p := range chains() {
		if testing.Short() && name != "all" && name != "grammar" && name != "dry" {
			continue
		}
		want := exact(t, name, p)
		for kind, make := range drafters() {
			for _, unseeded := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/unseeded=%v", name, kind, unseeded), func(t *testing.T) {
					t.Parallel()
					counts, accepted := draw(t, name, p, make(11), answers, unseeded)
					if accepted == 0 {
						t.Error("no draft was ever taken")
					}
					stat, df := logits.ChiSquare(counts, want)
					if most := logits.ChiSquareBound(df); !(stat <= most) {
						t.Errorf("chi-square %.1f with %d degrees of freedom, at most %.1f expected", stat, df, most)
					}
				})
			}
		}
	}
}

// draw counts answers by their number, and drafts that were taken.
func draw(t *testing.T, name string, p sample.Params, d spec.Drafter, n int, unseeded bool) (counts []int,
	accepted uint64) {
	e, err := engine.New(engine.Config{Runner: tiny(), Drafters: []spec.Drafter{d}, Depth: spec.Fixed(length)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	counts = make([]int, int(math.Pow(vocab, length)))
	for i := range n {
		p.Seed, p.Constraint = uint64(i)*2654435761, constraint(name, prompt)
		s, err := e.Submit(t.Context(), engine.Request{Prompt: prompt, MaxTokens: length, Sampling: p, Unseeded: unseeded})
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for tok, err := range s.Tokens() {
			if err != nil {
				t.Fatal(err)
			}
			at = at*vocab + int(tok.ID)
		}
		counts[at]++
	}
	return counts, e.Stats().AcceptedTokens
}

// TestExactSees draws from a model that is slightly another one: the comparison above notices.
func TestExactSees(t *testing.T) {
	p := sample.Params{Temperature: 1.3}
	want := exact(t, "temperature", p)
	p.Temperature = 1
	counts, _ := draw(t, "temperature", p, spec.NewNGram(), 3000, false)
	if stat, df := logits.ChiSquare(counts, want); stat <= logits.ChiSquareBound(df) {
		t.Errorf("chi-square %.1f with %d degrees of freedom for the wrong temperature", stat, df)
	}
}
