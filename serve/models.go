package serve

import (
	"fmt"
	"net/http"

	"github.com/hipengine/hipengine/serve/openai"
)

// model returns the model of a request. Without a name, it is the only one.
func (s *Server) model(name string) (*Model, error) {
	list := s.models.Load()
	if list == nil {
		return nil, unavailable("the model is loading")
	}
	if name == "" {
		if len(*list) == 1 {
			return &(*list)[0], nil
		}
		return nil, &openai.Error{
			Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: "model", Code: openai.CodeMissing,
			Message: fmt.Sprintf("is required: this server has %d models", len(*list)),
		}
	}
	for i := range *list {
		if m := &(*list)[i]; m.ID == name {
			return m, nil
		}
	}
	return nil, &openai.Error{
		Status: http.StatusNotFound, Type: openai.TypeInvalidRequest, Param: "model", Code: "model_not_found",
		Message: fmt.Sprintf("model %q is not here; GET /v1/models lists those that are", name),
	}
}

func (m *Model) wire() openai.Model {
	return openai.Model{ID: m.ID, Object: openai.ObjectModel, Created: m.Created.Unix(), OwnedBy: "hipengine"}
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) {
	list := openai.ModelList{Object: openai.ObjectList, Data: []openai.Model{}}
	if models := s.models.Load(); models != nil {
		for i := range *models {
			list.Data = append(list.Data, (*models)[i].wire())
		}
	}
	s.reply(w, http.StatusOK, list)
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if id == "" {
		s.notFound(w, r)
		return
	}
	m, err := s.model(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, m.wire())
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, &openai.Error{
		Status: http.StatusNotFound, Type: openai.TypeInvalidRequest, Code: "not_found",
		Message: fmt.Sprintf("there is nothing at %q", r.URL.Path),
	})
}
