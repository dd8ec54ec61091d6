package serve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/openai"
)

// maxNumbers bounds the numbers of an answer, which are some ten bytes each.
const maxNumbers = 1 << 24

// embeddingRoutes are the endpoints for embeddings and ranking.
func (s *Server) embeddingRoutes() map[string]http.Handler {
	post := func(h http.HandlerFunc) http.Handler { return method(http.MethodPost, s.guard(h)) }
	return map[string]http.Handler{
		"/v1/embeddings": post(s.embeddings),
		"/embedding":     post(s.nativeEmbeddings),
		"/embeddings":    post(s.nativeEmbeddings),
		"/v1/rerank":     post(s.rerank),
		"/v1/reranking":  post(s.rerank),
		"/v2/rerank":     post(s.rerank),
	}
}

// embeddings serves POST /v1/embeddings.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) {
	e, err := s.embed(w, r, openai.ParseEmbedding)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer := openai.EmbeddingList{Object: openai.ObjectList, Model: e.model.ID, Usage: inputUsage(e.prompts)}
	for i, v := range e.vectors {
		if d := e.request.Dimensions; d > 0 {
			v = v[:d]
		}
		normalize(v, e.request.Norm)
		answer.Data = append(answer.Data, openai.Embedding{Object: openai.ObjectEmbedding, Index: i,
			Embedding: openai.Vector{Numbers: v, Base64: e.request.Base64}})
	}
	s.reply(w, http.StatusOK, answer)
}

// nativeEmbeddings serves POST /embedding in llama.cpp's form. With pooling none, the states of tokens come as they
// are.
func (s *Server) nativeEmbeddings(w http.ResponseWriter, r *http.Request) {
	e, err := s.embed(w, r, openai.ParseNativeEmbedding)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer := make([]openai.NativeEmbedding, len(e.vectors))
	for i, v := range e.vectors {
		if e.model.Pooling != engine.PoolNone {
			normalize(v, e.request.Norm)
		}
		answer[i].Index = i
		for width := e.model.Engine.Limits().Embd; len(v) > 0; v = v[width:] {
			vector := openai.Vector{Numbers: v[:width:width], Base64: e.request.Base64}
			answer[i].Embedding = append(answer[i].Embedding, vector)
		}
	}
	s.reply(w, http.StatusOK, answer)
}

// embedded is what a request for embeddings came to.
type embedded struct {
	request *openai.EmbeddingRequest
	model   *Model
	prompts [][]int32
	vectors [][]float32   // for each prompt; as the engine returns them
	load    time.Duration // that the model took to be there
}

// embed reads a request for embeddings and what it asks for.
func (s *Server) embed(w http.ResponseWriter, r *http.Request,
	parse func([]byte, openai.Limits) (*openai.EmbeddingRequest, error)) (*embedded, error) {
	body, err := s.body(w, r)
	if err != nil {
		return nil, err
	}
	e := &embedded{}
	if e.request, err = parse(body, s.c.Limits); err != nil {
		return nil, err
	}
	var release func()
	if e.model, release, err = s.model(r.Context(), e.request.Model); err != nil {
		return nil, err
	}
	defer release()
	for _, in := range e.request.Inputs {
		ids, err := e.model.encode(in, true, false)
		if err != nil {
			return nil, err
		}
		e.prompts = append(e.prompts, ids)
	}
	return e, e.run(r.Context(), s)
}

// run makes the vectors of the prompts.
func (e *embedded) run(ctx context.Context, s *Server) error {
	if err := e.check(); err != nil {
		return err
	}
	for i, ids := range e.prompts {
		if len(ids) == 0 {
			return invalidField(e.param(i), "is empty: there is no token to embed")
		}
	}
	if err := e.model.checkIDs(e.request.Param, e.prompts...); err != nil {
		return err
	}
	rows := len(e.prompts)
	if e.model.Pooling == engine.PoolNone {
		rows = inputUsage(e.prompts).TotalTokens
	}
	if most := maxNumbers / e.model.Engine.Limits().Embd; rows > most {
		return invalidField(e.request.Param,
			fmt.Sprintf("asks for %d vectors, at most %d of this model go into one answer", rows, most))
	}
	var err error
	e.vectors, err = s.hidden(ctx, e.model, e.prompts, e.model.Pooling)
	var length *engine.ContextLengthError
	if errors.As(err, &length) { // in words that clients of llama.cpp's look for
		return &openai.Error{Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest,
			Code: "context_length_exceeded", PromptTokens: length.Prompt, ContextTokens: length.Limit,
			Message: fmt.Sprintf("the input of %d tokens is too large for the context of %d tokens", length.Prompt,
				length.Limit)}
	}
	return err
}

// check reports what the model cannot do of a request.
func (e *embedded) check() error {
	if !e.request.Native && e.model.Pooling == engine.PoolNone {
		return &openai.Error{
			Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: "model",
			Code: openai.CodeUnsupported,
			Message: "this model is served with pooling none, which gives no single vector of a text; " +
				"POST /embedding returns those of its tokens",
		}
	}
	if most := e.model.Engine.Limits().Embd; e.request.Dimensions > most {
		return invalidField("dimensions",
			fmt.Sprintf("must be from 1 to %d, what this model has, not %d", most, e.request.Dimensions))
	}
	return nil
}

// param names an input of the request.
func (e *embedded) param(i int) string {
	if len(e.request.Inputs) == 1 {
		return e.request.Param
	}
	return fmt.Sprintf("%s[%d]", e.request.Param, i)
}

// hidden returns the pooled hidden states of prompts.
func (s *Server) hidden(ctx context.Context, m *Model, prompts [][]int32, p engine.Pooling) ([][]float32, error) {
	requests := make([]engine.EmbedRequest, len(prompts))
	for i, ids := range prompts {
		requests[i] = engine.EmbedRequest{Prompt: ids, Pooling: p}
	}
	return s.embedAll(ctx, m, requests)
}

// embedAll returns what requests ask for, which it lets the server observe.
func (s *Server) embedAll(ctx context.Context, m *Model, requests []engine.EmbedRequest) ([][]float32, error) {
	rec := recordOf(ctx)
	rec.model = m.ID
	for i := range requests {
		rec.prompt += len(requests[i].Prompt)
		requests[i].Observer = rec.span.Sequence(i, s.metrics.Sequence(m.ID, rec.start))
	}
	return m.Engine.EmbedAll(ctx, requests)
}

// inputUsage counts the tokens of prompts.
func inputUsage(prompts [][]int32) openai.InputUsage {
	n := 0
	for _, p := range prompts {
		n += len(p)
	}
	return openai.InputUsage{PromptTokens: n, TotalTokens: n}
}

// invalidField is the client's error of a field's value.
func invalidField(param, message string) error {
	return &openai.Error{
		Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: param, Code: openai.CodeValue,
		Message: message,
	}
}

// normalize scales a vector, in place, as llama.cpp's embd_normalize says: 2 to length 1, 1 and more than 2 to length
// 1 by that power's norm, 0 so that the largest number is 32760, and -1 not at all. One of zeros stays as it is.
func normalize(v []float32, norm int) {
	var size float64
	switch norm {
	case -1:
		return
	case 2:
		engine.Normalize(v)
		return
	case 0:
		for _, x := range v {
			size = max(size, math.Abs(float64(x)))
		}
		size /= 32760
	default:
		for _, x := range v {
			size += math.Pow(math.Abs(float64(x)), float64(norm))
		}
		size = math.Pow(size, 1/float64(norm))
	}
	if size == 0 {
		return
	}
	for i, x := range v {
		v[i] = float32(float64(x) / size)
	}
}
