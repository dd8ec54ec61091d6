package serve

import (
	"strings"
	"unicode/utf8"

	"github.com/hipengine/hipengine/serve/openai"
)

// echoes are what the choices of a completion repeat of their prompts before the answer; nil if they do not.
type echoes struct {
	g       *generation
	prompts []openai.Prompt
	said    []bool
}

func newEchoes(g *generation, req *openai.CompletionRequest) *echoes {
	if !req.Echo {
		return nil
	}
	return &echoes{g, req.Prompts, make([]bool, len(g.seqs))}
}

// begin returns what comes before the first token of a choice, and before others nothing. The log-probabilities of the
// prompt go to l, if it is not nil, and q goes on with those of the answer.
func (e *echoes) begin(choice int, l *openai.CompletionLogprobs, q *logprobQueue) (text string) {
	if e == nil || e.said[choice] {
		return ""
	}
	e.said[choice] = true
	n := e.g.options.N
	m, p := e.g.model, e.prompts[choice/n]
	if text = p.Text; p.Tokens != nil {
		text = m.Tokenizer.Decode(p.Tokens, true)
	}
	if l == nil {
		return text
	}
	for _, t := range e.g.seqs[choice/n*n].PromptLogprobs() {
		for t.Start = q.said; t.Start > 0 && t.Start < len(text) && !utf8.RuneStart(text[t.Start]); {
			t.Start--
		}
		// What the model expects before a text, such as BOS, is not part of it.
		if piece := string(m.Tokenizer.Piece(t.ID, true)); strings.HasPrefix(text[q.said:], piece) {
			t.Text = piece
		}
		m.addLogprobs(l, q, q.add(t))
	}
	if len(l.TokenLogprobs) > 0 {
		l.TokenLogprobs[0], l.TopLogprobs[0] = nil, nil // nothing comes before it
	}
	q.text += text[q.said:]
	q.said, q.shift = len(text), len(text)
	return text
}
