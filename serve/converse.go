package serve

import (
	"context"
	"errors"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/openai"
)

// converse starts the answers to a conversation, whatever dialect asked for them. write makes what reads one of them. The
// caller must close the generation.
func (s *Server) converse(ctx context.Context, m *Model, req *openai.ChatRequest) (g *generation, write func() *answer, err error) {
	prompt, err := m.render(req)
	if err != nil {
		return nil, nil, err
	}
	write, form, err := m.writer(req, prompt)
	if err != nil {
		return nil, nil, err
	}
	prompt = m.Engine.Verbatim(recordOf(ctx).space, prompt)
	g, err = s.generate(ctx, m, req.Options, [][]int32{prompt}, form)
	return g, write, err
}

// render returns the ids of a conversation. One that the template refuses is tried once more with plain turns: clients
// put the developer's turns anywhere, and many templates have a place for one alone.
func (m *Model) render(req *openai.ChatRequest) ([]int32, error) {
	if m.Prompt == nil {
		return nil, noTemplate()
	}
	ids, err := m.Prompt(req.Messages, req.Tools, req.Kwargs)
	if errors.Is(err, ErrConversation) {
		if plain := openai.PlainTurns(req.Messages); plain != nil {
			if ids, err := m.Prompt(plain, req.Tools, req.Kwargs); err == nil {
				return ids, nil
			}
		}
	}
	return ids, err
}

// finishReason is that of chat completions.
func (a *answer) finishReason() string {
	if a.finish == engine.FinishStop && a.called {
		return "tool_calls"
	}
	return string(a.finish)
}
