package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// respond parses a request and sets its messages.
func respond(t *testing.T, members string) *ResponseRequest {
	t.Helper()
	q, err := ParseResponse([]byte(`{`+members+`}`), Limits{})
	if err == nil {
		err = q.Converse(nil)
	}
	if err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	return q
}

const (
	customTool   = `{"type":"custom","name":"edit","description":"d","format":{"type":"grammar","syntax":"lark","definition":"start: \"x\""}}`
	responseTool = `{"type":"function","name":"f","description":"d","parameters":{"z":1,"a":2},"strict":true}`
)

// TestResponseFields expects of each field what it becomes.
func TestResponseFields(t *testing.T) {
	known := func(q *ResponseRequest) any { return fmt.Sprint(q.Known) }
	for _, c := range []struct {
		members string
		get     func(*ResponseRequest) any
		want    string
	}{
		{`"model":"m"`, func(q *ResponseRequest) any { return q.Model }, "m"},
		{`"stream":true,"stream_options":{"include_obfuscation":false}`,
			func(q *ResponseRequest) any { return q.Stream }, "true"},
		{`"max_output_tokens":1`, func(q *ResponseRequest) any { return q.MaxTokens }, "1"},
		{`"max_completion_tokens":7,"max_tokens":7`, func(q *ResponseRequest) any { return q.MaxTokens }, "7"},
		{`"instructions":"i"`, func(q *ResponseRequest) any { return *q.Instructions }, "i"},
		{`"previous_response_id":"r"`, func(q *ResponseRequest) any { return q.PreviousID }, "r"},
		{`"store":false`, func(q *ResponseRequest) any { return q.Store }, "false"},
		{`"store":null`, func(q *ResponseRequest) any { return q.Store }, "true"},
		{`"metadata":{"a":"b"}`, func(q *ResponseRequest) any { return string(q.Echo.Metadata) }, `{"a":"b"}`},
		{`"temperature":0.5,"top_p":0.25,"seed":7`, func(q *ResponseRequest) any {
			return fmt.Sprint(*q.Sampling.Temperature, *q.Sampling.TopP, *q.Sampling.Seed)
		}, "0.5 0.25 7"},
		{`"stop":["a"]`, func(q *ResponseRequest) any { return q.Stop }, "[a]"},
		{`"top_logprobs":3`, func(q *ResponseRequest) any { return fmt.Sprint(q.Logprobs, q.TopLogprobs) }, "true 3"},
		{`"top_logprobs":0`, func(q *ResponseRequest) any { return q.Logprobs }, "false"},
		{`"include":["message.output_text.logprobs","reasoning.encrypted_content"]`,
			func(q *ResponseRequest) any { return q.Logprobs }, "true"},
		{`"include":["reasoning.encrypted_content"]`, func(q *ResponseRequest) any { return q.Logprobs }, "false"},
		{`"reasoning":{"effort":"high"}`, func(q *ResponseRequest) any {
			return fmt.Sprintf("%s %s", q.Kwargs["reasoning_effort"], q.Kwargs["enable_thinking"])
		}, `"high" `},
		{`"reasoning":{"effort":"none"}`,
			func(q *ResponseRequest) any { return fmt.Sprintf("%s %v", q.Kwargs["enable_thinking"], q.Thinks()) },
			`false false`},
		{`"reasoning":{"effort":null,"summary":"auto"}`, func(q *ResponseRequest) any { return q.Summaries }, `true`},
		{`"reasoning":{"generate_summary":"concise"}`, func(q *ResponseRequest) any { return q.Summaries }, `true`},
		{`"reasoning":{"summary":"none"}`, func(q *ResponseRequest) any { return q.Summaries }, `false`},
		{`"chat_template_kwargs":{"enable_thinking":true}`,
			func(q *ResponseRequest) any { return string(q.Kwargs["enable_thinking"]) }, `true`},
		{`"text":{"format":{"type":"json_object"},"verbosity":"high"}`,
			func(q *ResponseRequest) any { return fmt.Sprint(q.Form.JSONObject, q.Form.Param) }, `truetext.format`},
		{`"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"null"}}}`,
			func(q *ResponseRequest) any { return q.Form.JSONSchema + q.Form.Param },
			`{"type":"null"}text.format.schema`},
		{`"text":{"format":{"type":"text"}}`, func(q *ResponseRequest) any { return q.Form == nil }, `true`},
		{`"parallel_tool_calls":false`, func(q *ResponseRequest) any { return q.OneCall }, "true"},
		{`"parallel_tool_calls":null`, func(q *ResponseRequest) any { return q.OneCall }, "false"},
		{`"tools":[` + responseTool + `]`, func(q *ResponseRequest) any { return string(q.Tools) },
			`[{"type":"function","function":{"name":"f","description":"d","parameters":{"z":1,"a":2},"strict":true}}]`},
		{`"tools":[{"type":"web_search_preview_2025_03_11"},{"type":"mcp","server_label":"x"}]`,
			func(q *ResponseRequest) any { return q.Tools == nil }, "true"},
		{`"tools":[` + customTool + `]`, func(q *ResponseRequest) any { return q.Inputs["edit"].Lark }, `start: "x"`},
		{`"tools":[{"type":"custom","name":"e","format":{"type":"grammar","syntax":"regex","definition":"x+"}}]`,
			func(q *ResponseRequest) any { return q.Inputs["e"].Regexp }, `x+`},
		{`"tools":[{"type":"custom","name":"e","format":{"type":"text"}}]`,
			func(q *ResponseRequest) any { return len(q.Inputs) }, `0`},
		{`"tools":[{"type":"custom","name":"e"}]`, func(q *ResponseRequest) any { return string(q.Tools) },
			`[{"type":"function","function":{"name":"e","parameters":` +
				`{"type":"object","properties":{"input":{"description":"The text that the tool takes.","type":"string"}},"required":["input"],"additionalProperties":false}}}]`},
		{`"tools":[{"type":"namespace","name":"n","description":"d","tools":[{"type":"function","name":"f"},{"type":"custom","name":"e"}]}]`, known,
			"map[e:{e n true} f:{f n false}]"},
		{`"tools":[{"type":"function","name":"f"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}]`, known, "map[f:{f  false} n.f:{f n false}]"},
		{`"tools":[` + responseTool + `],"tool_choice":"auto"`, func(q *ResponseRequest) any { return q.ToolChoice },
			"{false []}"},
		{`"tools":[` + responseTool + `],"tool_choice":"required"`,
			func(q *ResponseRequest) any { return q.ToolChoice }, "{true []}"},
		{`"tools":[` + responseTool + `],"tool_choice":"none"`, func(q *ResponseRequest) any { return q.Tools == nil },
			"true"},
		{`"tools":[` + responseTool + `,` + customTool + `],"tool_choice":{"type":"custom","name":"edit"}`,
			func(q *ResponseRequest) any { return q.ToolChoice }, "{true [edit]}"},
		{`"tools":[` + responseTool + `,` + customTool +
			`],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]}`,
			func(q *ResponseRequest) any { return q.ToolChoice }, "{false [f]}"},
		{`"tools":[{"type":"function","name":"f"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}],"tool_choice":{"type":"function","name":"f","namespace":"n"}`,
			func(q *ResponseRequest) any { return q.ToolChoice }, "{true [n.f]}"},
	} {
		if got := fmt.Sprint(c.get(respond(t, `"input":"hi",`+c.members))); got != c.want {
			t.Errorf("%s: %s, want %s", c.members, got, c.want)
		}
	}
}

