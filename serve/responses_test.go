package serve

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/serve/openai"
)

const (
	functionTool = `{"type":"function","name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}`
	twoCalls     = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>\n" +
		"<tool_call>\n{\"name\": \"edit\", \"arguments\": {\"input\": \"x\\n\\\"y\"}}\n</tool_call>"
)

func TestResponses(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "Hellö <b>"}, nil)
	status, _, body := s.call(t, "POST", "/v1/responses",
		`{"model":"fake","input":"hi","metadata":{"a":"b"},"instructions":"i"}`)
	want := `{"id":"resp_0","object":"response","created_at":0,"completed_at":0,"status":"completed","model":"fake","output":[{"id":"msg_0","type":"message",` +
		`"status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hellö <b>","annotations":[],"logprobs":[]}]}],` +
		`"error":null,"incomplete_details":null,"usage":{"input_tokens":28,"input_tokens_details":{"cached_tokens":0},"output_tokens":11,` +
		`"output_tokens_details":{"reasoning_tokens":0},"total_tokens":39},"metadata":{"a":"b"},"reasoning":{"effort":null,"summary":null},` +
		`"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"instructions":"i","previous_response_id":null,` +
		`"max_output_tokens":null,"parallel_tool_calls":true,"temperature":0.8,"top_p":0.95,"top_logprobs":0,"store":true,` +
		`"truncation":"disabled","service_tier":"default","background":false}` + "\n"
	if status != 200 || plainIDs(body) != want {
		t.Errorf("status %d, body\n%s, want\n%s", status, plainIDs(body), want)
	}
}

// shape is what an event is about, in short.
func shape(t *testing.T, e namedEvent) string {
	t.Helper()
	var v struct {
		SequenceNumber int  `json:"sequence_number"`
		OutputIndex    *int `json:"output_index"`
		Delta, Text    *string
		Arguments      *string
		Input          *string
		Item           *struct{ Type, Status string }
		Part           *struct{ Type, Text string }
		Response       *struct{ Status string }
	}
	if err := json.Unmarshal([]byte(e.data), &v); err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("%d %s", v.SequenceNumber, strings.TrimPrefix(e.name, "response."))
	if v.OutputIndex != nil {
		line += fmt.Sprintf(" #%d", *v.OutputIndex)
	}
	for _, text := range []*string{v.Delta, v.Text, v.Arguments, v.Input} {
		if text != nil {
			line += fmt.Sprintf(" %q", *text)
		}
	}
	if v.Item != nil {
		line += " " + v.Item.Type + " " + v.Item.Status
	}
	if v.Part != nil {
		line += fmt.Sprintf(" %s %q", v.Part.Type, v.Part.Text)
	}
	if v.Response != nil {
		line += " " + v.Response.Status
	}
	return line
}

// TestResponsesStream expects every event in its place.
func TestResponsesStream(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "<think>\na\n</think>\n\nb" + twoCalls}, withFormat(t, "hermes"))
	request := `{"input":"hi","stream":true,"temperature":0,"tools":[` + functionTool +
		`,{"type":"custom","name":"edit"}]`
	for _, c := range []struct{ members, thoughts string }{
		{"", `2 output_item.added #0 reasoning in_progress
3 content_part.added #0 reasoning_text ""
4 reasoning_text.delta #0 "a"
5 reasoning_text.done #0 "a"
6 content_part.done #0 reasoning_text "a"
`},
		{`,"reasoning":{"summary":"auto"}`, `2 output_item.added #0 reasoning in_progress
3 reasoning_summary_part.added #0 summary_text ""
4 reasoning_summary_text.delta #0 "a"
5 reasoning_summary_text.done #0 "a"
6 reasoning_summary_part.done #0 summary_text "a"
`},
	} {
		want := `0 created in_progress
1 in_progress in_progress
` + c.thoughts + `7 output_item.done #0 reasoning completed
8 output_item.added #1 message in_progress
9 content_part.added #1 output_text ""
10 output_text.delta #1 "b"
11 output_text.done #1 "b"
12 content_part.done #1 output_text "b"
13 output_item.done #1 message completed
14 output_item.added #2 function_call in_progress
15 function_call_arguments.delta #2 "{"
16 function_call_arguments.delta #2 "\""
17 function_call_arguments.delta #2 "a"
18 function_call_arguments.delta #2 "\""
19 function_call_arguments.delta #2 ":"
20 function_call_arguments.delta #2 " "
21 function_call_arguments.delta #2 "1"
22 function_call_arguments.delta #2 "}"
23 function_call_arguments.done #2 "{\"a\": 1}"
24 output_item.done #2 function_call completed
25 output_item.added #3 custom_tool_call in_progress
26 custom_tool_call_input.delta #3 "x"
27 custom_tool_call_input.delta #3 "\n"
28 custom_tool_call_input.delta #3 "\""
29 custom_tool_call_input.delta #3 "y"
30 custom_tool_call_input.done #3 "x\n\"y"
31 output_item.done #3 custom_tool_call completed
32 completed completed
`
		_, _, body := s.call(t, "POST", "/v1/responses", request+c.members+"}")
		got := ""
		for _, e := range eventsOf(t, body) {
			got += shape(t, e) + "\n"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the stream differs (-want +got):\n%s", c.members, diff)
		}
	}
}

