package serve

import (
	"crypto/rand"
	"net/http"
	"strings"
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
		s.fail(w, r, &openai.Error{
			Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: "model", Code: openai.CodeUnsupported,
			Message: "this model has no chat template; use /v1/completions",
		})
		return
	}
	prompt, err := m.Prompt(req.Messages, req.Tools, req.Kwargs)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	prompt = m.Engine.Verbatim(recordOf(r.Context()).space, prompt)
	g, err := s.generate(r.Context(), m, req.Options, [][]int32{prompt})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer g.close(r.Context())
	if req.Stream {
		s.streamChat(w, r, g)
		return
	}
	choices := make([]openai.ChatChoice, len(g.seqs))
	texts := make([]strings.Builder, len(g.seqs))
	for i := range choices {
		choices[i] = openai.ChatChoice{Index: i, Message: openai.ChatMessage{Role: "assistant"}}
		if g.options.Logprobs {
			choices[i].Logprobs = &openai.ChatLogprobs{Content: []openai.TokenLogprob{}}
		}
	}
	err = g.collect(r.Context(), func(i int, t engine.Token) {
		texts[i].WriteString(t.Text)
		choices[i].FinishReason = string(t.Finish)
		if l := choices[i].Logprobs; l != nil && !t.EOG {
			l.Content = append(l.Content, m.chatLogprob(t))
		}
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for i := range choices {
		choices[i].Message.Content = texts[i].String()
	}
	s.reply(w, http.StatusOK, openai.ChatCompletion{
		ID: "chatcmpl-" + rand.Text(), Object: openai.ObjectChatCompletion, Created: time.Now().Unix(), Model: m.ID,
		Choices: choices, Usage: g.usage(),
	})
}

// streamChat sends a chunk with the role for each choice, one for each piece of text, one with the finish reason, and
// one with the usage if it was asked for.
func (s *Server) streamChat(w http.ResponseWriter, r *http.Request, g *generation) {
	out := newStream(w, s.c.WriteTimeout)
	defer out.close()
	chunk := openai.ChatChunk{ID: "chatcmpl-" + rand.Text(), Object: openai.ObjectChatChunk, Created: time.Now().Unix(), Model: g.model.ID}
	send := func(c openai.ChatChunkChoice) {
		chunk.Choices = []openai.ChatChunkChoice{c}
		out.event(chunk)
	}
	for i := range g.seqs {
		send(openai.ChatChunkChoice{Index: i, Delta: openai.ChatDelta{Role: "assistant", Content: new("")}})
	}
	s.forward(r.Context(), g, out, func(i int, t engine.Token) {
		c := openai.ChatChunkChoice{Index: i}
		if t.Text != "" {
			c.Delta.Content = &t.Text
		}
		if g.options.Logprobs && !t.EOG {
			c.Logprobs = &openai.ChatLogprobs{Content: []openai.TokenLogprob{g.model.chatLogprob(t)}}
		}
		if c.Delta.Content != nil || c.Logprobs != nil {
			send(c)
		}
		if t.Finish != engine.FinishNone {
			send(openai.ChatChunkChoice{Index: i, FinishReason: new(string(t.Finish))})
		}
	}, func() {
		if g.options.IncludeUsage {
			chunk.Choices, chunk.Usage = []openai.ChatChunkChoice{}, new(g.usage())
			out.event(chunk)
		}
	})
}
