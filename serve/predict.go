package serve

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"github.com/hipengine/hipengine/serve/openai"
)

// predictFormats are the endpoints that an instance of POST /predict can be for, under the names that llama.cpp's
// server gives them.
var predictFormats = map[string]string{
	"chatCompletions": "/v1/chat/completions", "completions": "/v1/completions", "embeddings": "/v1/embeddings",
	"messages": "/v1/messages", "responses": "/v1/responses", "rerank": "/v1/rerank",
}

// predict serves POST /predict, by which Vertex AI asks a container: each instance is a request of another endpoint,
// and its answer, or its error, is a prediction.
func (s *Server) predict(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	instances, err := openai.ParsePredict(body, s.c.Limits, predictFormats)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer := openai.Predictions{Predictions: make([]json.RawMessage, len(instances))}
	var wait sync.WaitGroup
	for i, in := range instances {
		wait.Go(func() { answer.Predictions[i] = s.instance(r, in) })
	}
	wait.Wait()
	s.reply(w, http.StatusOK, answer)
}

// instance answers an instance as if it had come as a request of its own.
func (s *Server) instance(r *http.Request, in openai.Instance) json.RawMessage {
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath, r.Pattern = in.Path, "", ""
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(in.Body)), int64(len(in.Body))
	out := written{header: http.Header{}}
	s.handler.ServeHTTP(&out, r)
	return out.body.Bytes()
}

// written keeps an answer.
type written struct {
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *written) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. The body tells answers from errors.
func (w *written) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (w *written) Write(b []byte) (int, error) { return w.body.Write(b) }
