package serve

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/serve/openai"
)

// model returns the model of a request, which calls release when it is done. Without a name, it is the only one. It
// waits until the model is loaded.
func (s *Server) model(ctx context.Context, name string) (m *Model, release func(), err error) {
	source := s.models.get()
	if source == nil {
		return nil, nil, unavailable("the model is loading")
	}
	if name == "" {
		list := source.List()
		if len(list) != 1 {
			return nil, nil, &openai.Error{
				Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: "model", Code: openai.CodeMissing,
				Message: fmt.Sprintf("is required: this server has %d models", len(list)),
			}
		}
		name = list[0].ID
	}
	start := time.Now()
	m, release, err = source.Acquire(ctx, name)
	if took := time.Since(start); took > time.Millisecond { // it had to be loaded
		recordOf(ctx).span.Part("load", start, start.Add(took))
	}
	return m, release, err
}

func modelNotFound(id string) *openai.Error {
	return &openai.Error{
		Status: http.StatusNotFound, Type: openai.TypeInvalidRequest, Param: "model", Code: "model_not_found",
		Message: fmt.Sprintf("model %q is not here; GET /v1/models lists those that are", id),
	}
}

func wireModel(m pool.Status) openai.Model {
	return openai.Model{ID: m.ID, Object: openai.ObjectModel, Created: m.Created.Unix(), OwnedBy: "hipengine",
		Loaded: m.State == pool.Loaded}
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) {
	list := openai.ModelList{Object: openai.ObjectList, Data: []openai.Model{}}
	for _, m := range s.list() {
		list.Data = append(list.Data, wireModel(m))
	}
	s.reply(w, http.StatusOK, list)
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if id == "" {
		s.notFound(w, r)
		return
	}
	if s.models.get() == nil {
		s.fail(w, r, unavailable("the model is loading"))
		return
	}
	for _, m := range s.list() {
		if m.ID == id {
			s.reply(w, http.StatusOK, wireModel(m))
			return
		}
	}
	s.fail(w, r, modelNotFound(id))
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, &openai.Error{
		Status: http.StatusNotFound, Type: openai.TypeInvalidRequest, Code: "not_found",
		Message: fmt.Sprintf("there is nothing at %q", r.URL.Path),
	})
}
