package spec_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hipengine/hipengine/engine/spec"
)

// machine is what steps and drafts cost, in units of a step of one token, and how often drafts are right.
type machine struct {
	each    float64 // of a token beside those that a step has without drafts
	draft   float64 // of drafting a token for one sequence
	share   float64 // of drafts that are right if those before were
	noise   float64 // all takes up to so much more, as a share
	spells  float64 // for twenty steps and drafts by turns, in the mean, all takes so many times as long; 0: never
	seqs    int
	perStep float64 // of each sequence beside the first
	prepare float64 // what each number of tokens, and of drafts, takes beside that when it comes first
	counts  bool    // so does that of steps with drafts, and of drafts
}

// unit is a step of one token.
const unit = time.Millisecond

// answer makes n tokens of each sequence, and returns how many times as fast as without drafts they came with those
// that choose chooses, without what is prepared once, and how many tokens a sequence got of a step with drafts.
func (m machine) answer(n int, seed uint64, choose func() spec.Chooser) (gain, perRound float64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	c := choose()
	slow := false
	took, plain := 0.0, 0.0 // as if all took what it takes in the mean, and there were no spells
	cost := func(x float64) time.Duration {
		took += x
		if slow = slow != (rng.IntN(20) == 0); slow && m.spells > 0 {
			x *= m.spells
		}
		return time.Duration(x * (1 + m.noise*rng.Float64()) * float64(unit))
	}
	prepared := map[[3]int]bool{}
	first := func(sequences, tokens, drafts int) (more time.Duration) { // what preparing this takes, once
		if k := [3]int{sequences, tokens, drafts}; m.prepare > 0 && !prepared[k] {
			prepared[k] = true
			more = time.Duration(m.prepare * float64(unit))
		}
		return more
	}
	const name = "mtp"
	left := make([]int, m.seqs)
	for i := range left {
		left[i] = n
	}
	rounds, made := 0, 0
	running := m.seqs
	plain = float64(n) * (1 + m.perStep*float64(m.seqs-1))
	for running > 0 {
		var members []spec.Member
		for i, l := range left {
			if l > 0 {
				members = append(members, spec.Member{Key: uint64(i), Drafter: name, Most: min(l-1, spec.MaxDepth)})
			}
		}
		depth := c.Choose(members, running, running, 64)
		deepest, asked, tokens := 0, 0, running
		for _, d := range depth {
			tokens += d
			deepest = max(deepest, d)
			if d > 0 {
				asked++
			}
		}
		var drafting time.Duration
		if deepest > 0 {
			drafting = cost(m.draft * float64(deepest) * (1 + m.perStep*float64(asked-1)))
			more := first(asked, 0, deepest)
			if m.counts {
				took += more.Seconds() / unit.Seconds()
			}
			c.Drafted(name, asked, deepest, drafting+more, more > 0)
		}
		step := cost(1 + m.perStep*float64(running-1) + m.each*float64(tokens-running))
		drawn := 0
		var outcomes []spec.Outcome
		for i, x := range members {
			taken := 0
			for taken < depth[i] && rng.Float64() < m.share {
				taken++
			}
			if depth[i] > 0 {
				rounds++
				made += 1 + taken
			}
			outcomes = append(outcomes, spec.Outcome{Member: x, Verified: min(taken+1, depth[i]), Taken: taken})
			drawn += 1 + taken
			if left[x.Key] -= 1 + taken; left[x.Key] <= 0 {
				running--
			}
		}
		more := first(len(members), tokens, 0)
		if m.counts && deepest > 0 {
			took += more.Seconds() / unit.Seconds()
		}
		c.Stepped(spec.Step{Sequences: len(members), Tokens: tokens, Drawn: drawn, Took: step + more,
			Drafting: drafting, Fresh: more > 0}, outcomes)
	}
	return plain / took, float64(made) / float64(max(1, rounds))
}