// TestItems expects the messages that templates see.
func TestItems(t *testing.T) {
	for _, c := range []struct{ name, members, want string }{
		{"text", `"input":"x"`, `[{"role":"user","content":"x"}]`},
		{"nothing", `"input":[]`, `[{"role":"user","content":""}]`},
		{"instructions alone", `"instructions":"i","input":[]`,
			`[{"role":"system","content":"i"},{"role":"user","content":""}]`},
		{"messages", `"input":[{"role":"developer","content":"d"},{"type":"message","id":"msg_1","status":"completed","role":"user","content":[
			{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},{"role":"assistant","phase":"final_answer","content":[{"type":"output_text","text":"c",
			"annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no"}]},{"role":"system","content":"s"}]`,
			`[{"role":"system","content":"d"},{"role":"user","content":"a\nb"},{"role":"assistant","content":"c\nno"},{"role":"system","content":"s"}]`},
		{"a turn of the assistant", `"input":[{"role":"user","content":"x"},
			{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"e"},
			{"type":"message","role":"assistant","content":[{"type":"output_text","text":"t"}]},
			{"type":"function_call","id":"fc_1","call_id":"1","name":"f","arguments":"{\"z\":1, \"a\":[2]}","status":"completed"},
			{"type":"custom_tool_call","call_id":"2","name":"edit","input":"a\n\"b"},
			{"type":"function_call_output","call_id":"1","output":"one"},
			{"type":"custom_tool_call_output","call_id":"2","output":[{"type":"input_text","text":"two"},{"type":"output_text","text":"three"}]},
			{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"ah"}]},{"role":"assistant","content":"done"}]`,
			`[{"role":"user","content":"x"},{"role":"assistant","content":"t","reasoning_content":"hm","tool_calls":[` +
				`{"id":"1","type":"function","function":{"name":"f","arguments":{"z":1,"a":[2]}}},` +
				`{"id":"2","type":"function","function":{"name":"edit","arguments":{"input":"a\n\"b"}}}]},` +
				`{"role":"tool","content":"one","name":"f","tool_call_id":"1"},{"role":"tool","content":"two\nthree","name":"edit","tool_call_id":"2"},` +
				`{"role":"assistant","content":"done","reasoning_content":"ah"}]`},
		{"turns in a row", `"input":[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"},{"type":"reasoning","summary":[]},{"role":"user","content":"c"}]`,
			`[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"},{"role":"assistant","content":""},{"role":"user","content":"c"}]`},
		{"others' tools", `"input":[{"role":"user","content":"x"},{"type":"web_search_call","id":"ws","action":{"type":"search"}}]`, `[{"role":"user","content":"x"}]`},
		{"namespaces", `"tools":[{"type":"function","name":"f"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}],
			"input":[{"type":"function_call","call_id":"1","name":"f","namespace":"n","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":""}]`,
			`[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"n.f","arguments":{}}}]},` +
				`{"role":"tool","content":"","name":"n.f","tool_call_id":"1"}]`},
	} {
		if got := string(respond(t, c.members).Messages); got != c.want {
			t.Errorf("%s: got  %s\nwant %s", c.name, got, c.want)
		}
	}
}

