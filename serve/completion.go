package serve

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/openai"
)

// completion serves POST /v1/completions.
func (s *Server) completion(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := openai.ParseCompletion(body, s.c.Limits)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	m, release, err := s.writer(r.Context(), req.Model)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	prompts := make([][]int32, len(req.Prompts))
	for i, p := range req.Prompts {
		if prompts[i] = p.Tokens; p.Tokens == nil {
			if prompts[i], err = m.Tokenizer.EncodePrompt(p.Text); err != nil {
				s.fail(w, r, err)
				return
			}
		}
	}
	form, err := m.form(req.Options.Form)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	g, err := s.generate(r.Context(), m, req.Options, prompts, form)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer g.close(r.Context())
	answer := openai.Completion{ID: "cmpl-" + rand.Text(), Object: openai.ObjectCompletion, Created: time.Now().Unix(),
		Model: m.ID,
		Build: s.fingerprint()}
	if req.Stream {
		s.streamCompletion(w, r, g, answer, newEchoes(g, req))
		return
	}
	answer.Choices = make([]openai.CompletionChoice, len(g.seqs))
	texts := make([]strings.Builder, len(g.seqs))
	queues := make([]logprobQueue, len(g.seqs))
	for i := range answer.Choices {
		answer.Choices[i].Index = i
		if g.options.Logprobs {
			answer.Choices[i].Logprobs = openai.NewCompletionLogprobs()
		}
	}
	before := newEchoes(g, req)
	err = g.collect(r.Context(), func(i int, t engine.Token) {
		c := &answer.Choices[i]
		texts[i].WriteString(before.begin(i, c.Logprobs, &queues[i]))
		if c.Logprobs != nil {
			m.addLogprobs(c.Logprobs, &queues[i], queues[i].add(t))
		}
		texts[i].WriteString(t.Text)
		if t.Finish != engine.FinishNone {
			c.FinishReason = new(string(t.Finish))
		}
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for i := range answer.Choices {
		answer.Choices[i].Text = texts[i].String()
	}
	answer.Usage, answer.Timings = new(g.usage()), g.timings(0)
	s.reply(w, http.StatusOK, answer)
}

// streamCompletion sends a chunk for each piece of text, the last of a choice with its finish reason, and one with the
// usage if it was asked for.
func (s *Server) streamCompletion(w http.ResponseWriter, r *http.Request, g *generation,
	chunk openai.Completion, before *echoes) {
	out := newStream(w, s.c.WriteTimeout)
	defer out.close()
	queues := make([]logprobQueue, len(g.seqs))
	s.forward(r.Context(), g, out, openaiTeller{out, func(i int, t engine.Token) {
		c := openai.CompletionChoice{Index: i, Text: t.Text}
		if g.options.Logprobs {
			c.Logprobs = openai.NewCompletionLogprobs()
		}
		c.Text = before.begin(i, c.Logprobs, &queues[i]) + c.Text
		if g.options.Logprobs {
			g.model.addLogprobs(c.Logprobs, &queues[i], queues[i].add(t))
			if len(c.Logprobs.Tokens) == 0 {
				c.Logprobs = nil
			}
		}
		if t.Finish != engine.FinishNone {
			c.FinishReason = new(string(t.Finish))
		}
		if chunk.Timings = nil; g.options.TokenTimings || c.FinishReason != nil {
			chunk.Timings = g.timings(i)
		}
		if c.Text != "" || c.Logprobs != nil || c.FinishReason != nil {
			chunk.Choices = []openai.CompletionChoice{c}
			out.event(chunk)
		}
	}, func(i int, p promptProgress) {
		told := chunk
		told.Choices, told.Progress = []openai.CompletionChoice{{Index: i}}, p.wire()
		if g.options.TokenTimings {
			told.Timings = p.timings()
		}
		out.event(told)
	}, func() {
		if g.options.IncludeUsage {
			chunk.Choices, chunk.Usage, chunk.Timings = []openai.CompletionChoice{}, new(g.usage()), g.timings(0)
			out.event(chunk)
		}
	}})
}
