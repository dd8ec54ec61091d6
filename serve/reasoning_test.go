package serve

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/text/toolcall"
)

// TestReasoning asks templates with and without a variable for thoughts, which both open by themselves.
func TestReasoning(t *testing.T) {
	hermes, err := toolcall.ByName("hermes")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, mode string
		knows      bool // the template knows enable_thinking
		members    string
		want       string // the prompt
	}{
		{name: "auto", want: "<think>\n"},
		{name: "on", mode: ReasoningOn, want: "<think>\n"},
		{name: "on, known", mode: ReasoningOn, knows: true, want: "enable_thinking=true <think>\n"},
		{name: "off", mode: ReasoningOff, want: "<think>\n</think>"},
		{name: "off, known", mode: ReasoningOff, knows: true, want: "enable_thinking=false <think>\n</think>"},
		{name: "off, but asked for", mode: ReasoningOff, knows: true,
			members: `,"chat_template_kwargs":{"enable_thinking":true}`, want: "enable_thinking=true <think>\n"},
		{name: "off, but so many", mode: ReasoningOff, members: `,"thinking_budget":9`, want: "<think>\n"},
		{name: "none by request", members: `,"thinking_budget":0`, want: "<think>\n</think>"},
	} {
		s := open(t, &fake.Runner{Reply: "\n\nyes"}, func(config *Config) {
			config.Reasoning = c.mode
			m := &config.Models[0]
			m.Format, m.Uses = hermes, func(name string) bool { return c.knows && name == "enable_thinking" }
			m.Render = func(_, _ json.RawMessage, kwargs map[string]json.RawMessage) (string, error) {
				text := ""
				if c.knows {
					text = "enable_thinking=" + string(kwargs["enable_thinking"]) + " "
				}
				return text + "<think>\n", nil
			}
			m.Prompt = func(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error) {
				text, err := m.Render(messages, tools, kwargs)
				return fake.Tokenizer{}.Encode(text), err
			}
		})
		status, _, body := s.call(t, "POST", "/apply-template", hi+c.members+"}")
		var a struct{ Prompt string }
		if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 || a.Prompt != c.want {
			t.Errorf("%s: %d %q, want %q", c.name, status, a.Prompt, c.want)
		}
		_, _, body = s.call(t, "POST", "/v1/chat/completions/input_tokens", hi+c.members+"}")
		var n struct {
			Tokens int `json:"input_tokens"`
		}
		if err := json.Unmarshal([]byte(body), &n); err != nil || n.Tokens != len(c.want) {
			t.Errorf("%s: %s, want %d tokens", c.name, body, len(c.want))
		}
		thoughts, text, _, _, _ := thoughtAnswer(t, s, strings.TrimPrefix(c.members+`,"max_tokens":5`, ","))
		if open := !strings.Contains(c.want, "</think>"); open && (thoughts != "yes" || text != "") ||
			!open && (thoughts != "" || text != "yes") {
			t.Errorf("%s: thoughts %q and text %q", c.name, thoughts, text)
		}
	}
	if _, err := New(Config{Reasoning: "some"}); err == nil {
		t.Error("no error")
	}
}
