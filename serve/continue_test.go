package serve

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/fake"
)

// TestContinueFinalMessage says to templates where a prompt ends, and answers with what comes then.
func TestContinueFinalMessage(t *testing.T) {
	var seen map[string]json.RawMessage
	s := open(t, &fake.Runner{Reply: " <think> of Paris."}, func(c *Config) {
		withFormat(t, "hermes")(c)
		c.Models[0].Prompt = func(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32,
			error) {
			seen = kwargs
			return prompt(messages, tools, kwargs)
		}
	})
	begun := `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"I"}],"temperature":0`
	for _, c := range []struct{ members, goesOn, starts, want string }{
		{"", "", "", `"content":"of Paris."`}, // thoughts, which never end
		{`,"add_generation_prompt":true`, "", "true", ``},
		{`,"add_generation_prompt":false`, "", "false", ``},
		{`,"continue_final_message":true`, "true", "false", `"content":" <think> of Paris."`},
		{`,"continue_final_message":true,"add_generation_prompt":false`, "true", "false",
			`"content":" <think> of Paris."`},
		{`,"continue_final_message":true,` + oneTool, "true", "false", `"content":" <think> of Paris."`},
		{`,"continue_final_message":false`, "", "", ``},
	} {
		status, _, body := s.call(t, "POST", "/v1/chat/completions", begun+c.members+"}")
		if status != 200 || string(seen["continue_final_message"]) != c.goesOn ||
			string(seen["add_generation_prompt"]) != c.starts {
			t.Errorf("%s: %d %s with %s", c.members, status, body, seen)
		}
		if want := strings.Replace(c.want, `"content":"of`, `"reasoning_content":"of`, 1); !strings.Contains(body,
			want) {
			t.Errorf("%s: %s, want %s", c.members, body, want)
		}
	}
}

// TestAllowedTools holds calls to the tools of the choice, which all stay in the prompt.
func TestAllowedTools(t *testing.T) {
	var tools string
	s := open(t, &fake.Runner{}, func(c *Config) {
		withFormat(t, "hermes")(c)
		c.Models[0].Prompt = func(messages, list json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error) {
			tools = string(list)
			return prompt(messages, list, kwargs)
		}
	})
	two := `"tools":[{"type":"function","function":{"name":"add"}},{"type":"function","function":{"name":"sub"}}]`
	for seed := range 8 {
		_, _, body := s.call(t, "POST", "/v1/chat/completions", hi+`,"temperature":5,"seed":`+string(rune('0'+seed))+
			`,"parallel_tool_calls":false,`+two+
			`,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"sub"}}]}}}`)
		if !strings.Contains(body, `"name":"sub"`) || strings.Contains(body, `"name":"add"`) ||
			!strings.Contains(tools, `"add"`) {
			t.Errorf("%s with %s", body, tools)
		}
	}
}

// TestAPIKeyHeaders takes a key in either header, of every dialect.
func TestAPIKeyHeaders(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x"}, func(c *Config) { c.APIKeys, c.AdminKeys = []string{"k"}, []string{"a"} })
	for _, c := range []struct {
		path, body string
		headers    []string
		status     int
	}{
		{"/v1/chat/completions", hi + "}", []string{"X-Api-Key", "k"}, 200},
		{"/v1/responses", `{"input":"x"}`, []string{"X-Api-Key", "k"}, 200},
		{"/v1/messages", ask + "}", []string{"Authorization", "Bearer k"}, 200},
		{"/v1/messages", ask + "}", []string{"X-Api-Key", "k", "Authorization", "Bearer none"}, 200},
		{"/v1/messages", ask + "}", []string{"X-Api-Key", "none", "Authorization", "Bearer k"}, 200},
		{"/v1/messages", ask + "}", []string{"X-Api-Key", "none"}, 401},
		{"/v1/messages", ask + "}", nil, 401},
		{"/admin/drain", "", []string{"X-Api-Key", "k"}, 401},
		{"/admin/drain", "", []string{"X-Api-Key", "a"}, 200},
	} {
		if status, _, body := s.call(t, "POST", c.path, c.body, c.headers...); status != c.status {
			t.Errorf("%s with %v: %d %s", c.path, c.headers, status, body)
		}
	}
}
