package serve

import "net/http"

// agentRoutes are the endpoints of the dialects that agents speak beside chat completions.
func (s *Server) agentRoutes() map[string]http.Handler {
	return map[string]http.Handler{
		"/v1/messages":              anthropicErrors(method(http.MethodPost, s.guard(s.messages))),
		"/v1/messages/count_tokens": anthropicErrors(method(http.MethodPost, s.guard(s.countTokens))),
	}
}
