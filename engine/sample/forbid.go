package sample

import (
	"errors"
	"math"
	"slices"

	"github.com/hipengine/hipengine/internal/logits"
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
	if s.taken < s.p.MinTokens && (s.p.Constraint == nil || s.others()) {
		for _, id := range s.p.Ends {
			s.logits[id], took = float32(math.Inf(-1)), true
		}
	}
	if took && never(s.logits[logits.Argmax(s.logits)]) {
		return errors.New("sample: no token is left: logit_bias, bad_words, min_tokens and the form of the text forbid all")
	}
	return nil
}

// others reports whether a token may come that does not end the generation.
func (s *Sampler) others() bool {
	for id, l := range s.logits {
		if !never(l) && !slices.Contains(s.p.Ends, int32(id)) {
			return true
		}
	}
	return false
}