// TestResponsesAreTheirStreams compares a response with what its stream ends with, and with what its events add up to.
func TestResponsesAreTheirStreams(t *testing.T) {
	for _, reply := range append(replies, twoCalls) {
		s := open(t, &fake.Runner{Reply: reply}, withFormat(t, "hermes"))
		s.Server.c.Models[0].Vocabulary = nil
		for _, members := range []string{"", `,"reasoning":{"summary":"auto"}`,
			`,"include":["message.output_text.logprobs"],"top_logprobs":2`, `,"stop":["x","la"]`} {
			for i, budget := range []string{"50", "2", "99", "400"} {
				if testing.Short() && i > 0 && members != "" {
					t.Log("SKIPPED: -short leaves most lengths of answers with such members to make long")
					break
				}
				body := `{"input":"hi","temperature":0,"max_output_tokens":` + budget + `,"tools":[` + functionTool +
					`,{"type":"custom","name":"edit"}]` + members
				_, _, whole := s.call(t, "POST", "/v1/responses", body+"}")
				_, _, stream := s.call(t, "POST", "/v1/responses", body+`,"stream":true}`)
				events := eventsOf(t, stream)
				var last struct{ Response json.RawMessage }
				if err := json.Unmarshal([]byte(events[len(events)-1].data), &last); err != nil {
					t.Fatal(err)
				}
				sameJSON(t, whole, string(last.Response))
				sameJSON(t, outputOf(t, whole), addedUp(t, events))
			}
		}
	}
}

func outputOf(t *testing.T, response string) string {
	t.Helper()
	var r struct{ Output json.RawMessage }
	if err := json.Unmarshal([]byte(response), &r); err != nil {
		t.Fatal(err)
	}
	return string(r.Output)
}

