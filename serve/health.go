package serve

import "net/http"

type health struct {
	Status string `json:"status"`
}

// live answers as long as the process serves.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	s.reply(w, http.StatusOK, health{"ok"})
}

// started answers 200 once the models were loaded for the first time, and goes on to while the server drains: whoever
// waits for a slow start must not take its end for a failure.
func (s *Server) started(w http.ResponseWriter, r *http.Request) {
	if s.models.Load() == nil {
		s.fail(w, r, unavailable("the model is loading"))
		return
	}
	s.reply(w, http.StatusOK, health{"ok"})
}

// ready answers 200 if requests should be sent here: the models are loaded and proven, and the server stays.
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
