package serve

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/anthropic"
	"github.com/hipengine/hipengine/serve/openai"
	"github.com/hipengine/hipengine/text/toolcall"
)

// anthropicErrors makes the errors of an endpoint Anthropic's, whose clients look for the request's id in a header of
// its own.
func anthropicErrors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := recordOf(r.Context())
		w.Header().Set("Request-Id", rec.id)
		rec.errorForm = func(e *openai.Error) any { return anthropic.NewError(e, rec.id) }
		next.ServeHTTP(w, r)
	})
}

// tooLong says in Anthropic's words that a prompt does not fit, since clients go by them.
func tooLong(err error) error {
	var length *engine.ContextLengthError
	if errors.As(err, &length) && length.Prompt >= length.Limit {
		return &openai.Error{Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest,
			Code:    "context_length_exceeded",
			Message: fmt.Sprintf("prompt is too long: %d tokens > %d maximum", length.Prompt, length.Limit-1)}
	}
	return err
}

// messages serves POST /v1/messages.
func (s *Server) messages(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := anthropic.Parse(body, s.c.Limits)
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
	g, write, err := s.converse(r.Context(), m, &req.ChatRequest)
	if err != nil {
		s.fail(w, r, tooLong(err))
		return
	}
	defer g.close(r.Context())
	b := &messageBuilder{answer: write(), record: recordOf(r.Context()), generation: g, omit: req.OmitThinking}
	b.message = anthropic.Message{
		ID: "msg_" + rand.Text(), Type: "message", Role: "assistant", Model: m.ID, Content: []anthropic.Block{},
	}
	if req.Stream {
		b.out = newStream(w, s.c.WriteTimeout)
		defer b.out.close()
		s.forward(r.Context(), g, b.out, b)
		return
	}
	if err := g.collect(r.Context(), b.token); err != nil {
		s.fail(w, r, err)
		return
	}
	b.finish()
	s.reply(w, http.StatusOK, b.message)
}

// countTokens serves POST /v1/messages/count_tokens.
func (s *Server) countTokens(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := anthropic.ParseCount(body, s.c.Limits)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	n, err := s.promptTokens(r, &req.ChatRequest)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, anthropic.TokenCount{InputTokens: n})
}

// promptTokens returns how many tokens the prompt of a conversation has.
func (s *Server) promptTokens(r *http.Request, req *openai.ChatRequest) (int, error) {
	m, release, err := s.writer(r.Context(), req.Model)
	if err != nil {
		return 0, err
	}
	defer release()
	recordOf(r.Context()).model = m.ID
	ids, err := s.render(m, req)
	return len(ids), err
}

// messageBuilder puts a message of Anthropic's together, and tells of it as it grows if there is a stream.
type messageBuilder struct {
	*answer
	record     *record
	generation *generation
	omit       bool    // thoughts are not shown
	out        *stream // nil: nobody hears of events
	message    anthropic.Message
	begun      bool   // message_start is out
	open       bool   // the last block of the message is not complete
	text       string // of the open block
}

func (b *messageBuilder) event(name string, v any) {
	if b.out != nil {
		b.out.named(name, v)
	}
}

// token implements teller. The message begins with its first token, because only then is known what of the prompt was
// read.
func (b *messageBuilder) token(_ int, t engine.Token) {
	if !b.begun {
		b.begun = true
		b.message.Usage = b.usage()
		b.event(anthropic.EventMessageStart,
			anthropic.MessageStart{Type: anthropic.EventMessageStart, Message: b.message})
	}
	for _, e := range b.add(t) {
		b.take(e)
	}
}

// take adds an event to the content.
func (b *messageBuilder) take(e toolcall.Event) {
	switch e.Kind {
	case toolcall.Content:
		if _, same := b.last().(*anthropic.TextBlock); !same {
			b.begin(&anthropic.TextBlock{Type: "text"})
		}
		b.grow(e.Text, anthropic.Delta{Type: "text_delta", Text: e.Text})
	case toolcall.Reasoning:
		if _, same := b.last().(*anthropic.ThinkingBlock); !same {
			b.begin(&anthropic.ThinkingBlock{Type: "thinking"})
		}
		b.grow(e.Text, anthropic.Delta{Type: "thinking_delta", Thinking: e.Text})
	case toolcall.Begin:
		b.begin(&anthropic.ToolUseBlock{Type: "tool_use", ID: e.ID, Name: e.Text, Input: json.RawMessage("{}")})
	case toolcall.Arguments:
		b.grow(e.Text, anthropic.Delta{Type: "input_json_delta", PartialJSON: e.Text})
	case toolcall.End:
		b.end()
	}
}

