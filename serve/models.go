package serve

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/serve/openai"
)

// model returns the model of a request, which calls release when it is done. Without a name, it is the only one. It
// waits until the model is loaded.
func (s *Server) model(ctx context.Context, name string) (m *Model, release func(), err error) {
	id, err := s.resolve(name)
	if err != nil {
		return nil, nil, err
	}
	return s.acquire(ctx, id)
}

// writer is model for a request that wants text.
func (s *Server) writer(ctx context.Context, name string) (m *Model, release func(), err error) {
	if m, release, err = s.model(ctx, name); err != nil {
		return nil, nil, err
	}
	if err := m.writes(); err != nil {
		release()
		return nil, nil, err
	}
	return m, release, nil
}

// writes reports a model that writes no text.
func (m *Model) writes() error {
	if !m.Engine.Limits().Encoder {
		return nil
	}
	return &openai.Error{
		Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: "model", Code: openai.CodeUnsupported,
		Message: "this model is an encoder, which writes no text; use /v1/embeddings, or /v1/rerank if it ranks",
	}
}

// resolve returns the ID of the model that a request means by a name: itself, an alias, or, if there is only one, none
// and, with Config.AnyName, any.
func (s *Server) resolve(name string) (id string, err error) {
	source := s.models.get()
	if source == nil {
		return "", errLoading
	}
	list := source.List()
	if name == "" && len(list) != 1 {
		return "", &openai.Error{
			Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: "model", Code: openai.CodeMissing,
			Message: fmt.Sprintf("is required: this server has %d models", len(list)),
		}
	}
	if slices.ContainsFunc(list, func(m pool.Status) bool { return m.ID == name }) {
		return name, nil
	}
	if id, ok := s.c.Aliases[name]; ok {
		return id, nil
	}
	if len(list) == 1 && (name == "" || s.c.AnyName) {
		return list[0].ID, nil
	}
	return name, nil // a source may take names that it does not list
}

// acquire returns the model of an ID for one request.
func (s *Server) acquire(ctx context.Context, id string) (m *Model, release func(), err error) {
	source := s.models.get()
	if source == nil {
		return nil, nil, errLoading
	}
	start := time.Now()
	m, release, err = source.Acquire(ctx, id)
	if took := time.Since(start); took > time.Millisecond { // it had to be loaded
		recordOf(ctx).span.Part("load", start, start.Add(took))
	}
	if err == nil {
		s.details.Store(m.ID, m.Details)
	}
	return m, release, err
}

func modelNotFound(id string) *openai.Error {
	return &openai.Error{
		Status: http.StatusNotFound, Type: openai.TypeInvalidRequest, Param: "model", Code: "model_not_found",
		Message: fmt.Sprintf("model %q is not here; GET /v1/models lists those that are", id),
	}
}

func (s *Server) wireModel(m pool.Status) openai.Model {
	aliases := []string{m.ID}
	for _, name := range slices.Sorted(maps.Keys(s.c.Aliases)) {
		if s.c.Aliases[name] == m.ID {
			aliases = append(aliases, name)
		}
	}
	return openai.Model{ID: m.ID, Object: openai.ObjectModel, Created: m.Created.Unix(), OwnedBy: "hipengine",
		Aliases: aliases, Tags: append([]string{}, s.c.Tags[m.ID]...), Loaded: m.State == pool.Loaded}
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) {
	list := openai.ModelList{Object: openai.ObjectList, Data: []openai.Model{}, Models: []openai.CodexModel{}}
	for i, m := range s.list() {
		list.Data = append(list.Data, s.wireModel(m))
		list.Models = append(list.Models, openai.NewCodexModel(m.ID, m.Limits.Context, i))
	}
	s.reply(w, http.StatusOK, list)
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if id == "" {
		s.notFound(w, r)
		return
	}
	id, err := s.resolve(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for _, m := range s.list() {
		if m.ID == id {
			s.reply(w, http.StatusOK, s.wireModel(m))
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
