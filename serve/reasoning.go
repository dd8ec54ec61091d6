package serve

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/hipengine/hipengine/serve/openai"
)

// Values of Config.Reasoning.
const (
	ReasoningOn  = "on"
	ReasoningOff = "off"
)

// checkReasoning reports a value that Config.Reasoning cannot have.
func checkReasoning(mode string) error {
	if mode != "" && mode != ReasoningOn && mode != ReasoningOff {
		return fmt.Errorf("serve: Reasoning %q is neither %s nor %s", mode, ReasoningOn, ReasoningOff)
	}
	return nil
}

// reason lets a conversation that says nothing of thoughts have what Config.Reasoning says.
func (s *Server) reason(m *Model, req *openai.ChatRequest) {
	says := func(name string) bool { return req.Kwargs[name] != nil }
	if s.c.Reasoning == "" || slices.ContainsFunc(thinking, says) {
		return
	}
	on := s.c.Reasoning == ReasoningOn
	for _, name := range []string{"enable_thinking", "thinking"} {
		if m.Uses != nil && m.Uses(name) {
			req.Kwargs[name] = json.RawMessage(strconv.FormatBool(on))
		}
	}
	if !on {
		req.Kwargs["thinking_budget"] = json.RawMessage("0")
	}
}

// closer returns the text that ends the thoughts which a prompt with this end leaves open, if there shall be none;
// else it is empty.
func (m *Model) closer(req *openai.ChatRequest, tail string) string {
	if m.Format == nil || req.Continue || !m.Format.Opens(tail) {
		return ""
	}
	if budget, bounded := req.ThinkingBudget(m.Template); !bounded || budget > 0 {
		return ""
	}
	_, closers, _ := m.Format.Thoughts()
	return closers[0]
}
