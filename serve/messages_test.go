package serve

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/serve/anthropic"
	"github.com/hipengine/hipengine/text/toolcall"
)

// withFormat gives the model of a site a form of calls and thoughts, and a vocabulary for grammars.
func withFormat(t *testing.T, name string) func(*Config) {
	t.Helper()
	format, err := toolcall.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Models[0].Vocabulary, c.Models[0].Format = fakeVocabulary, format }
}

const ask = `{"model":"fake","max_tokens":99,"messages":[{"role":"user","content":"hi"}]`

var messageID = regexp.MustCompile(
	`(msg_|call_|resp_|rs_|fc_|ctc_|"created_at":|"completed_at":)([A-Z2-7]{26}|[0-9]{9,})`)

// plainIDs replaces ids and times by constants.
func plainIDs(s string) string { return messageID.ReplaceAllString(s, `${1}0`) }

// event is a named event of a stream.
type namedEvent struct{ name, data string }

// eventsOf returns the events of a stream, and checks that each has the name of its type.
func eventsOf(t *testing.T, body string) []namedEvent {
	t.Helper()
	var list []namedEvent
	for block := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		if strings.HasPrefix(block, ":") {
			continue
		}
		name, data, ok := strings.Cut(strings.TrimPrefix(block, "event: "), "\ndata: ")
		var e struct{ Type string }
		if err := json.Unmarshal([]byte(data), &e); !ok || err != nil || e.Type != name {
			t.Fatalf("event %q: %v", block, err)
		}
		list = append(list, namedEvent{name, data})
	}
	return list
}

func TestMessages(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "Hellö <b>"}, nil)
	status, h, body := s.call(t, "POST", "/v1/messages?beta=true", ask+`}`, "Anthropic-Version", "2023-06-01",
		"Anthropic-Beta", "x")
	want := `{"id":"msg_0","type":"message","role":"assistant","model":"fake","content":[{"type":"text","text":"Hellö <b>"}],` +
		`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":34,"cache_creation_input_tokens":0,` +
		`"cache_read_input_tokens":0,"output_tokens":11}}` + "\n"
	if status != 200 || plainIDs(body) != want || h.Get("Request-Id") == "" ||
		h.Get("Request-Id") != h.Get("X-Request-Id") {
		t.Errorf("status %d, headers %v, body\n%s, want\n%s", status, h, plainIDs(body), want)
	}
	if strings.Contains(body, "citations") {
		t.Error("there are citations")
	}
}

// TestMessagesStream expects the events in their order, and nothing else.
func TestMessagesStream(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "<think>\nab\n</think>\n\ncd<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>"},
		withFormat(t, "hermes"))
	_, _, body := s.call(t, "POST", "/v1/messages", ask+`,"stream":true,"temperature":0,`+anthropicTool+`}`)
	want := `message_start {"type":"message_start","message":{"id":"msg_0","type":"message","role":"assistant","model":"fake","content":[],` +
		`"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":N,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}
content_block_start {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"a"}}
content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"b"}}
content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"+44g/C5MPySMYMOb1lLzwTRymLuXe4tNWQO4UFViBgM="}}
content_block_stop {"type":"content_block_stop","index":0}
content_block_start {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}
content_block_delta {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"c"}}
content_block_delta {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"d"}}
content_block_stop {"type":"content_block_stop","index":1}
content_block_start {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"call_0","name":"add","input":{}}}
content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{"}}
content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\""}}
content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"a"}}
content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\""}}
content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":":"}}
content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":" "}}
content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1"}}
content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"}"}}
content_block_stop {"type":"content_block_stop","index":2}
message_delta {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":N,` +
		`"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":87}}
message_stop {"type":"message_stop"}
`
	got := ""
	for _, e := range eventsOf(t, plainIDs(body)) {
		got += e.name + " " + regexp.MustCompile(`"input_tokens":\d+`).ReplaceAllString(e.data, `"input_tokens":N`) +
			"\n"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the stream differs (-want +got):\n%s", diff)
	}
}

const anthropicTool = `"tools":[{"name":"add","input_schema":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}]`

