package engine

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/runner"
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

// notePrompt notes the log-probabilities of the tokens of a prompt of which r has a row each: those behind the ones
// that were read. It returns the row behind the last token of the prompt, if that was read. The error ends the
// sequence.
func (e *Engine) notePrompt(s *Sequence, read []int32, r row) (row, error) {
	vocab := e.limits.Vocab
	var noted []Token
	if len(s.prompt) == 0 {
		noted = append(noted, Token{ID: read[0]})
	}
	next := slices.Concat(read[1:], s.pending[:min(1, len(s.pending))])
	for i, id := range next {
		chosen, top, err := sample.Logprobs(r.logits[i*vocab:(i+1)*vocab], id, s.req.TopLogprobs)
		if err != nil {
			return row{}, fmt.Errorf("engine: prompt: %w", err)
		}
		noted = append(noted, Token{ID: id, Logprob: chosen.Logprob, Top: top})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prompt = append(s.prompt, noted...)
	return row{logits: r.logits[len(next)*vocab:]}, nil
}

// promptRows returns how many rows each prompt may have in a step whose log-probabilities are wanted, so that all of
// them stay within what is planned for.
func promptRows(seqs ...[]*Sequence) int {
	n := 0
	for _, list := range seqs {
		for _, s := range list {
			if s.req.PromptLogprobs && !s.decode {
				n++
			}
		}
	}
	return max(1, runner.PromptRows/max(1, n))
}
