package serve

import (
	"maps"
	"net/http"
	"slices"

	"github.com/hipengine/hipengine/serve/openai"
)

// thinking are the variables by which templates are told of thoughts. Each knows some of them, so that one that is
// known will do.
var thinking = []string{"reasoning_effort", "enable_thinking", "thinking", "thinking_budget"}

// unread refuses variables of a chat request that change nothing with this model: its template names none of them, and
// for those about thoughts it has none. What asks for nothing, such as no thoughts, is granted.
func (s *Server) unread(m *Model, req *openai.ChatRequest) error {
	if s.c.Lenient || m.Uses == nil {
		return nil
	}
	thinks := m.Format.KnowsThoughts() || slices.ContainsFunc(thinking, m.Uses)
	for _, name := range slices.Sorted(maps.Keys(req.Kwargs)) {
		switch string(req.Kwargs[name]) {
		case "false", `"none"`, "0", "-1", "null":
			continue
		}
		known := m.Uses(name)
		switch {
		case slices.Contains(thinking, name):
			known = thinks
		case name == "add_generation_prompt", name == "continue_final_message", name == "documents":
			known = true // the prompter's
		}
		if !known {
			return &openai.Error{
				Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: name,
				Code:    openai.CodeUnsupported,
				Message: name + " changes nothing with this model: its chat template does not know it; a server with --lenient accepts it",
			}
		}
	}
	return nil
}