// responseErrors are requests with the path of the field and a part of the message.
var responseErrors = []struct{ members, param, say string }{
	{`"model":"m"`, "input", "required"},
	{`"input":7`, "input", "a string or an array"},
	{`"input":[7]`, "input[0]", "an object"},
	{`"input":[{"type":"thing"}]`, "input[0].type", `"thing"`},
	{`"input":[{"content":"x"}]`, "input[0].role", "required"},
	{`"input":[{"role":"tool","content":"x"}]`, "input[0].role", "user or assistant"},
	{`"input":[{"role":"user"}]`, "input[0].content", "required"},
	{`"input":[{"role":"user","content":"x","color":1}]`, "input[0].color", "unknown"},
	{`"input":[{"role":"user","content":[{"text":"x"}]}]`, "input[0].content[0].type", "required"},
	{`"input":[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]`, "input[0].content[0].type",
		`"input_image"`},
	{`"input":[{"role":"user","content":[{"type":"input_text"}]}]`, "input[0].content[0].text", "required"},
	{`"input":[{"type":"function_call","name":"f","arguments":"{}"}]`, "input[0].call_id", "required"},
	{`"input":[{"type":"function_call","call_id":"1","arguments":"{}"}]`, "input[0].name", "required"},
	{`"input":[{"type":"function_call","call_id":"1","name":"f"}]`, "input[0].arguments", "required"},
	{`"input":[{"type":"function_call","call_id":"1","name":"f","arguments":"[]"}]`, "input[0].arguments",
		"JSON object"},
	{`"input":[{"type":"function_call_output","call_id":"1"}]`, "input[0].output", "required"},
	{`"input":[{"type":"function_call_output","call_id":"1","output":"x"}]`, "input[0].call_id", "no call before it"},
	{`"input":[{"type":"custom_tool_call","call_id":"1","name":"f"}]`, "input[0].input", "required"},
	{`"input":[{"type":"item_reference"}]`, "input[0].id", "required"},
	{`"input":[{"type":"reasoning","summary":[{"type":"input_text","text":"x"}]}]`, "input[0].summary[0].type",
		"summary_text"},
	{`"nothing":1`, "nothing", "unknown field"},
	{`"instructions":7`, "instructions", "a string"},
	{`"max_output_tokens":0`, "max_output_tokens", "from 1"},
	{`"max_output_tokens":1,"max_tokens":2`, "max_output_tokens", "another name of max_tokens"},
	{`"temperature":6`, "temperature", "from 0 to 5"},
	{`"top_p":-1`, "top_p", "from 0 to 1"},
	{`"top_logprobs":21`, "top_logprobs", "from 0 to 20"},
	{`"include":["everything"]`, "include[0]", "must be"},
	{`"metadata":{"a":1}`, "metadata.a", "a string"},
	{`"metadata":{"a":"` + strings.Repeat("x", 513) + `"}`, "metadata.a", "at most 512"},
	{`"metadata":{"` + strings.Repeat("x", 65) + `":""}`, "metadata", "at most 64"},
	{`"metadata":{` + strings.TrimSuffix(strings.Repeat(`"kN":"",`, 17), ",") + `}`, "metadata", "at most 16"},
	{`"store":1`, "store", "a boolean"},
	{`"stream":"x"`, "stream", "a boolean"},
	{`"stream_options":{"x":1}`, "stream_options.x", "unknown"},
	{`"truncation":"left"`, "truncation", "auto or disabled"},
	{`"background":true`, "background", "not offered"},
	{`"conversation":"c"`, "conversation", "previous_response_id"},
	{`"prompt":{"id":"p"}`, "prompt", "not offered"},
	{`"reasoning":{"effort":"huge"}`, "reasoning.effort", "low"},
	{`"reasoning":{"summary":"long"}`, "reasoning.summary", "auto"},
	{`"reasoning":{"x":1}`, "reasoning.x", "unknown"},
	{`"text":{"format":{}}`, "text.format.type", "required"},
	{`"text":{"format":{"type":"xml"}}`, "text.format.type", "json_schema"},
	{`"text":{"format":{"type":"json_schema","name":"n"}}`, "text.format.schema", "required"},
	{`"text":{"verbosity":"loud"}`, "text.verbosity", "low or medium"},
	{`"parallel_tool_calls":1`, "parallel_tool_calls", "a boolean"},
	{`"tools":{}`, "tools", "an array"},
	{`"tools":[{}]`, "tools[0].type", "required"},
	{`"tools":[{"type":"hammer"}]`, "tools[0].type", `"hammer"`},
	{`"tools":[{"type":"function"}]`, "tools[0].name", "required"},
	{`"tools":[{"type":"function","name":"f","parameters":[]}]`, "tools[0].parameters", "an object"},
	{`"tools":[{"type":"function","name":"f"},{"type":"function","name":"f"}]`, "tools[1].name", "another tool"},
	{`"tools":[{"type":"function","name":"f","color":1}]`, "tools[0].color", "unknown"},
	{`"tools":[{"type":"custom","name":"f","format":{"type":"grammar","syntax":"abnf"}}]`, "tools[0].format.syntax",
		"lark or regex"},
	{`"tools":[{"type":"custom","name":"f","format":{"type":"grammar","syntax":"lark"}}]`,
		"tools[0].format.definition", "required"},
	{`"tools":[{"type":"namespace","name":"n"}]`, "tools[0].tools", "required"},
	{`"tools":[{"type":"namespace","name":"n","tools":[{"type":"namespace","name":"m","tools":[]}]}]`,
		"tools[0].tools[0].type", `"namespace"`},
	{`"tool_choice":"required"`, "tool_choice", "no tools"},
	{`"tool_choice":"some"`, "tool_choice", "auto or none"},
	{`"tool_choice":7`, "tool_choice", "a string or an object"},
	{`"tools":[` + responseTool + `],"tool_choice":{"type":"web_search"}`, "tool_choice.type", `"web_search"`},
	{`"tools":[` + responseTool + `],"tool_choice":{"type":"function","name":"g"}`, "tool_choice.name", `"g"`},
	{`"tools":[` + responseTool + `],"tool_choice":{"type":"custom","name":"f"}`, "tool_choice.name", `"f"`},
	{`"tools":[` + responseTool + `],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]}`,
		"tool_choice.tools", "empty"},
	{`"tools":[` + responseTool +
		`],"tool_choice":{"type":"allowed_tools","mode":"never","tools":[{"type":"function","name":"f"}]}`,
		"tool_choice.mode", "auto or required"},
}

