package serve

import (
	"net/http"
	"strings"
)

// root serves GET /: the page to browsers, and what this is to other clients.
func (s *Server) root(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	if s.page != nil && wantsHTML(r) {
		s.within(s.page).ServeHTTP(w, r)
		return
	}
	s.reply(w, http.StatusOK, struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
		API     string `json:"api"`
	}{"hipengine", s.c.Version, "/openapi.json"})
}

// openAPI serves GET /openapi.json. The endpoints are no secret, so that it asks for no key.
func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	s.within(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(s.description) })).ServeHTTP(w, r)
}

// wantsHTML reports whether a client names HTML among what it takes, as browsers do. "*/*" is what programs send.
func wantsHTML(r *http.Request) bool {
	for _, header := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			kind, params, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "text/html") &&
				strings.ReplaceAll(params, " ", "") != "q=0" {
				return true
			}
		}
	}
	return false
}
