package sample

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/internal/logits"
)

// proposals are distributions that a drafter may have for a row: one that is close, one that is not, one of few tokens
// and one of a single token.
func proposals(row []float32) map[string][]Prob {
	rng := rand.New(rand.NewPCG(7, 7))
	noisy := func(scale float64) []Prob {
		var q []Prob
		total := 0.0
		for id, l := range row {
			p := math.Exp(float64(l)/1.5 + scale*rng.NormFloat64())
			q = append(q, Prob{int32(id), p})
			total += p
		}
		for i := range q {
			q[i].P /= total
		}
		return q
	}
	return map[string][]Prob{"close": noisy(0.2), "far": noisy(3),
		"few": {{1, 0.5}, {2, 0.125}, {40, 0.25}, {41, 0.125}}, "one": {{40, 1}}}
}

// drawProb draws from a distribution.
func drawProb(q []Prob, u float64) int32 {
	for _, x := range q {
		if u -= x.P; u < 0 {
			return x.ID
		}
	}
	return q[len(q)-1].ID
}

// TestProposalsKeepTheDistribution draws with tokens proposed, for every chain: what comes has the distribution of
// draws without, and is the proposal as often as two distributions overlap.
func TestProposalsKeepTheDistribution(t *testing.T) {
	draws, names := 1200, []string{"normal", "peak"}
	if !testing.Short() {
		draws, names = 1_000_000, names[:1]
	}
	for name, p := range paramCases() {
		for _, rowName := range names {
			row := rows()[rowName]
			want := definition(p, history(), row)
			for kind, q := range proposals(row) {
				t.Run(name+"/"+rowName+"/"+kind, func(t *testing.T) {
					p.Seed = 43
					s, err := NewSampler(p, len(row))
					if err != nil {
						t.Fatal(err)
					}
					s.AcceptPrompt(history()...)
					rng := rand.New(rand.NewPCG(1, 2))
					counts, taken := make([]int, len(row)), 0
					for range draws {
						proposed := drawProb(q, rng.Float64())
						s.Propose(proposed, q)
						id, err := s.Next(row)
						if err != nil {
							t.Fatal(err)
						}
						counts[id]++
						if id == proposed {
							taken++
						}
					}
					if stat, df := logits.ChiSquare(counts, want); !(stat <= logits.ChiSquareBound(df)) {
						t.Errorf("chi-square %.1f with %d degrees of freedom, at most %.1f expected", stat, df,
							logits.ChiSquareBound(df))
					}
					if p.XTCProbability > 0 && p.XTCProbability < 1 {
						return // a mixture, with each part of which the proposal overlaps otherwise
					}
					overlap := 0.0
					for _, x := range q {
						overlap += min(x.P, want[x.ID])
					}
					if got, off := float64(taken)/float64(draws), 5*math.Sqrt(0.25/float64(draws)); math.Abs(got-overlap) > off {
						t.Errorf("%.4f of the proposals were taken, want %.4f", got, overlap)
					}
				})
			}
		}
	}
}

// TestProbs compares what a sampler says of its last draw with the definition.
func TestProbs(t *testing.T) {
	row := rows()["normal"]
	for name, p := range paramCases() {
		if p.XTCProbability > 0 && p.XTCProbability < 1 {
			continue
		}
		s, err := NewSampler(p, len(row))
		if err != nil {
			t.Fatal(err)
		}
		s.AcceptPrompt(history()...)
		if _, err := s.Next(row); err != nil {
			t.Fatal(err)
		}
		got := make([]float64, len(row))
		for _, x := range s.Probs() {
			got[x.ID] = x.P
		}
		for id, want := range definition(p, history(), row) {
			if math.Abs(got[id]-want) > 1e-12 {
				t.Errorf("%s: token %d has %v, want %v", name, id, got[id], want)
			}
		}
	}
}

// TestClone draws with a copy what the sampler draws afterwards, whatever the copy did, and other tokens once it is
// reseeded.
func TestClone(t *testing.T) {
	row := rows()["normal"]
	cases := paramCases()
	cases["mirostat"] = Params{Temperature: 1, Mirostat: 2, MirostatTau: 3, MirostatEta: 0.1}
	cases["dry"] = Params{Temperature: 1, DRYMultiplier: 1, DRYBase: 1.5, DRYAllowedLength: 1}
	cases["words"] = Params{Temperature: 1, BadWords: [][]int32{{1, 2}, {3, 4, 5}}, MinTokens: 20, Ends: []int32{9}}
	for name, p := range cases {
		p.Seed = 5
		s, err := NewSampler(p, len(row))
		if err != nil {
			t.Fatal(err)
		}
		s.AcceptPrompt(history()...)
		texts := func(s *Sampler) (out string) {
			for range 30 {
				id, err := s.Next(row)
				if err != nil {
					t.Fatal(err)
				}
				s.Accept(id)
				out += fmt.Sprint(id, " ")
			}
			return out
		}
		texts(s)
		a, b, c := s.Clone(), s.Clone(), s.Clone()
		c.Reseed(99)
		first, other := texts(a), texts(c)
		if second := texts(b); second != first {
			t.Errorf("%s: a copy draws %s, another %s", name, first, second)
		}
		if got := texts(s); got != first {
			t.Errorf("%s: a copy drew %s, the sampler itself %s", name, first, got)
		}
		if random := len(s.Probs()) > 3; random && other == first {
			t.Errorf("%s: reseeded, a copy draws the same %s", name, first)
		}
	}
}
