package anthropic

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/serve/openai"
)

// read parses a request of one message, with further members.
func read(t *testing.T, members string) *Request {
	t.Helper()
	q, err := Parse([]byte(`{"max_tokens":100,"messages":[{"role":"user","content":"hi"}],`+members+`}`),
		openai.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	return q
}

// TestFields expects of each field what it becomes.
func TestFields(t *testing.T) {
	const tool = `"tools":[{"type":"custom","name":"f","description":"d","input_schema":{"z":1,"a":2},"strict":true,` +
		`"cache_control":{"type":"ephemeral"},"eager_input_streaming":true},{"type":"web_fetch_20250910","name":"web_fetch"}]`
	thinking := func(q *Request) any {
		return fmt.Sprintf("%s %s %s", q.Kwargs["enable_thinking"], q.Kwargs["thinking"], q.Kwargs["thinking_budget"])
	}
	for _, c := range []struct {
		members string
		get     func(*Request) any
		want    string
	}{
		{`"model":"m"`, func(q *Request) any { return q.Model }, "m"},
		{`"stream":true`, func(q *Request) any { return q.Stream }, "true"},
		{`"max_output_tokens":100`, func(q *Request) any { return q.MaxTokens }, "100"},
		{`"stop_sequences":["a","b"]`, func(q *Request) any { return q.Stop }, "[a b]"},
		{`"temperature":0.5`, func(q *Request) any { return *q.Sampling.Temperature }, "0.5"},
		{`"top_k":7,"top_p":0.25`, func(q *Request) any { return fmt.Sprint(*q.Sampling.TopK, *q.Sampling.TopP) },
			"7 0.25"},
		{`"metadata":null`, thinking, "false false "},
		{`"thinking":{"type":"disabled"}`, thinking, "false false "},
		{`"thinking":{"type":"adaptive"}`, thinking, "true true "},
		{`"thinking":{"type":"enabled","budget_tokens":99}`, thinking, "true true 99"},
		{`"thinking":{"type":"adaptive","display":"omitted"}`, func(q *Request) any { return q.OmitThinking }, "true"},
		{`"thinking":{"type":"adaptive","display":"summarized"}`, func(q *Request) any { return q.OmitThinking },
			"false"},
		{`"output_config":{"effort":"high"}`, func(q *Request) any { return string(q.Kwargs["reasoning_effort"]) },
			`"high"`},
		{`"output_config":{"format":{"type":"json_schema","schema":{"type":"null"}}}`,
			func(q *Request) any { return q.Form.JSONSchema + " " + q.Form.Param },
			`{"type":"null"} output_config.format.schema`},
		{tool, func(q *Request) any { return string(q.Tools) },
			`[{"type":"function","function":{"name":"f","description":"d","parameters":{"z":1,"a":2},"strict":true}}]`},
		{tool + `,"tool_choice":{"type":"auto"}`, func(q *Request) any { return fmt.Sprint(q.ToolChoice, q.OneCall) },
			"{false []} false"},
		{tool + `,"tool_choice":{"type":"any","disable_parallel_tool_use":true}`,
			func(q *Request) any { return fmt.Sprint(q.ToolChoice, q.OneCall) }, "{true []} true"},
		{tool + `,"tool_choice":{"type":"tool","name":"f"}`, func(q *Request) any { return q.ToolChoice },
			"{true [f]}"},
		{tool + `,"tool_choice":{"type":"none"}`, func(q *Request) any { return q.Tools == nil }, "true"},
		{`"tools":[]`, func(q *Request) any { return q.Tools == nil }, "true"},
	} {
		if got := fmt.Sprint(c.get(read(t, c.members))); got != c.want {
			t.Errorf("%s: %s, want %s", c.members, got, c.want)
		}
	}
}

// TestConversations expects the messages that templates see.
func TestConversations(t *testing.T) {
	for _, c := range []struct{ name, members, want string }{
		{"text", `"messages":[{"role":"user","content":"x"}]`, `[{"role":"user","content":"x"}]`},
		{"system", `"system":"s","messages":[{"role":"user","content":"x"}]`,
			`[{"role":"system","content":"s"},{"role":"user","content":"x"}]`},
		{"blocks", `"system":[{"type":"text","text":"a"},{"type":"text","text":"b","citations":null}],
			"messages":[{"role":"user","content":[{"type":"text","text":"c","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":"d"}]}]`,
			`[{"role":"system","content":"a\nb"},{"role":"user","content":"c\nd"}]`},
		{"billing block", `"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1; cch=9f;"},{"type":"text","text":"s"}],
			"messages":[{"role":"user","content":"x"}]`, `[{"role":"system","content":"s"},{"role":"user","content":"x"}]`},
		{"billing line", `"system":"x-anthropic-billing-header: cch=9f\ns","messages":[{"role":"user","content":"x"}]`,
			`[{"role":"system","content":"s"},{"role":"user","content":"x"}]`},
		{"billing alone", `"system":"x-anthropic-billing-header: cch=9f","messages":[{"role":"user","content":"x"}]`,
			`[{"role":"user","content":"x"}]`},
		{"billing behind", `"system":[{"type":"text","text":"s"},{"type":"text","text":"x-anthropic-billing-header"}],"messages":[{"role":"user","content":"x"}]`,
			`[{"role":"system","content":"s\nx-anthropic-billing-header"},{"role":"user","content":"x"}]`},
		{"calls", `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[
			{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"redacted_thinking","data":"?"},{"type":"text","text":"t"},
			{"type":"tool_use","id":"1","name":"f","input":{"z":1,"a":[2]},"caller":{"type":"direct"}},{"type":"tool_use","id":"2","name":"g","input":{}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"one"},
			{"type":"tool_result","tool_use_id":"2","is_error":true,"content":[{"type":"text","text":"two"},{"type":"text","text":"three"}]},{"type":"text","text":"go on"}]}]`,
			`[{"role":"user","content":"x"},{"role":"assistant","content":"t","reasoning_content":"hm","tool_calls":[` +
				`{"id":"1","type":"function","function":{"name":"f","arguments":{"z":1,"a":[2]}}},{"id":"2","type":"function","function":{"name":"g","arguments":{}}}]},` +
				`{"role":"tool","content":"one","name":"f","tool_call_id":"1"},{"role":"tool","content":"Error: two\nthree","name":"g","tool_call_id":"2"},` +
				`{"role":"user","content":"go on"}]`},
		{"no result", `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"1"}]}]`,
			`[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":{}}}]},` +
				`{"role":"tool","content":"","name":"f","tool_call_id":"1"}]`},
		{"begun", `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"text","text":"It is"}]}]`,
			`[{"role":"user","content":"x"},{"role":"assistant","content":"It is"}]`},
		{"begun with nothing", `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":""}]`,
			`[{"role":"user","content":"x"}]`},
	} {
		q, err := Parse([]byte(`{"max_tokens":9,`+c.members+`}`), openai.Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if string(q.Messages) != c.want || q.Continue != (c.name == "begun") {
			t.Errorf("%s: got  %s\nwant %s", c.name, q.Messages, c.want)
		}
	}
}

// fieldErrors are requests with the path of the field and a part of the message.
var fieldErrors = []struct{ body, param, say string }{
	{`{"max_tokens":9}`, "messages", "required"},
	{`{"messages":[{"role":"user","content":"x"}]}`, "max_tokens", "required"},
	{`{"max_tokens":0,"messages":[{"role":"user","content":"x"}]}`, "max_tokens", "from 1"},
	{`{"max_tokens":9,"messages":[]}`, "messages", "empty"},
	{`{"max_tokens":9,"messages":{}}`, "messages", "an array"},
	{`{"max_tokens":9,"messages":[7]}`, "messages[0]", "an object"},
	{`{"max_tokens":9,"messages":[{"content":"x"}]}`, "messages[0].role", "required"},
	{`{"max_tokens":9,"messages":[{"role":"tool","content":"x"}]}`, "messages[0].role", "user or assistant"},
	{`{"max_tokens":9,"messages":[{"role":"user"}]}`, "messages[0].content", "required"},
	{`{"max_tokens":9,"messages":[{"role":"user","content":[]}]}`, "messages[0].content", "empty"},
	{`{"max_tokens":9,"messages":[{"role":"user","content":"x","name":"n"}]}`, "messages[0].name", "unknown"},
	{`{"max_tokens":9,"messages":[{"role":"user","content":[{"text":"x"}]}]}`, "messages[0].content[0].type",
		"required"},
	{`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"text"}]}]}`, "messages[0].content[0].text",
		"required"},
	{`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"image","source":{}}]}]}`,
		"messages[0].content[0].type", "images"},
	{`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{}}]}]}`,
		"messages[0].content[0].type", "documents"},
	{`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"thinking","thinking":""}]}]}`,
		"messages[0].content[0].type", "in this role"},
	{`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"7"}]}]}`,
		"messages[0].content[0].tool_use_id", `"7"`},
	{`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result"}]}]}`,
		"messages[0].content[0].tool_use_id", "required"},
	{`{"max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f"}]}]}`,
		"messages[0].content[0].input", "required"},
	{`{"max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":"{}"}]}]}`, "messages[0].content[0].input", "an object"},
	{`{"max_tokens":9,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"a "}]}`, "messages[1]",
		"white space"},
	{`{"max_tokens":9,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{}}]}]}`, "messages[1]", "without calls"},
}

// memberErrors are members beside a valid request.
var memberErrors = []struct{ members, param, say string }{
	{`"nothing":1`, "nothing", "unknown field"},
	{`"thread":{"type":"continue"}`, "thread", "keeps no conversations"},
	{`"temperature":6`, "temperature", "from 0 to 5"},
	{`"top_p":2`, "top_p", "from 0 to 1"},
	{`"top_k":-2`, "top_k", "from -1"},
	{`"stop_sequences":[""]`, "stop_sequences[0]", "empty"},
	{`"stop_sequences":["` + strings.Repeat("x", 300) + `"]`, "stop_sequences[0]", "at most 256"},
	{`"max_completion_tokens":7`, "max_tokens", "max_completion_tokens"},
	{`"stream":1`, "stream", "a boolean"},
	{`"model":7`, "model", "a string"},
	{`"system":7`, "system", "an array"},
	{`"system":[{"type":"image"}]`, "system[0].type", "images"},
	{`"system":[{"type":"tool_use"}]`, "system[0].type", "in this role"},
	{`"thinking":{}`, "thinking.type", "required"},
	{`"thinking":{"type":"on"}`, "thinking.type", "enabled or adaptive or disabled"},
	{`"thinking":{"type":"enabled"}`, "thinking.budget_tokens", "required"},
	{`"thinking":{"type":"enabled","budget_tokens":0}`, "thinking.budget_tokens", "from 1"},
	{`"thinking":{"type":"enabled","budget_tokens":100}`, "thinking.budget_tokens",
		"less than max_tokens, which is 100"},
	{`"thinking":{"type":"adaptive","budget_tokens":9}`, "thinking.budget_tokens", "unknown"},
	{`"thinking":{"type":"adaptive","display":"all"}`, "thinking.display", "summarized or omitted"},
	{`"output_config":{"effort":"huge"}`, "output_config.effort", "low"},
	{`"output_config":{"format":{"type":"text"}}`, "output_config.format.type", "json_schema"},
	{`"output_config":{"format":{"type":"json_schema"}}`, "output_config.format.schema", "required"},
	{`"output_config":{"task_budget":1}`, "output_config.task_budget", "unknown"},
	{`"output_config":{"format":{"type":"json_schema","schema":{}}},"output_format":{"type":"json_schema","schema":{}}`, "output_format", "another name"},
	{`"tools":[{"name":"f"}]`, "tools[0].input_schema", "required"},
	{`"tools":[{"input_schema":{}}]`, "tools[0].name", "required"},
	{`"tools":[{"name":"a b","input_schema":{}}]`, "tools[0].name", "letters"},
	{`"tools":[{"name":"f","input_schema":[]}]`, "tools[0].input_schema", "an object"},
	{`"tools":[{"name":"f","input_schema":{},"color":1}]`, "tools[0].color", "unknown"},
	{`"tools":[{"type":"bash_20250124","name":"bash"}]`, "tools[0].type", "input_schema"},
	{`"tool_choice":{"type":"any"}`, "tool_choice", "no tools"},
	{`"tool_choice":{"type":"all"}`, "tool_choice.type", "auto"},
	{`"tool_choice":"auto"`, "tool_choice", "an object"},
	{`"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"tool","name":"g"}`, "tool_choice.name", `"g"`},
	{`"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"tool"}`, "tool_choice.name", "required"},
	{`"mcp_servers":[{"url":"x"}]`, "mcp_servers", "not offered"},
	{`"container":"c"`, "container", "not offered"},
}

func TestErrors(t *testing.T) {
	for _, c := range memberErrors {
		c.members = `{"max_tokens":100,"messages":[{"role":"user","content":"hi"}],` + c.members + `}`
		fieldErrors = append(fieldErrors, struct{ body, param, say string }{c.members, c.param, c.say})
	}
	thinks := `{"max_tokens":9,"thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"a"}]}`
	forced := `{"max_tokens":9,"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"any"},` +
		`"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"a"}]}`
	fieldErrors = append(fieldErrors, struct{ body, param, say string }{thinks, "messages[1]", "thinking"},
		struct{ body, param, say string }{forced, "messages[1]", "tool_choice"})
	for _, c := range fieldErrors {
		_, err := Parse([]byte(c.body), openai.Limits{})
		var e *openai.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Param != c.param || !strings.Contains(e.Message, c.say) {
			t.Errorf("%s: %v, want %q and %q", c.body, err, c.param, c.say)
		}
	}
}

// FuzzParse looks for requests that panic, or that become what no template takes.
func FuzzParse(f *testing.F) {
	for _, c := range fieldErrors {
		f.Add([]byte(c.body))
	}
	for _, c := range memberErrors {
		f.Add([]byte(`{"max_tokens":100,"messages":[{"role":"user","content":"hi"}],` + c.members + `}`))
	}
	f.Add([]byte(`{"max_tokens":9,"system":[{"type":"text","text":"a"}],"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[` +
		`{"type":"thinking","thinking":"hm"},{"type":"tool_use","id":"1","name":"f","input":{"a":1}}]},{"role":"user","content":[` +
		`{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"r"}]}]},{"role":"assistant","content":"So"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := Parse(body, openai.Limits{})
		if err != nil {
			var e *openai.Error
			if !errors.As(err, &e) || e.Status < 400 || e.Status >= 500 {
				t.Fatalf("error %v", err)
			}
			return
		}
		var list []openai.Message
		if err := json.Unmarshal(q.Messages, &list); err != nil || len(list) == 0 || q.MaxTokens < 1 {
			t.Fatalf("%s: %v", q.Messages, err)
		}
		if last := list[len(list)-1]; q.Continue && (last.Role != "assistant" || *last.Content == "") {
			t.Fatalf("it goes on with %+v", last)
		}
	})
}
