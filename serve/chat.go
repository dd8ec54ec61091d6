package serve

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/openai"
	"github.com/hipengine/hipengine/text/toolcall"
)

// chat serves POST /v1/chat/completions.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := s.parseChat(body)
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
	if err := s.unread(m, req); err != nil {
		s.fail(w, r, err)
		return
	}
	g, write, err := s.converse(r.Context(), m, req)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer g.close(r.Context())
	choices := make([]*chatChoice, len(g.seqs))
	for i := range choices {
		choices[i] = &chatChoice{answer: write()}
	}
	native := s.native(g, req)
	if req.Stream {
		s.streamChat(w, r, g, choices, native)
		return
	}
	list := make([]openai.ChatChoice, len(choices))
	for i := range list {
		if list[i].Index = i; g.options.Logprobs {
			list[i].Logprobs = &openai.ChatLogprobs{Content: []openai.TokenLogprob{}}
		}
	}
	err = g.collect(r.Context(), func(i int, t engine.Token) {
		choices[i].add(t)
		native.of(i, t)
		if l := list[i].Logprobs; l != nil {
			l.Content = append(l.Content, m.chatLogprobs(choices[i].queue.add(t))...)
		}
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for i, c := range choices {
		list[i].Message, list[i].FinishReason, list[i].FinishDetails = c.message(), c.finishReason(), c.details()
	}
	s.reply(w, http.StatusOK, openai.ChatCompletion{
		ID: "chatcmpl-" + rand.Text(), Object: openai.ObjectChatCompletion, Created: time.Now().Unix(), Model: m.ID,
		Build: s.fingerprint(), Choices: list, Usage: chatUsage(g, choices), Timings: g.timings(0),
		Verbose: native.verbose(),
	})
}

// parseChat reads a chat request as this server takes it.
func (s *Server) parseChat(body []byte) (*openai.ChatRequest, error) {
	req, err := openai.ParseChat(body, s.c.Limits)
	if err == nil && s.offersLlama(LlamaPrefill) {
		err = req.Prefill()
	}
	return req, err
}

// native collects the first choice in the form of llama.cpp's /completion, if that is asked for; else it is nil.
func (s *Server) native(g *generation, req *openai.ChatRequest) *llamaAnswer {
	if !req.Verbose && !s.offersLlama(LlamaVerbose) {
		return nil
	}
	return &llamaAnswer{g: g, req: &openai.LlamaCompletionRequest{
		Options: req.Options, Tokens: true, BudgetOpen: req.MaxTokens == 0}}
}

// of adds a token of a choice, if it is that which is collected.
func (a *llamaAnswer) of(choice int, t engine.Token) {
	if a != nil && choice == a.index {
		a.add(t)
	}
}

// verbose is what was collected; nil if nothing was.
func (a *llamaAnswer) verbose() *openai.LlamaCompletion {
	if a == nil {
		return nil
	}
	return new(a.whole())
}

// chatUsage counts the tokens of a request, of thoughts too where they are told apart.
func chatUsage(g *generation, choices []*chatChoice) openai.Usage {
	u := g.usage()
	for _, c := range choices {
		if c.parser == nil {
			continue
		}
		if u.CompletionTokensDetails == nil {
			u.CompletionTokensDetails = new(openai.CompletionTokensDetails)
		}
		u.CompletionTokensDetails.ReasoningTokens += c.thoughts
	}
	return u
}

// chatChoice collects a choice's message, and says what each token adds to it.
type chatChoice struct {
	*answer
	queue              logprobQueue
	content, reasoning strings.Builder
	calls              []openai.ToolCall
}

// add takes a token and returns what it adds to the message.
func (c *chatChoice) add(t engine.Token) (deltas []openai.ChatDelta) {
	for _, e := range c.answer.add(t) {
		var d openai.ChatDelta
		switch e.Kind {
		case toolcall.Content:
			c.content.WriteString(e.Text)
			d.Content = &e.Text
		case toolcall.Reasoning:
			c.reasoning.WriteString(e.Text)
			d.ReasoningContent = &e.Text
		case toolcall.Begin:
			c.calls = append(c.calls,
				openai.ToolCall{ID: e.ID, Type: "function", Function: openai.CallFunction{Name: e.Text}})
			d.ToolCalls = []openai.ToolCallDelta{{
				Index: e.Call, ID: e.ID, Type: "function", Function: openai.CallFunctionDelta{Name: e.Text},
			}}
		case toolcall.Arguments:
			c.calls[e.Call].Function.Arguments += e.Text
			d.ToolCalls = []openai.ToolCallDelta{{Index: e.Call,
				Function: openai.CallFunctionDelta{Arguments: e.Text}}}
		case toolcall.End:
			continue
		}
		deltas = append(deltas, d)
	}
	return deltas
}

// details explain an answer without text.
func (c *chatChoice) details() *openai.FinishDetails {
	return openai.NewFinishDetails(c.silence(c.content.Len() > 0))
}

// message returns the whole message.
func (c *chatChoice) message() openai.ChatMessage {
	m := openai.ChatMessage{Role: "assistant", ReasoningContent: c.reasoning.String(), ToolCalls: c.calls}
	if text := c.content.String(); text != "" || len(c.calls) == 0 {
		m.Content = &text
	}
	return m
}

// streamChat sends a chunk with the role for each choice, one for each piece of text or of a call, one with the finish
// reason, and one with the usage if it was asked for.
func (s *Server) streamChat(w http.ResponseWriter, r *http.Request, g *generation, choices []*chatChoice,
	native *llamaAnswer) {
	out := newStream(w, s.c.WriteTimeout)
	defer out.close()
	chunk := openai.ChatChunk{ID: "chatcmpl-" + rand.Text(), Object: openai.ObjectChatChunk,
		Created: time.Now().Unix(),
		Model:   g.model.ID, Build: s.fingerprint()}
	send := func(c openai.ChatChunkChoice) {
		chunk.Choices = []openai.ChatChunkChoice{c}
		out.event(chunk)
	}
	for i := range choices {
		send(openai.ChatChunkChoice{Index: i, Delta: openai.ChatDelta{Role: "assistant"}})
	}
	s.forward(r.Context(), g, out, openaiTeller{out, func(i int, t engine.Token) {
		c := openai.ChatChunkChoice{Index: i}
		if chunk.Timings = nil; g.options.TokenTimings {
			chunk.Timings = g.timings(i)
		}
		if g.options.Logprobs {
			if ready := choices[i].queue.add(t); len(ready) > 0 {
				c.Logprobs = &openai.ChatLogprobs{Content: g.model.chatLogprobs(ready)}
			}
		}
		native.of(i, t)
		deltas := choices[i].add(t)
		if len(deltas) == 0 && c.Logprobs != nil {
			deltas = []openai.ChatDelta{{}}
		}
		for _, d := range deltas {
			c.Delta = d
			send(c)
			c.Logprobs = nil // once
		}
		if t.Finish != engine.FinishNone {
			chunk.Timings = g.timings(i)
			if i == 0 {
				chunk.Verbose = native.verbose()
			}
			send(openai.ChatChunkChoice{Index: i, FinishReason: new(choices[i].finishReason()),
				FinishDetails: choices[i].details()})
			chunk.Verbose = nil
		}
	}, func(i int, p promptProgress) {
		told := chunk
		told.Choices, told.Progress = []openai.ChatChunkChoice{{Index: i}}, p.wire()
		if g.options.TokenTimings {
			told.Timings = p.timings()
		}
		out.event(told)
	}, func() {
		if g.options.IncludeUsage {
			chunk.Choices, chunk.Usage, chunk.Timings = []openai.ChatChunkChoice{}, new(chatUsage(g, choices)),
				g.timings(0)
			out.event(chunk)
		}
	}})
}

// openaiTeller tells in chunks, which end with [DONE].
type openaiTeller struct {
	out *stream
	add func(choice int, t engine.Token)
	pre func(choice int, p promptProgress)
	end func()
}

func (o openaiTeller) token(choice int, t engine.Token)      { o.add(choice, t) }
func (o openaiTeller) progress(choice int, p promptProgress) { o.pre(choice, p) }
func (o openaiTeller) ping()                                 { o.out.ping() }
func (o openaiTeller) fail(e *openai.Error)                  { o.out.event(e) }
func (o openaiTeller) finish() {
	o.end()
	o.out.done()
}
