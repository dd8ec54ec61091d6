package serve

import (
	"net/http"
	"time"
)

// count adds an answered request to the metrics. Clients choose paths, so that requests are told apart by the pattern
// that took them.
func (s *Server) count(r *http.Request, status int, took time.Duration) {
	endpoint := r.Pattern
	if endpoint == "" || endpoint == "/" {
		endpoint = "other"
	}
	if status == 0 {
		status = statusClientGone
	}
	s.metrics.Request(endpoint, status, took)
}

// within bounds the time of the writes of a short answer.
func (s *Server) within(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		rc.SetWriteDeadline(time.Now().Add(s.c.WriteTimeout))
		next.ServeHTTP(w, r)
		rc.Flush()
		rc.SetWriteDeadline(time.Time{})
	})
}