// index is the place of the block that was begun last.
func (b *messageBuilder) index() int { return len(b.message.Content) - 1 }

// last returns the block that is open, or nil.
func (b *messageBuilder) last() anthropic.Block {
	if !b.open {
		return nil
	}
	return b.message.Content[b.index()]
}

// begin starts a block behind the last.
func (b *messageBuilder) begin(block anthropic.Block) {
	b.end()
	b.open, b.text = true, ""
	b.message.Content = append(b.message.Content, block)
	b.event(anthropic.EventBlockStart, anthropic.BlockStart{
		Type: anthropic.EventBlockStart, Index: b.index(), ContentBlock: block,
	})
}

// grow adds to the open block.
func (b *messageBuilder) grow(text string, d anthropic.Delta) {
	b.text += text
	if d.Thinking == "" || !b.omit {
		b.delta(d)
	}
}

func (b *messageBuilder) delta(d anthropic.Delta) {
	b.event(anthropic.EventBlockDelta,
		anthropic.BlockDelta{Type: anthropic.EventBlockDelta, Index: b.index(), Delta: d})
}

// end completes the open block, if there is one.
func (b *messageBuilder) end() {
	switch block := b.last().(type) {
	case nil:
		return
	case *anthropic.TextBlock:
		block.Text = b.text
	case *anthropic.ThinkingBlock:
		sum := sha256.Sum256([]byte(b.text))
		if block.Signature = base64.StdEncoding.EncodeToString(sum[:]); !b.omit {
			block.Thinking = b.text
		}
		b.delta(anthropic.Delta{Type: "signature_delta", Signature: block.Signature})
	case *anthropic.ToolUseBlock:
		if json.Valid([]byte(b.text)) { // it is not where the tokens ran out
			block.Input = json.RawMessage(b.text)
		}
	}
	b.open = false
	b.event(anthropic.EventBlockStop, anthropic.BlockStop{Type: anthropic.EventBlockStop, Index: b.index()})
}

// finish implements teller.
func (b *messageBuilder) finish() {
	b.end()
	b.message.StopReason = new(b.stopReason())
	if b.stop != "" {
		b.message.StopSequence = &b.stop
	}
	b.message.Usage = b.usage()
	b.event(anthropic.EventMessageDelta,
		anthropic.MessageDelta{Type: anthropic.EventMessageDelta, Usage: b.message.Usage,
			Delta: anthropic.Stop{StopReason: b.message.StopReason, StopSequence: b.message.StopSequence}})
	b.event(anthropic.EventMessageStop, anthropic.Plain{Type: anthropic.EventMessageStop})
}

func (b *messageBuilder) stopReason() string {
	switch {
	case b.answer.finish == engine.FinishLength:
		return anthropic.StopMaxTokens
	case b.called:
		return anthropic.StopToolUse
	case b.stop != "":
		return anthropic.StopStopSequence
	}
	return anthropic.StopEndTurn
}

// ping implements teller. Before the message has begun, clients expect no event.
func (b *messageBuilder) ping() {
	if b.begun {
		b.out.named(anthropic.EventPing, anthropic.Plain{Type: anthropic.EventPing})
	} else {
		b.out.ping()
	}
}

// fail implements teller.
func (b *messageBuilder) fail(e *openai.Error) {
	b.out.named(anthropic.EventError, b.record.form(e))
}

// usage counts the tokens so far.
func (b *messageBuilder) usage() anthropic.Usage {
	u := b.generation.usage()
	cached := 0
	if u.PromptTokensDetails != nil {
		cached = u.PromptTokensDetails.CachedTokens
	}
	return anthropic.Usage{
		InputTokens: u.PromptTokens - cached, CacheReadInputTokens: cached, OutputTokens: u.CompletionTokens,
	}
}
