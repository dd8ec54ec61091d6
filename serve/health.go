package serve

import "net/http"

type health struct {
	Status string `json:"status"`
}

// live answers as long as the process serves.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	s.reply(w, http.StatusOK, health{"ok"})
}

// started answers 200 once the server got its models, and goes on to while it drains: whoever waits for a slow start
// must not take its end for a failure.
func (s *Server) started(w http.ResponseWriter, r *http.Request) {
	if s.models.get() == nil {
		s.fail(w, r, errLoading)
		return
	}
	s.reply(w, http.StatusOK, health{"ok"})
}

// ready answers 200 if requests should be sent here: the server got its models, and stays. Those of a source need not
// be loaded: what is asked for then waits until it is, so that a server which has unloaded all its idle models is as
// ready as before.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.draining.Load():
		s.fail(w, r, errDraining)
	case s.models.get() == nil:
		s.fail(w, r, errLoading)
	default:
		s.reply(w, http.StatusOK, health{"ok"})
	}
}
