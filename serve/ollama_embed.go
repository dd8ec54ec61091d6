package serve

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/ollama"
	"github.com/hipengine/hipengine/serve/openai"
)

// ollamaEmbed serves POST /api/embed.
func (s *Server) ollamaEmbed(w http.ResponseWriter, r *http.Request) {
	req, e, err := s.ollamaEmbedded(w, r, ollama.ParseEmbed)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for i, v := range e.vectors {
		if req.Dimensions > 0 {
			e.vectors[i] = v[:req.Dimensions]
		}
		engine.Normalize(e.vectors[i])
	}
	s.reply(w, http.StatusOK, ollama.Embeddings{
		Model: e.model.ID, Embeddings: e.vectors, TotalDuration: time.Since(recordOf(r.Context()).start).Nanoseconds(),
		LoadDuration: e.load.Nanoseconds(), PromptEvalCount: inputUsage(e.prompts).TotalTokens,
	})
}

// ollamaEmbeddings serves POST /api/embeddings, which does not scale vectors.
func (s *Server) ollamaEmbeddings(w http.ResponseWriter, r *http.Request) {
	_, e, err := s.ollamaEmbedded(w, r, ollama.ParseEmbeddings)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, ollama.OldEmbedding{Embedding: e.vectors[0]})
}

// ollamaEmbedded reads a request for embeddings and what it asks for.
func (s *Server) ollamaEmbedded(w http.ResponseWriter, r *http.Request,
	parse func([]byte, openai.Limits) (*ollama.Embed, error)) (*ollama.Embed, *embedded, error) {
	body, err := s.body(w, r)
	if err != nil {
		return nil, nil, err
	}
	req, err := parse(body, s.c.Limits)
	if err != nil {
		return nil, nil, err
	}
	m, release, load, err := s.ollamaModel(r, req.Model)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	e := &embedded{model: m, load: load,
		request: &openai.EmbeddingRequest{Param: req.Param, Dimensions: req.Dimensions}}
	limit := m.Engine.Limits().Context
	if req.Context > limit {
		return nil, nil, m.checkContext(req.Context, nil)
	} else if req.Context > 0 {
		limit = req.Context
	}
	for _, text := range req.Inputs {
		e.request.Inputs = append(e.request.Inputs, []openai.Prompt{{Text: text}})
		ids, err := m.embedIDs(text, limit, req.Truncate)
		if err != nil {
			return nil, nil, err
		}
		e.prompts = append(e.prompts, ids)
	}
	return req, e, e.run(r.Context(), s)
}

// embedIDs returns the ids of a text, of at most limit, to which truncate cuts the text: what stands round it stays.
func (m *Model) embedIDs(text string, limit int, truncate bool) ([]int32, error) {
	ids, err := m.Tokenizer.EncodeText(text, true, false)
	if err != nil || len(ids) <= limit {
		return ids, err
	}
	if !truncate {
		return nil, &engine.ContextLengthError{Prompt: len(ids), Limit: limit}
	}
	plain, err := m.Tokenizer.EncodeText(text, false, false)
	if err != nil {
		return nil, err
	}
	before := 0
	for before+len(plain) < len(ids) && !slices.Equal(ids[before:before+len(plain)], plain) {
		before++
	}
	after := ids[min(before+len(plain), len(ids)):]
	room := limit - before - len(after)
	if room < 1 {
		return nil, invalidField("options.num_ctx",
			fmt.Sprintf("a context of %d tokens leaves no room for a text", limit))
	}
	return slices.Concat(ids[:before+room], after), nil
}