// errorBody returns the request of an entry of responseErrors.
func errorBody(members string) string {
	for i := strings.Index(members, "kN"); i >= 0; i = strings.Index(members, "kN") {
		members = members[:i] + fmt.Sprint("k", i) + members[i+2:]
	}
	if !strings.HasPrefix(members, `"input"`) && members != `"model":"m"` {
		members = `"input":"hi",` + members
	}
	return "{" + members + "}"
}

func TestResponseErrors(t *testing.T) {
	for _, c := range responseErrors {
		q, err := ParseResponse([]byte(errorBody(c.members)), Limits{})
		if err == nil {
			err = q.Converse(nil)
		}
		var e *Error
		if !errors.As(err, &e) || e.Status != 400 || e.Param != c.param || !strings.Contains(e.Message, c.say) {
			t.Errorf("%s: %v, want %q and %q", c.members, err, c.param, c.say)
		}
	}
}

// FuzzParseResponse looks for requests that panic, or that become what no template takes.
func FuzzParseResponse(f *testing.F) {
	for _, c := range responseErrors {
		f.Add([]byte(errorBody(c.members)))
	}
	f.Add([]byte(`{"instructions":"i","tools":[` + responseTool + `,` + customTool +
		`],"input":[{"role":"developer","content":"d"},{"type":"reasoning","summary":[]},` +
		`{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"x"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := ParseResponse(body, Limits{})
		if err == nil {
			err = q.Converse(nil)
		}
		checkParsed(t, err, func() json.RawMessage { return q.Messages })
	})
}

// FuzzParseChat does so with chat requests.
func FuzzParseChat(f *testing.F) {
	for _, c := range fieldErrors {
		f.Add([]byte(`{"messages":[{"role":"user","content":"x"}],` + c.members + `}`))
	}
	f.Add([]byte(`{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"So"}],"continue_final_message":true}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseChat(body, Limits{})
		checkParsed(t, err, func() json.RawMessage { return c.Messages })
	})
}

// checkParsed reports errors that are not the client's, and conversations of which plain turns cannot be made.
func checkParsed(t *testing.T, err error, messages func() json.RawMessage) {
	t.Helper()
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Status < 400 || e.Status >= 500 {
			t.Fatalf("error %v", err)
		}
		return
	}
	var list []Message
	if err := json.Unmarshal(messages(), &list); err != nil || len(list) == 0 {
		t.Fatalf("%s: %v", messages(), err)
	}
	plain := PlainTurns(messages())
	if plain == nil {
		return
	}
	if again := PlainTurns(plain); again != nil {
		t.Fatalf("plain turns %s became plainer: %s", plain, again)
	}
}
