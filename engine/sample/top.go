package sample

import (
	"fmt"
	"slices"
)

// Logit is a token and its logit.
type Logit struct {
	ID    int32
	Logit float32
}

// Top returns how many of a row's logits of highest rank decide the draw, so that [Sampler.NextTop] needs no others,
// or 0 if it takes all: those with a bias, a penalty or a constraint may come from anywhere, and a chain that does
// not begin with top-k weighs them all.
func (p Params) Top() int {
	if len(p.LogitBias)+len(p.BadWords) > 0 || p.MinTokens > 0 && len(p.Ends) > 0 || p.Constraint != nil ||
		p.Mirostat != 0 {
		return 0
	}
	var buf [MaxOrder]Stage
	plan := p.plan(buf[:0])
	switch {
	case slices.Contains(plan, Penalties), slices.Contains(plan, DRY):
		return 0
	case p.greedy(plan):
		return 1
	case len(plan) > 0 && plan[0] == TopK:
		return p.TopK
	}
	return 0
}

// NextTop draws the token that [Sampler.Next] would draw from a row of which top are the logits of highest rank, in
// this order. There must be Params.Top of them at least, which must not be 0, and all logits of the row must be
// finite.
func (s *Sampler) NextTop(top []Logit) (int32, error) {
	n := s.p.Top()
	if n == 0 || len(top) < n {
		return 0, fmt.Errorf("sample: %d logits of a row, where the parameters need %d (0: all)", len(top), n)
	}
	if s.greedy {
		return top[0].ID, nil
	}
	s.kept = s.kept[:0]
	for _, l := range top[:n] {
		s.kept = append(s.kept, candidate{id: l.ID, logit: l.Logit})
	}
	slices.SortFunc(s.kept, func(a, b candidate) int { return int(a.id) - int(b.id) })
	return s.pick(s.filter(s.plan[1:])), nil
}
