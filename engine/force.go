package engine

import "github.com/hipengine/hipengine/engine/sample"

// force finds the tokens that must come next: those that end thoughts whose budget is used up, or those that a
// constraint leaves no choice for.
func (s *Sequence) force() {
	c := s.req.Sampling.Constraint
	s.script, s.ending = s.script[:0], false
	switch {
	case s.thinking != nil && s.thinking.over():
		if c == nil || allows(c, s.thinking.End[0]) { // else it will be a token later
			s.script, s.ending = append(s.script, s.thinking.End...), true
		}
	case c != nil:
		s.script = append(s.script, c.Forced()...)
	}
}

// allows reports whether a token may come next.
func allows(c sample.Constraint, id int32) bool {
	mask, err := c.Mask()
	return err == nil && int(id/64) < len(mask) && mask[id/64]>>(id%64)&1 != 0
}

// scripted takes the next token that must come, if there is one. Of those that end thoughts a constraint may want
// other ones behind the first.
func (s *Sequence) scripted() (id int32, ok bool) {
	if len(s.script) == 0 {
		return 0, false
	}
	if c := s.req.Sampling.Constraint; s.ending && c != nil && !allows(c, s.script[0]) {
		s.script = s.script[:0]
		return 0, false
	}
	id, s.script = s.script[0], s.script[1:]
	return id, true
}

// draw returns the next token, with its log-probabilities if they are wanted: the one that must come, or one that is
// drawn.
func (s *Sequence) draw(r row) (t Token, err error) {
	id, ok := s.scripted()
	if !ok {
		if id, err = r.next(s.sampler); err != nil {
			return t, err
		}
	}
	t.ID = id
	switch {
	case s.req.Logprobs && s.req.Sampled && ok: // nothing else could come
		t.Top = []sample.Logprob{{ID: id}}[:min(s.req.TopLogprobs, 1)]
	case s.req.Logprobs && s.req.Sampled:
		var chosen sample.Logprob
		chosen, t.Top = s.sampler.Drawn(id, s.req.TopLogprobs)
		t.Logprob = chosen.Logprob
	case s.req.Logprobs:
		var chosen sample.Logprob
		chosen, t.Top, err = sample.Logprobs(r.logits, t.ID, s.req.TopLogprobs)
		t.Logprob = chosen.Logprob
	}
	return t, err
}
