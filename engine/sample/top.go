package sample

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// Logit is a token and its logit.
type Logit struct {
	ID    int32
	Logit float32
}

// ErrFewAllowed says that a constraint allows too few of the logits that [Sampler.NextTop] was given. Nothing was
// drawn.
var ErrFewAllowed = errors.New("sample: the constraint allows too few of the logits of highest rank")

// Top returns how many of a row's logits of highest rank decide the draw, so that [Sampler.NextTop] needs no others,
// or 0 if it takes all: those with a bias or a penalty may come from anywhere, and a chain that does not begin with
// top-k weighs them all. With a constraint it is so many of those that it allows.
func (p Params) Top() int {
	if len(p.LogitBias)+len(p.BadWords) > 0 || p.MinTokens > 0 && len(p.Ends) > 0 || p.Mirostat != 0 {
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
// finite. If a constraint leaves fewer of them, though it allows others, the error is [ErrFewAllowed].
func (s *Sampler) NextTop(top []Logit) (int32, error) {
	n := s.p.Top()
	if n == 0 || len(top) < n {
		return 0, fmt.Errorf("sample: %d logits of a row, where the parameters need %d (0: all)", len(top), n)
	}
	if s.p.Constraint != nil {
		if err := s.constrain(); err != nil {
			return 0, err
		}
	}
	s.kept = s.kept[:0]
	for _, l := range top {
		if len(s.kept) == n {
			break
		}
		if wordOf(s.mask, int(l.ID)&^63)>>(l.ID%64)&1 != 0 {
			s.kept = append(s.kept, candidate{id: l.ID, logit: l.Logit})
		}
	}
	if len(s.kept) < min(n, s.allowed()) {
		return 0, ErrFewAllowed
	}
	if s.greedy {
		s.proposal, s.last = nil, s.kept[0].id
		return s.last, nil
	}
	slices.SortFunc(s.kept, func(a, b candidate) int { return int(a.id) - int(b.id) })
	return s.pick(s.filter(s.plan[1:])), nil
}

// allowed returns how many tokens the constraint allows.
func (s *Sampler) allowed() int {
	if s.mask == nil {
		return s.vocab
	}
	n := 0
	for at := 0; at < s.vocab; at += 64 {
		n += bits.OnesCount64(wordOf(s.mask, at) << max(0, 64-(s.vocab-at)))
	}
	return n
}
