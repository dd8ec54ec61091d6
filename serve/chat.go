package serve

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/openai"
)

// chat serves POST /v1/chat/completions.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := openai.ParseChat(body, s.c.Limits)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	m, release, err := s.model(r.Context(), req.Model)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	if m.Prompt == nil {
		s.fail(w, r, noTemplate())
		return
	}
	prompt, err := m.Prompt(req.Messages, req.Tools, req.Kwargs)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	write, form, err := m.writer(req, prompt)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	prompt = m.Engine.Verbatim(recordOf(r.Context()).space, prompt)
	g, err := s.generate(r.Context(), m, req.Options, [][]int32{prompt}, form)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer g.close(r.Context())
	if req.Stream {
		s.streamChat(w, r, g, write)
		return
	}
	choices := make([]openai.ChatChoice, len(g.seqs))
	answers := make([]*answer, len(g.seqs))
	queues := make([]logprobQueue, len(g.seqs))
	for i := range choices {
		answers[i] = write()
		if g.options.Logprobs {
			choices[i].Logprobs = &openai.ChatLogprobs{Content: []openai.TokenLogprob{}}
		}
	}
	err = g.collect(r.Context(), func(i int, t engine.Token) {
		answers[i].add(t)
		if l := choices[i].Logprobs; l != nil {
			l.Content = append(l.Content, m.chatLogprobs(queues[i].add(t))...)
		}
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for i, a := range answers {
		choices[i].Index, choices[i].Message, choices[i].FinishReason = i, a.message(), a.finish
	}
	s.reply(w, http.StatusOK, openai.ChatCompletion{
		ID: "chatcmpl-" + rand.Text(), Object: openai.ObjectChatCompletion, Created: time.Now().Unix(), Model: m.ID,
		Choices: choices, Usage: g.usage(),
	})
}

// streamChat sends a chunk with the role for each choice, one for each piece of text or of a call, one with the finish
// reason, and one with the usage if it was asked for.
func (s *Server) streamChat(w http.ResponseWriter, r *http.Request, g *generation, write func() *answer) {
	out := newStream(w, s.c.WriteTimeout)
	defer out.close()
	chunk := openai.ChatChunk{ID: "chatcmpl-" + rand.Text(), Object: openai.ObjectChatChunk, Created: time.Now().Unix(), Model: g.model.ID}
	send := func(c openai.ChatChunkChoice) {
		chunk.Choices = []openai.ChatChunkChoice{c}
		out.event(chunk)
	}
	answers := make([]*answer, len(g.seqs))
	queues := make([]logprobQueue, len(g.seqs))
	for i := range g.seqs {
		answers[i] = write()
		send(openai.ChatChunkChoice{Index: i, Delta: openai.ChatDelta{Role: "assistant", Content: new("")}})
	}
	s.forward(r.Context(), g, out, func(i int, t engine.Token) {
		c := openai.ChatChunkChoice{Index: i}
		if g.options.Logprobs {
			if ready := queues[i].add(t); len(ready) > 0 {
				c.Logprobs = &openai.ChatLogprobs{Content: g.model.chatLogprobs(ready)}
			}
		}
		deltas := answers[i].add(t)
		if len(deltas) == 0 && c.Logprobs != nil {
			deltas = []openai.ChatDelta{{}}
		}
		for _, d := range deltas {
			c.Delta = d
			send(c)
			c.Logprobs = nil // once
		}
		if t.Finish != engine.FinishNone {
			send(openai.ChatChunkChoice{Index: i, FinishReason: &answers[i].finish})
		}
	}, func() {
		if g.options.IncludeUsage {
			chunk.Choices, chunk.Usage = []openai.ChatChunkChoice{}, new(g.usage())
			out.event(chunk)
		}
	})
}