// addedUp is the output that a client gets who knows of deltas alone, with the status of the items that are done.
func addedUp(t *testing.T, events []namedEvent) string {
	t.Helper()
	output := []map[string]any{}
	for _, e := range events {
		var v struct {
			Index int `json:"output_index"`
			Item  map[string]any
			Part  map[string]any
			Delta string
		}
		if err := json.Unmarshal([]byte(e.data), &v); err != nil {
			t.Fatal(err)
		}
		grow := func(m map[string]any, key string) { m[key] = m[key].(string) + v.Delta }
		part := func(list string) map[string]any { return output[v.Index][list].([]any)[0].(map[string]any) }
		switch e.name {
		case openai.EventItemAdded:
			output = append(output, v.Item)
		case openai.EventPartAdded:
			output[v.Index]["content"] = []any{v.Part}
		case openai.EventSummaryAdded:
			output[v.Index]["summary"] = []any{v.Part}
		case openai.EventTextDelta, openai.EventReasonDelta:
			grow(part("content"), "text")
		case openai.EventSummaryDelta:
			grow(part("summary"), "text")
		case openai.EventArgumentsDelta:
			grow(output[v.Index], "arguments")
		case openai.EventInputDelta:
			grow(output[v.Index], "input")
		case openai.EventPartDone:
			if logprobs, ok := v.Part["logprobs"]; ok {
				part("content")["logprobs"] = logprobs
			}
		case openai.EventItemDone:
			output[v.Index]["status"] = v.Item["status"]
		}
	}
	text, err := json.Marshal(output)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestResponsesFields expects of fields what they do.
func TestResponsesFields(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "one two"}, withFormat(t, "hermes"))
	const patch = `{"type":"custom","name":"edit","format":{"type":"grammar","syntax":"lark","definition":"start: \"a\\n\" \"\\\"b\\\\\""}}`
	for members, want := range map[string]string{
		`"max_tokens":4`:                             `"text":"one ","annotations":[],"logprobs":[]}]}],"error":null,"incomplete_details":{"reason":"max_output_tokens"}`,
		`"stop":"two"`:                               `"text":"one "`,
		`"temperature":0.5,"top_p":0.25`:             `"temperature":0.5,"top_p":0.25`,
		`"top_logprobs":1`:                           `"logprobs":[{"token":"o","logprob":`,
		`"store":false`:                              `"store":false`,
		`"parallel_tool_calls":false`:                `"parallel_tool_calls":false`,
		`"include":["message.output_text.logprobs"]`: `"top_logprobs":[]}`,
		`"include":["reasoning.encrypted_content"]`:  `"text":"one two"`,
		`"text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"enum":[7]}},"verbosity":"low"}`: `"text":"7"`,
		`"text":{"format":{"type":"text"}}`: `"text":"one two"`,
		`"tools":[{"type":"web_search"},{"type":"image_generation","size":"auto"}],"tool_choice":"auto"`: `"text":"one two"`,
		`"tools":[],"tool_choice":"auto"`: `"tools":[]`,
		`"tools":[` + functionTool +
			`],"tool_choice":"required"`: `"name":"add","arguments":"{`,
		`"tools":[` + functionTool + `,` + patch +
			`],"tool_choice":{"type":"custom","name":"edit"}`: `"type":"custom_tool_call"`,
		`"tools":[` + patch + `],"tool_choice":"required"`: `"name":"edit","input":"a\n\"b\\"}`,
		`"tools":[` + functionTool + `,` + patch +
			`],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"custom","name":"edit"}]}`: `"name":"edit","input":"a\n\"b\\"}`,
		`"tools":[{"type":"custom","name":"edit","format":{"type":"grammar","syntax":"regex","definition":"x{3}"}}],"tool_choice":"required"`: `"input":"xxx"}`,
		`"tools":[{"type":"namespace","name":"box","description":"d","tools":[` + functionTool +
			`]}],"tool_choice":{"type":"function","name":"add"}`: `"name":"add","namespace":"box","arguments":"{`,
		`"tools":[` + functionTool + `,{"type":"namespace","name":"box","tools":[` + functionTool +
			`]}],"tool_choice":{"type":"function","name":"add","namespace":"box"}`: `"name":"add","namespace":"box"`,
		`"user":"u","prompt_cache_key":"k","truncation":"auto","service_tier":"auto","background":false,"client_metadata":{}`: `"text":"one two"`,
	} {
		status, _, body := s.call(t, "POST", "/v1/responses", `{"input":"hi",`+members+"}")
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %s", members, status, body, want)
		}
	}
	// Whether there is a server at all.
	for _, input := range []string{`""`, `[]`} {
		if status, _, body := s.call(t, "POST", "/v1/responses",
			`{"input":`+input+`,"max_output_tokens":1}`); status != 200 ||
			!strings.Contains(body, `"output_tokens":1,`) {
			t.Errorf("input %s: %d %s", input, status, body)
		}
	}
}

// TestDeveloperTurns puts the developer's turns where a template has no place for them.
func TestDeveloperTurns(t *testing.T) {
	var seen string
	s := open(t, &fake.Runner{Reply: "x"}, func(c *Config) {
		c.Models[0].Prompt = func(messages, _ json.RawMessage, _ map[string]json.RawMessage) ([]int32, error) {
			var list []openai.Message
			if err := json.Unmarshal(messages, &list); err != nil {
				return nil, err
			}
			for i, m := range list {
				if m.Role == "system" && i > 0 {
					return nil, fmt.Errorf("%w: the system's message must be the first", ErrConversation)
				}
			}
			seen = string(messages)
			return fake.Tokenizer{}.EncodePrompt(seen)
		}
	})
	status, _, body := s.call(t, "POST", "/v1/responses",
		`{"instructions":"a","input":[{"role":"developer","content":"b"},{"role":"user","content":"c"},`+
			`{"role":"developer","content":[{"type":"input_text","text":"d"}]},{"role":"assistant","content":"e"},{"role":"user","content":"f"}]}`)
	want := `[{"role":"system","content":"a\n\nb"},{"role":"user","content":"c\n\nd"},{"role":"assistant","content":"e"},{"role":"user","content":"f"}]`
	if status != 200 || seen != want {
		t.Errorf("%d %s\nthe template saw %s, want %s", status, body, seen, want)
	}
}

