package sample

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Prob is a token and its probability.
type Prob struct {
	ID int32
	P  float64
}

// Propose tells that a token was drawn from a distribution q, by random numbers that are not the sampler's. The next
// draw then takes it with probability min(1, p/q), where p is what the token has in the distribution that is drawn
// from, and else draws from what p exceeds q by: what comes has the distribution of a draw without a proposal
// (Leviathan et al., arXiv 2211.17192), and is the proposed token as often as any such rule allows. q is by ascending
// id, is not copied, and must hold the token; nil takes a proposal back.
//
// Without proposals the tokens of a sampler follow from its seed. With them they also follow from what was proposed.
func (s *Sampler) Propose(id int32, q []Prob) {
	s.proposed, s.proposal = id, q
}

// Probs returns the distribution that the last draw was from, by ascending id, without tokens that are never drawn.
func (s *Sampler) Probs() []Prob {
	if s.greedy {
		return []Prob{{ID: s.last, P: 1}}
	}
	var total float64
	for _, c := range s.kept {
		total += c.weight
	}
	var out []Prob
	for _, c := range s.kept {
		if c.weight > 0 {
			out = append(out, Prob{ID: c.id, P: c.weight / total})
		}
	}
	return out
}

// verify draws one of the candidates where a token was proposed.
func (s *Sampler) verify(c []candidate) int32 {
	q := s.proposal
	var total float64
	for _, x := range c {
		total += x.weight
	}
	p := 0.0
	if at, ok := slices.BinarySearchFunc(c, s.proposed, byID); ok {
		p = c[at].weight / total
	}
	at, _ := slices.BinarySearchFunc(q, s.proposed, func(x Prob, id int32) int { return int(x.ID) - int(id) })
	if s.rng.Float64()*q[at].P < p {
		return s.proposed
	}
	s.rest = s.rest[:0]
	sum, next := 0.0, 0
	for _, x := range c {
		for next < len(q) && q[next].ID < x.id {
			next++
		}
		x.weight /= total
		if next < len(q) && q[next].ID == x.id {
			x.weight = max(0, x.weight-q[next].P)
		}
		s.rest = append(s.rest, x)
		sum += x.weight
	}
	if sum == 0 { // p is q up to rounding, so that a rejection is one of rounding too
		s.rest = append(s.rest[:0], c...)
	}
	return draw(s.rest, s.rng.Float64())
}

func byID(c candidate, id int32) int { return int(c.id) - int(id) }

// Clone returns a sampler in the same state, which draws what s would draw of the same logits, but for the constraint
// of s: the clone has none.
func (s *Sampler) Clone() *Sampler {
	c := &Sampler{p: s.p, vocab: s.vocab, plan: s.plan, greedy: s.greedy, bans: s.bans, taken: s.taken,
		said: slices.Clone(s.said), mu: s.mu}
	c.p.Constraint = nil
	src := *s.source
	c.source = &src
	c.rng = rand.New(c.source)
	if s.window != nil {
		w := *s.window
		w.last, w.counts = slices.Clone(w.last), maps.Clone(w.counts)
		c.window = &w
	}
	if s.dry != nil {
		d := *s.dry
		d.past, d.tail, d.repeats = slices.Clone(d.past), slices.Clone(d.tail), nil
		d.length = map[int32]int{}
		c.dry = &d
	}
	return c
}

// Greedy reports whether no random numbers are used: the token of highest rank is taken of what the penalties leave.
func (s *Sampler) Greedy() bool { return s.greedy }

// Vocab returns the number of logits of a row.
func (s *Sampler) Vocab() int { return s.vocab }

// Reseed makes the sampler go on with other random numbers.
func (s *Sampler) Reseed(seed uint64) { s.source.Seed(seed, samplerStream) }
