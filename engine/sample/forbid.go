package sample

import (
	"errors"
	"math"
	"slices"
)

// lookBack returns how many generated tokens bad words look back on.
func (s *Sampler) lookBack() (n int) {
	for _, w := range s.p.BadWords {
		n = max(n, len(w)-1)
	}
	return n
}

// forbid takes out what bad words and the least number of tokens do not allow. The ends of the generation stay if a
// constraint leaves nothing else. It is an error if nothing is left.
func (s *Sampler) forbid() error {
	took := s.bans
	for _, w := range s.p.BadWords {
		n := len(w) - 1
		if n < 0 || n > len(s.said) || !slices.Equal(s.said[len(s.said)-n:], w[:n]) {
			continue
		}
		s.logits[w[n]], took = float32(math.Inf(-1)), true
	}
	if s.taken < s.p.MinTokens && (s.p.Constraint == nil || s.some(s.p.Ends)) {
		for _, id := range s.p.Ends {
			s.logits[id], took = float32(math.Inf(-1)), true
		}
	}
	if took && !s.some(nil) {
		return errors.New("sample: no token is left: logit_bias, bad_words, min_tokens and the form of the text forbid all")
	}
	return nil
}

// some reports whether a token may come that is none of these.
func (s *Sampler) some(but []int32) bool {
	for at := 0; at < s.vocab; at += 64 {
		word := wordOf(s.mask, at)
		if word == 0 {
			continue
		}
		for i, l := range s.logits[at:min(at+64, s.vocab)] {
			if word>>i&1 != 0 && !never(l) && !slices.Contains(but, int32(at+i)) {
				return true
			}
		}
	}
	return false
}
