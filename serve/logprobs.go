package serve

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/serve/openai"
)

// logprobQueue holds the tokens of one choice back until their text is sure to be part of the answer, so that the
// log-probabilities of an answer are those of its tokens: what a stop string cuts off has none.
type logprobQueue struct {
	held  []engine.Token
	said  int    // bytes of the answer so far
	text  string // of the answer from byte start on
	start int
	runes int // characters before start
}

// add takes a token and returns those that are now part of the answer.
func (q *logprobQueue) add(t engine.Token) (ready []engine.Token) {
	q.said += len(t.Text)
	q.text += t.Text
	if !t.EOG {
		q.held = append(q.held, t)
	}
	n := 0
	for n < len(q.held) && (q.held[n].Start < q.said || t.Finish != engine.FinishNone && t.StopString == "") {
		n++
	}
	ready, q.held = q.held[:n:n], q.held[n:]
	return ready
}

// offset returns how many characters of the answer come before a token of add, each of which is asked about in order.
func (q *logprobQueue) offset(t engine.Token) int {
	n := min(t.Start-q.start, len(q.text))
	q.runes += utf8.RuneCountInString(q.text[:n])
	q.start, q.text = q.start+n, q.text[n:]
	return q.runes
}

// chatLogprobs returns the log-probabilities at tokens, in the form of chat completions.
func (m *Model) chatLogprobs(tokens []engine.Token) []openai.TokenLogprob {
	entry := func(p sample.Logprob) openai.LogprobEntry {
		piece := m.Tokenizer.Piece(p.ID, true)
		e := openai.LogprobEntry{
			Token: strings.ToValidUTF8(string(piece), "\uFFFD"), Logprob: p.Logprob, Bytes: make([]int, len(piece)),
		}
		for i, b := range piece {
			e.Bytes[i] = int(b)
		}
		return e
	}
	list := make([]openai.TokenLogprob, len(tokens))
	for i, t := range tokens {
		list[i].LogprobEntry = entry(sample.Logprob{ID: t.ID, Logprob: t.Logprob})
		list[i].TopLogprobs = make([]openai.LogprobEntry, len(t.Top))
		for j, p := range t.Top {
			list[i].TopLogprobs[j] = entry(p)
		}
	}
	return list
}

// addLogprobs appends the log-probabilities at tokens that q has released, in the form of completions.
func (m *Model) addLogprobs(l *openai.CompletionLogprobs, q *logprobQueue, tokens []engine.Token) {
	for _, t := range tokens {
		l.TextOffset = append(l.TextOffset, q.offset(t))
		l.Tokens = append(l.Tokens, m.tokenName(t.ID))
		l.TokenLogprobs = append(l.TokenLogprobs, new(t.Logprob))
		top := make(map[string]float32, len(t.Top)+1)
		for _, p := range append(t.Top[:len(t.Top):len(t.Top)], sample.Logprob{ID: t.ID, Logprob: t.Logprob}) {
			// Tokens of one text share a key; the first is the most likely.
			if s := m.tokenName(p.ID); !has(top, s) {
				top[s] = p.Logprob
			}
		}
		l.TopLogprobs = append(l.TopLogprobs, top)
	}
}

// tokenName returns the text of a token, or its bytes in OpenAI's form where they are not whole characters.
func (m *Model) tokenName(id int32) string {
	piece := m.Tokenizer.Piece(id, true)
	if utf8.Valid(piece) {
		return string(piece)
	}
	var b strings.Builder
	b.WriteString("bytes:")
	for _, c := range piece {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return b.String()
}

func has(m map[string]float32, key string) bool {
	_, ok := m[key]
	return ok
}