// TestStoredResponses goes on from a response, lists what it was made of, and deletes it.
func TestStoredResponses(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "yes"}, func(c *Config) { c.APIKeys = []string{"alpha", "beta"} })
	ask := func(body string) (r openai.Response) {
		t.Helper()
		status, _, text := s.call(t, "POST", "/v1/responses", body, "Authorization", "Bearer alpha")
		var v struct {
			ID    string
			Usage *openai.ResponseUsage
		}
		if err := json.Unmarshal([]byte(text), &v); err != nil || status != 200 {
			t.Fatalf("%d %s: %v", status, text, err)
		}
		r.ID, r.Usage = v.ID, v.Usage
		return r
	}
	first := ask(`{"input":"one","instructions":"forget me"}`)
	second := ask(`{"input":"two","previous_response_id":"` + first.ID + `","stream":false}`)
	whole := ask(`{"input":[{"role":"user","content":"one"},{"role":"assistant","content":"yes"},{"role":"user","content":"two"}],"store":false}`)
	if second.Usage.InputTokens != whole.Usage.InputTokens {
		t.Errorf("%d tokens, %d of the whole conversation", second.Usage.InputTokens, whole.Usage.InputTokens)
	}
	get := func(method, path, key string) (int, string) {
		t.Helper()
		status, _, body := s.call(t, method, "/v1/responses/"+path, "", "Authorization", "Bearer "+key)
		return status, body
	}
	if status, body := get("GET", first.ID, "alpha"); status != 200 || !strings.Contains(body, `"text":"yes"`) ||
		!strings.Contains(body, first.ID) {
		t.Errorf("%d %s", status, body)
	}
	texts := func(query string) (list []string, page openai.ItemList) {
		t.Helper()
		status, body := get("GET", second.ID+"/input_items"+query, "alpha")
		var v struct {
			Data    []struct{ ID, Role string }
			HasMore bool   `json:"has_more"`
			LastID  string `json:"last_id"`
		}
		if err := json.Unmarshal([]byte(body), &v); err != nil || status != 200 {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		for _, d := range v.Data {
			list = append(list, d.Role)
		}
		page.HasMore, page.LastID = v.HasMore, &v.LastID
		return list, page
	}
	if list, page := texts("?order=asc"); !slices.Equal(list, []string{"user", "assistant", "user"}) || page.HasMore {
		t.Errorf("%v %+v", list, page)
	}
	list, page := texts("?limit=2")
	if rest, _ := texts("?limit=2&after=" + *page.LastID); !page.HasMore || len(list) != 2 ||
		!slices.Equal(rest, []string{"user"}) {
		t.Errorf("%v, then %v", list, rest)
	}
	for _, c := range []struct {
		method, path, key string
		status            int
		say               string
	}{
		{"GET", first.ID, "beta", 404, "response_not_found"}, // another's
		{"GET", whole.ID, "alpha", 404, "response_not_found"},
		{"GET", first.ID + "?stream=true", "alpha", 400, "stream"},
		{"GET", first.ID + "/input_items?limit=0", "alpha", 400, "from 1 to 100"},
		{"GET", first.ID + "/input_items?limit=x", "alpha", 400, "limit"},
		{"GET", first.ID + "/input_items?order=up", "alpha", 400, "order"},
		{"GET", first.ID + "/input_items?after=x", "alpha", 400, "after"},
		{"GET", "resp_x/input_items", "alpha", 404, "response_not_found"},
		{"PUT", first.ID, "alpha", 405, "DELETE or GET"},
		{"DELETE", first.ID, "beta", 404, "response_not_found"},
		{"DELETE", first.ID, "alpha", 200, `"deleted":true`},
		{"GET", first.ID, "alpha", 404, "response_not_found"},
		{"GET", second.ID, "alpha", 200, `"previous_response_id":"resp_`},
	} {
		if status, body := get(c.method, c.path, c.key); status != c.status || !strings.Contains(body, c.say) {
			t.Errorf("%s %s: %d %s, want %d and %s", c.method, c.path, status, body, c.status, c.say)
		}
	}
	if status, _, body := s.call(t, "POST", "/v1/responses", `{"input":"x","previous_response_id":"`+first.ID+`"}`,
		"X-Api-Key", "alpha"); status != 404 ||
		!strings.Contains(body, `"param":"previous_response_id","code":"previous_response_not_found"`) {
		t.Errorf("%d %s", status, body)
	}
}

