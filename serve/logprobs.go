package serve

import (
	"strings"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/serve/openai"
)

// chatLogprob returns the log-probabilities at a token, in the form of chat completions.
func (m *Model) chatLogprob(t engine.Token) openai.TokenLogprob {
	entry := func(p sample.Logprob) openai.LogprobEntry {
		text := m.Tokenizer.Decode([]int32{p.ID}, true)
		e := openai.LogprobEntry{Token: strings.ToValidUTF8(text, "\uFFFD"), Logprob: p.Logprob, Bytes: make([]int, len(text))}
		for i := range len(text) {
			e.Bytes[i] = int(text[i])
		}
		return e
	}
	l := openai.TokenLogprob{
		LogprobEntry: entry(sample.Logprob{ID: t.ID, Logprob: t.Logprob}), TopLogprobs: make([]openai.LogprobEntry, len(t.Top)),
	}
	for i, p := range t.Top {
		l.TopLogprobs[i] = entry(p)
	}
	return l
}

// addLogprob appends the log-probabilities at a token, in the form of completions. offset is where the token's text
// starts.
func (m *Model) addLogprob(l *openai.CompletionLogprobs, t engine.Token, offset int) {
	text := func(id int32) string { return strings.ToValidUTF8(m.Tokenizer.Decode([]int32{id}, true), "\uFFFD") }
	l.Tokens = append(l.Tokens, text(t.ID))
	l.TokenLogprobs = append(l.TokenLogprobs, t.Logprob)
	l.TextOffset = append(l.TextOffset, offset)
	top := make(map[string]float32, len(t.Top))
	for _, p := range t.Top {
		// Tokens of one text share a key; the first is the most likely.
		if s := text(p.ID); !has(top, s) {
			top[s] = p.Logprob
		}
	}
	l.TopLogprobs = append(l.TopLogprobs, top)
}

func has(m map[string]float32, key string) bool {
	_, ok := m[key]
	return ok
}
