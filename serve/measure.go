package serve

import (
	"net/http"
	"time"
)

// count adds an answered request to the metrics.
func (s *Server) count(r *http.Request, out *responseWriter, took time.Duration) {
	s.metrics.Request(endpoint(r), status(out), took)
}

// endpoint returns the pattern that took a request. Clients choose paths, so that requests are not told apart by
// these.
func endpoint(r *http.Request) string {
	if r.Pattern == "" || r.Pattern == "/" {
		return "other"
	}
	return r.Pattern
}

// status returns the status of an answer; of none, that of a client which has gone.
func status(out *responseWriter) int {
	if out.status == 0 {
		return statusClientGone
	}
	return out.status
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
