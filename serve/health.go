package serve

import "net/http"

type health struct {
	Status string `json:"status"`
}

// live answers as long as the process serves.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	s.reply(w, http.StatusOK, health{"ok"})
}

// ready answers 200 if requests should be sent here.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.draining.Load():
		s.fail(w, r, unavailable(errShutdown.Error()))
	case s.models.Load() == nil:
		s.fail(w, r, unavailable("the model is loading"))
	default:
		s.reply(w, http.StatusOK, health{"ok"})
	}
}