// TestStoredBudget keeps what was used last, within the bytes that there are.
func TestStoredBudget(t *testing.T) {
	store := newStoredResponses(8000)
	add := func(id string, bytes int) bool {
		return store.add("", openai.Response{ID: id, Output: []openai.ResponseItem{}},
			[]openai.ResponseItem{&openai.MessageItem{ID: id,
				Content: []*openai.Part{{Text: strings.Repeat("x", bytes)}}}})
	}
	if add("huge", 10_000) || !add("a", 2500) || !add("b", 2500) {
		t.Fatal("what fits is not what is kept")
	}
	if store.get("", "a") == nil || !add("c", 2500) || store.get("", "b") != nil || store.get("", "a") == nil ||
		store.get("", "c") == nil {
		t.Error("the one that was used least recently is not the one that went")
	}
	if store.get("other", "a") != nil || store.item("other", "a") != nil || store.item("", "a") == nil {
		t.Error("spaces are not apart")
	}
	if store.bytes > store.budget || !store.remove("", "a") || !store.remove("", "c") || store.bytes != 0 ||
		store.recent.Len() != 0 {
		t.Errorf("%d bytes are left", store.bytes)
	}
	none := newStoredResponses(-1)
	if none.add("", openai.Response{Output: []openai.ResponseItem{}}, nil) {
		t.Error("a store that keeps nothing has kept something")
	}
}

// TestItemReferences puts an item of a stored response in its place.
func TestItemReferences(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "yes"}, nil)
	_, _, body := s.call(t, "POST", "/v1/responses", `{"input":"one"}`)
	var v struct{ Output []struct{ ID string } }
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	tokens := func(item string) string {
		_, _, body := s.call(t, "POST", "/v1/responses/input_tokens", `{"input":[{"role":"user","content":"one"},`+
			item+`,{"role":"user","content":"two"}]}`)
		return body
	}
	if a, b := tokens(`{"type":"item_reference","id":"`+v.Output[0].ID+`"}`),
		tokens(`{"role":"assistant","content":"yes"}`); a != b ||
		!strings.Contains(a, `"object":"response.input_tokens"`) {
		t.Errorf("%s, want %s", a, b)
	}
	if body := tokens(`{"type":"item_reference","id":"msg_x"}`); !strings.Contains(body,
		`"param":"input[1].id","code":"item_not_found"`) {
		t.Error(body)
	}
}

func TestResponsesFailed(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "abc", Fail: failAtStep(3)}, nil)
	_, _, body := s.call(t, "POST", "/v1/responses", `{"input":"hi","stream":true}`)
	events := eventsOf(t, body)
	if last := events[len(events)-1]; last.name != openai.EventFailed ||
		!strings.Contains(last.data, `"status":"failed"`) ||
		!strings.Contains(last.data, `"error":{"code":"server_error"`) || strings.Contains(body, "[DONE]") {
		t.Errorf("%v", last)
	}
}

func TestResponsesCached(t *testing.T) {
	s := open(t, &fake.Runner{Lim: runner.Limits{Rewinds: fake.Anywhere}, Checkpoints: 8, Reply: "ok"}, nil)
	var u struct{ Usage openai.ResponseUsage }
	for range 2 {
		_, _, body := s.call(t, "POST", "/v1/responses", `{"input":"`+strings.Repeat("x", 200)+`"}`)
		if err := json.Unmarshal([]byte(body), &u); err != nil {
			t.Fatal(err)
		}
	}
	if c := u.Usage.InputTokensDetails.CachedTokens; c == 0 || c >= u.Usage.InputTokens {
		t.Errorf("%+v", u.Usage)
	}
}

// TestFreeText finds the same text however its JSON is cut.
func TestFreeText(t *testing.T) {
	for text, want := range map[string]string{
		`{"input": "a\n\"b\\ \u00e9 \ud83d\ude00 é"}`: "a\n\"b\\ é 😀 é",
		"\n{ \"input\" :\"\"}":                        "",
		`{"input": "\ud83dx"}`:                        "\uFFFDx",
		`{"other": "x"}`:                              "",
	} {
		for size := 1; size <= len(text); size++ {
			var f freeText
			got := ""
			for piece := range slices.Chunk([]rune(text), size) {
				got += f.add(string(piece))
			}
			if got != want {
				t.Errorf("%s in pieces of %d: %q, want %q", text, size, got, want)
			}
		}
	}
}