// TestPolicyFindsTheDepth lets the policy choose for machines on which drafts gain much, little and nothing, and
// compares what it gains with what the best fixed depth does: in short texts, of which it has to learn, and in long
// ones.
func TestPolicyFindsTheDepth(t *testing.T) {
	seeds := uint64(4)
	if !testing.Short() {
		seeds = 40
	}
	for _, c := range []struct {
		machine
		short, long float64 // least share of the best gain, in 96 and in 600 tokens of each sequence
	}{
		{machine{each: 0.05, draft: 0.2, share: 0.97, seqs: 1}, 0.8, 0.93},
		{machine{each: 0.05, draft: 0.2, share: 0.97, seqs: 1, noise: 0.3}, 0.8, 0.9},
		{machine{each: 0.4, draft: 0.25, share: 0.97, seqs: 1, noise: 0.3}, 0.9, 0.95},
		{machine{each: 0.08, draft: 0.2, share: 0.8, seqs: 1, noise: 0.1}, 0.86, 0.94},
		{machine{each: 0.05, draft: 0.1, share: 0.5, seqs: 1, noise: 0.1}, 0.9, 0.94},
		{machine{each: 0.05, draft: 0.2, share: 0.97, seqs: 1, noise: 0.1, prepare: 20}, 0.7, 0.9},
		{machine{each: 0.05, draft: 0.1, share: 0.9, seqs: 4, noise: 0.1, perStep: 0.1}, 0.7, 0.8},
		{machine{each: 0.08, draft: 0.2, share: 0, seqs: 1, noise: 0.1}, 0.965, 0.99},
		{machine{each: 0.9, draft: 0.2, share: 0.9, seqs: 1, noise: 0.1}, 0.955, 0.975},
		{machine{each: 0.5, draft: 0.1, share: 0, seqs: 16, noise: 0.1, perStep: 0.5}, 0.97, 0.99},
		{machine{each: 0.5, draft: 0.1, share: 0.9, seqs: 16, noise: 0.1, perStep: 0.5}, 0.96, 0.97},
		{machine{each: 0.05, draft: 0.2, share: 0.97, seqs: 1, noise: 1}, 0.7, 0.85},
		{machine{each: 0.05, draft: 0.2, share: 0.97, seqs: 1, noise: 0.2, spells: 6}, 0.6, 0.7},
		{machine{each: 0.2, draft: 0.2, share: 0.9, seqs: 1, noise: 0.2, spells: 6, prepare: 20}, 0.6, 0.8},
		{machine{each: 0.9, draft: 0.2, share: 0.9, seqs: 1, noise: 1}, 0.93, 0.96},
		{machine{each: 0.9, draft: 0.2, share: 0.9, seqs: 1, noise: 0.2, spells: 6}, 0.9, 0.87},
		{machine{each: 0.08, draft: 0.2, share: 0, seqs: 1, noise: 1}, 0.955, 0.985},
		{machine{each: 0.5, draft: 0.1, share: 0.9, seqs: 16, noise: 1, perStep: 0.5}, 0.96, 0.97},
		{machine{each: 0.5, draft: 0.1, share: 0.9, seqs: 16, noise: 0.2, spells: 6, perStep: 0.5}, 0.96, 0.95},
		{machine{each: 0.5, draft: 0.1, share: 0, seqs: 16, noise: 1, perStep: 0.5}, 0.97, 0.99},
		{machine{each: 0.5, draft: 0.1, share: 0.9, seqs: 16, noise: 0.3, perStep: 0.5, prepare: 20, counts: true}, 0.85,
			0.94},
		{machine{each: 0.5, draft: 0.1, share: 0, seqs: 16, noise: 0.3, perStep: 0.5, prepare: 20, counts: true}, 0.89, 0.97},
	} {
		for n, least := range map[int]float64{96: c.short, 600: c.long} {
			mean := func(choose func() spec.Chooser) (gain, perRound float64) {
				for seed := range seeds {
					g, r := c.answer(n, seed, choose)
					gain, perRound = gain+g/float64(seeds), perRound+r/float64(seeds)
				}
				return gain, perRound
			}
			best, depth := 1.0, 0
			for d := 1; d <= spec.MaxDepth; d++ {
				if g, _ := mean(func() spec.Chooser { return spec.Fixed(d) }); g > best {
					best, depth = g, d
				}
			}
			got, perRound := mean(func() spec.Chooser { return spec.NewPolicy() })
			t.Logf("%+v, %d tokens: %.3f times as fast, %.2f tokens a round; always %d: %.3f", c.machine, n, got, perRound,
				depth, best)
			if got < least*best {
				t.Errorf("%+v, %d tokens: %.3f times as fast, want %v of the %.3f of depth %d", c.machine, n, got, least, best,
					depth)
			}
		}
	}
}