// messageOf puts the message of a stream together as a client does.
func messageOf(t *testing.T, events []namedEvent) string {
	t.Helper()
	var m map[string]any
	var blocks []map[string]any
	input := ""
	for _, e := range events {
		var v struct {
			Message map[string]any
			Block   map[string]any `json:"content_block"`
			Delta   map[string]any
			Usage   any
		}
		if err := json.Unmarshal([]byte(e.data), &v); err != nil {
			t.Fatal(err)
		}
		switch e.name {
		case anthropic.EventMessageStart:
			m = v.Message
		case anthropic.EventBlockStart:
			blocks, input = append(blocks, v.Block), ""
		case anthropic.EventBlockDelta:
			b := blocks[len(blocks)-1]
			for _, key := range []string{"text", "thinking", "signature"} {
				if text, ok := v.Delta[key].(string); ok {
					b[key] = b[key].(string) + text
				}
			}
			if piece, ok := v.Delta["partial_json"].(string); ok {
				if input += piece; json.Valid([]byte(input)) {
					b["input"] = json.RawMessage(input)
				}
			}
		case anthropic.EventMessageDelta:
			m["stop_reason"], m["stop_sequence"], m["usage"] = v.Delta["stop_reason"], v.Delta["stop_sequence"],
				v.Usage
		}
	}
	m["content"] = blocks
	if blocks == nil {
		m["content"] = []any{}
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sameJSON reports whether two texts are the same JSON but for ids.
func sameJSON(t *testing.T, a, b string) {
	t.Helper()
	var x, y any
	for text, v := range map[string]*any{plainIDs(a): &x, plainIDs(b): &y} {
		if err := json.Unmarshal([]byte(text), v); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if diff := cmp.Diff(x, y); diff != "" {
		t.Errorf("they differ (-whole +stream):\n%s", diff)
	}
}

// replies are answers of many kinds.
var replies = []string{
	"plain", "", "<think>\nx\n</think>\n\ny", "<think>never ends",
	"<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 12}}\n</tool_call>\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 3}}\n</tool_call>",
	"a <tool_call> that is none",
}

// TestMessagesAreTheirStreams asks for each answer at once and as a stream, also cut off by tokens and by strings.
func TestMessagesAreTheirStreams(t *testing.T) {
	for _, reply := range replies {
		s := open(t, &fake.Runner{Reply: reply}, withFormat(t, "hermes"))
		s.Server.c.Models[0].Vocabulary = nil
		for _, fields := range []string{"", `,"stop_sequences":["x","la"]`,
			`,"thinking":{"type":"adaptive","display":"omitted"}`} {
			for _, budget := range []string{"3", "60", "200"} {
				body := `{"max_tokens":` + budget + `,"messages":[{"role":"user","content":"hi"}],"temperature":0,` +
					anthropicTool + fields
				_, _, whole := s.call(t, "POST", "/v1/messages", body+"}")
				_, _, stream := s.call(t, "POST", "/v1/messages", body+`,"stream":true}`)
				sameJSON(t, whole, messageOf(t, eventsOf(t, stream)))
			}
		}
	}
}

// TestMessagesFields expects of fields what they do.
func TestMessagesFields(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "one two three"}, withFormat(t, "hermes"))
	for members, want := range map[string]string{
		`"stop_sequences":["three","wo"]`:                                                                            `"text":"one t"}],"stop_reason":"stop_sequence","stop_sequence":"wo"`,
		`"max_completion_tokens":99`:                                                                                 `"stop_reason":"end_turn"`,
		`"metadata":{"user_id":"u"},"service_tier":"auto"`:                                                           `"text":"one two three"`,
		anthropicTool + `,"tool_choice":{"type":"any"}`:                                                              `"stop_reason":"tool_use"`,
		anthropicTool + `,"tool_choice":{"type":"tool","name":"add"}`:                                                `"name":"add","input":{"a":`,
		anthropicTool + `,"tool_choice":{"type":"none"}`:                                                             `"text":"one two three"`,
		`"tools":[{"type":"web_search_20250305","name":"web_search"}]`:                                               `"text":"one two three"`,
		`"output_config":{"format":{"type":"json_schema","schema":{"enum":["x"]}}}`:                                  `"text":"\"x\""`,
		`"output_format":{"type":"json_schema","schema":{"enum":["x"]}},"output_config":{"effort":"low"}`:            `"\"x\""`,
		`"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"mcp_servers":[],"stream":false`: `"input_tokens":43`,
	} {
		status, _, body := s.call(t, "POST", "/v1/messages", ask+","+members+"}")
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %s", members, status, body, want)
		}
	}
	_, _, body := s.call(t, "POST", "/v1/messages", `{"max_tokens":4,"messages":[{"role":"user","content":"hi"}]}`)
	if !strings.Contains(body, `"text":"one "}],"stop_reason":"max_tokens"`) {
		t.Errorf("4 tokens: %s", body)
	}
}

// TestBudgetOfThoughts ends thoughts that the model does not, in each dialect.
func TestBudgetOfThoughts(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "<think>one two three four five six"}, func(c *Config) {
		withFormat(t, "hermes")(c)
		c.Models[0].Vocabulary = nil
	})
	for _, c := range []struct{ path, body, want string }{
		{"/v1/messages", ask + `,"thinking":{"type":"enabled","budget_tokens":3}`, `"thinking":"one","signature"`},
		{"/v1/messages", ask + `,"thinking":{"type":"adaptive"}`,
			`"thinking":"one two three four five six","signature"`},
		{"/v1/responses", `{"input":"hi","thinking_budget":3`, `"content":[{"type":"reasoning_text","text":"one"}]`},
		{"/v1/responses", `{"input":"hi","reasoning":{"summary":"auto"},"thinking_budget":3`,
			`"summary":[{"type":"summary_text","text":"one"}]`},
	} {
		status, _, body := s.call(t, "POST", c.path, c.body+`,"temperature":0}`)
		if status != 200 || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s, want %s", c.body, status, body, c.want)
		}
	}
}

