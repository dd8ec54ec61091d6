package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/openai"
)

// converse starts the answers to a conversation, whatever dialect asked for them. write makes what reads one of them.
// The caller must close the generation.
func (s *Server) converse(
	ctx context.Context, m *Model, req *openai.ChatRequest,
) (g *generation, write func() *answer, err error) {
	prompt, err := s.render(m, req)
	if err != nil {
		return nil, nil, err
	}
	write, form, err := m.writer(req, prompt)
	if err != nil {
		return nil, nil, err
	}
	thoughts, err := m.thoughts(req, prompt)
	if err != nil {
		return nil, nil, err
	}
	prompt = m.Engine.Verbatim(recordOf(ctx).space, prompt)
	g, err = s.generateWithin(ctx, m, req.Options, [][]int32{prompt}, limits{form: form, thoughts: thoughts})
	return g, write, err
}

// render returns the ids of a conversation. One that the template refuses is tried once more with plain turns: clients
// put the developer's turns anywhere, and many templates have a place for one alone. Thoughts that the template opens
// although there shall be none are closed.
func (s *Server) render(m *Model, req *openai.ChatRequest) ([]int32, error) {
	s.reason(m, req)
	ids, err := apply(m.Prompt, req)
	if err != nil {
		return nil, err
	}
	end := m.closer(req, m.tail(ids))
	if end == "" {
		return ids, nil
	}
	more, err := m.Tokenizer.EncodeText(end, false, true)
	return slices.Concat(ids, more), err
}

// renderText is render for the text.
func (s *Server) renderText(m *Model, req *openai.ChatRequest) (string, error) {
	s.reason(m, req)
	text, err := apply(m.Render, req)
	return text + m.closer(req, text), err
}

// apply is as render, by means of a function of the model, which is nil if there is no template.
func apply[T any](f func(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) (T, error),
	req *openai.ChatRequest) (out T, err error) {
	if f == nil {
		return out, &openai.Error{
			Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: "model",
			Code:    openai.CodeUnsupported,
			Message: "this model has no chat template; use /v1/completions",
		}
	}
	out, err = f(req.Messages, req.Tools, req.Kwargs)
	if errors.Is(err, ErrConversation) {
		if plain := openai.PlainTurns(req.Messages); plain != nil {
			if out, err := f(plain, req.Tools, req.Kwargs); err == nil {
				return out, nil
			}
		}
	}
	return out, err
}

// finishReason is that of chat completions.
func (a *answer) finishReason() string {
	if a.finish == engine.FinishStop && a.called {
		return "tool_calls"
	}
	return string(a.finish)
}
