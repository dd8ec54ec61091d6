package engine

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/sample"
)

// PromptLogprobs returns the tokens of the prompt with their log-probabilities, if Request.PromptLogprobs asks for
// them. The first has none. They are complete when the first token of the answer is there. Of choices, which share
// what is read, the first has them.
func (s *Sequence) PromptLogprobs() []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(s.prompt)
}

// notePrompt notes the log-probabilities of the next token of a prompt, whose row is r.
func (e *Engine) notePrompt(s *Sequence, r row) {
	next := Token{ID: s.pending[0]}
	chosen, top, err := sample.Logprobs(r.logits, next.ID, s.req.TopLogprobs)
	if err != nil {
		e.finish(s, FinishNone, fmt.Errorf("engine: prompt: %w", err))
		return
	}
	next.Logprob, next.Top = chosen.Logprob, top
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.prompt) == 0 {
		s.prompt = append(s.prompt, Token{ID: s.req.Prompt[0]})
	}
	s.prompt = append(s.prompt, next)
}
