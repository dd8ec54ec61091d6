package serve

import "net/http"

// agentRoutes are the endpoints of the dialects that agents speak beside chat completions.
func (s *Server) agentRoutes() map[string]http.Handler {
	return map[string]http.Handler{
		"/v1/messages":              anthropicErrors(method(http.MethodPost, s.guard(s.messages))),
		"/v1/messages/count_tokens": anthropicErrors(method(http.MethodPost, s.guard(s.countTokens))),
		"/v1/responses":             method(http.MethodPost, s.guard(s.responses)),
		"/v1/responses/{id}": byMethod(map[string]http.Handler{
			http.MethodGet: s.guard(s.getResponse), http.MethodDelete: s.guard(s.deleteResponse),
		}),
		"/v1/responses/{id}/input_items": method(http.MethodGet, s.guard(s.listItems)),
		"/v1/responses/input_tokens":     method(http.MethodPost, s.guard(s.inputTokens)),
	}
}