// TestMessageErrors expects Anthropic's form of what goes wrong before, in and outside a request.
func TestMessageErrors(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x", Lim: runner.Limits{Context: 64}},
		func(c *Config) { c.APIKeys = []string{"k"} })
	for _, c := range []struct {
		method, body, key string
		status            int
		kind, say, code   string
	}{
		{"GET", "", "k", 405, "invalid_request_error", "use the method POST", "method_not_allowed"},
		{"POST", ask + "}", "wrong", 401, "authentication_error", "API key", "invalid_api_key"},
		{"POST", "{", "k", 400, "invalid_request_error", "JSON", "invalid_json"},
		{"POST", ask + `,"model2":1}`, "k", 400, "invalid_request_error", "model2: unknown field", "unknown_field"},
		{"POST", strings.Replace(ask, "fake", "other", 1) + "}", "k", 404, "not_found_error", "other",
			"model_not_found"},
		{"POST", strings.Replace(ask, "hi", strings.Repeat("long ", 20), 1) + "}", "k", 400, "invalid_request_error",
			"prompt is too long: 132 tokens > 63 maximum", "context_length_exceeded"},
		{"POST", ask + `,"thread":{"type":"create"}}`, "k", 400, "invalid_request_error", "thread: ",
			anthropic.CodeThread},
		{"POST", strings.Replace(ask, "hi", "refuse", 1) + "}", "k", 400, "invalid_request_error",
			"roles must alternate", "conversation_refused"},
	} {
		status, h, body := s.call(t, c.method, "/v1/messages", c.body, "X-Api-Key", c.key)
		var e anthropic.Error
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatal(err)
		}
		if status != c.status || e.Type != "error" || e.Error.Type != c.kind ||
			!strings.Contains(e.Error.Message, c.say) ||
			e.Error.Details.ErrorCode != c.code || e.RequestID != h.Get("Request-Id") || e.RequestID == "" {
			t.Errorf("%s %s: %d %s", c.method, c.body, status, body)
		}
	}
}

// failAtStep makes the runner fail at a step and from then on.
func failAtStep(n int) func([]runner.Work) error {
	return func([]runner.Work) error {
		if n--; n <= 0 {
			return errors.New("the device is gone")
		}
		return nil
	}
}

// TestMessageStreamError ends a stream with an event when a step fails.
func TestMessageStreamError(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "abc", Fail: failAtStep(3)}, nil)
	_, _, body := s.call(t, "POST", "/v1/messages", ask+`,"stream":true}`)
	events := eventsOf(t, body)
	last := events[len(events)-1]
	if events[0].name != "message_start" || last.name != "error" ||
		!strings.Contains(last.data, `"type":"api_error"`) {
		t.Errorf("%v", events)
	}
}

func TestCountTokens(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x"}, nil)
	_, _, body := s.call(t, "POST", "/v1/messages/count_tokens", `{"messages":[{"role":"user","content":"hi"}]}`)
	_, _, whole := s.call(t, "POST", "/v1/messages", ask+"}")
	if body != `{"input_tokens":34}`+"\n" || !strings.Contains(whole, `"input_tokens":34,`) {
		t.Errorf("%s for %s", body, whole)
	}
	if status, _, body := s.call(t, "POST", "/v1/messages/count_tokens", `{"messages":[]}`); status != 400 ||
		!strings.Contains(body, `"type":"error"`) {
		t.Errorf("%d %s", status, body)
	}
}

// TestMessagesCached counts what was kept of a prompt by itself.
func TestMessagesCached(t *testing.T) {
	s := open(t, &fake.Runner{Lim: runner.Limits{Rewinds: fake.Anywhere}, Checkpoints: 8, Reply: "ok"}, nil)
	var u struct{ Usage anthropic.Usage }
	for range 2 {
		_, _, body := s.call(t, "POST", "/v1/messages", strings.Replace(ask, "hi", strings.Repeat("x", 200), 1)+"}")
		if err := json.Unmarshal([]byte(body), &u); err != nil {
			t.Fatal(err)
		}
	}
	if u.Usage.CacheReadInputTokens == 0 || u.Usage.InputTokens+u.Usage.CacheReadInputTokens != 232 {
		t.Errorf("%+v", u.Usage)
	}
}
