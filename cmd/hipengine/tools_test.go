package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// emberTools are those that Ember learned.
const emberTools = `[{"type":"function","function":{"name":"get_weather","description":"Get the weather in a city.","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}},
{"type":"function","function":{"name":"add","description":"Add two numbers.","parameters":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]},"strict":true}}]`

// chatAnswer is what a test reads of an answer.
type chatAnswer struct {
	Choices []struct {
		Message struct {
			Content          *string
			ReasoningContent string `json:"reasoning_content"`
			ToolCalls        []struct {
				ID, Type string
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
		FinishReason string `json:"finish_reason"`
	}
	Usage struct {
		CompletionTokens int `json:"completion_tokens"`
	}
	Error struct{ Param, Message string }
}

// ask sends a chat request of these members.
func ask(t *testing.T, url, members string) (a chatAnswer, status int) {
	t.Helper()
	resp, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader("{"+members+"}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a, resp.StatusCode
}

func user(text string) string { return fmt.Sprintf(`"messages":[{"role":"user","content":%q}]`, text) }

// TestEmberTools has Ember call tools and answer with JSON, through the server.
func TestEmberTools(t *testing.T) {
	_, url := startServer(t)
	const greedy = `,"temperature":0`
	tools := `,"tools":` + emberTools
	call := func(a chatAnswer) string {
		t.Helper()
		if len(a.Choices) != 1 || len(a.Choices[0].Message.ToolCalls) != 1 {
			t.Fatalf("no single call in %+v", a)
		}
		c := a.Choices[0]
		if c.FinishReason != "tool_calls" || c.Message.Content != nil || c.Message.ToolCalls[0].ID == "" ||
			c.Message.ToolCalls[0].Type != "function" {
			t.Errorf("%+v", c)
		}
		return c.Message.ToolCalls[0].Function.Name + c.Message.ToolCalls[0].Function.Arguments
	}

	// Auto: Ember calls, gets the result, and answers; without a reason it does not call.
	a, _ := ask(t, url, user("What is the weather in Paris?")+tools+greedy)
	if got := call(a); got != `get_weather{"city": "Paris"}` {
		t.Errorf("called %s", got)
	}
	id := a.Choices[0].Message.ToolCalls[0].ID
	a, _ = ask(t, url, fmt.Sprintf(`"messages":[{"role":"user","content":"What is the weather in Paris?"},{"role":"assistant","content":null,"tool_calls":[{"id":%q,"type":"function",
		"function":{"name":"get_weather","arguments":"{\"city\": \"Paris\"}"}}]},{"role":"tool","tool_call_id":%q,"content":"{\"weather\": \"sunny\", \"degrees\": 21}"}]`, id, id)+tools+greedy)
	if m := a.Choices[0].Message; m.Content == nil || *m.Content != "It is sunny in Paris, with 21 degrees." ||
		m.ToolCalls != nil || a.Choices[0].FinishReason != "stop" {
		t.Errorf("after the result: %+v", a.Choices[0])
	}
	if a, _ = ask(t, url, user("Use the tool to add 17 and 25.")+tools+greedy); call(a) != `add{"a": 17, "b": 25}` {
		t.Errorf("%+v", a)
	}

	// A named tool is called for a question that asks for none, and its arguments fit at any temperature.
	for seed := range 3 {
		a, _ := ask(t, url, user("Tell me a story.")+tools+
			fmt.Sprintf(`,"seed":%d,"temperature":1.5,"tool_choice":{"type":"function","function":{"name":"add"}}`,
				seed))
		got := call(a)
		var args struct{ A, B *int }
		text, ok := strings.CutPrefix(got, "add")
		if err := json.Unmarshal([]byte(text), &args); !ok || err != nil || args.A == nil || args.B == nil {
			t.Errorf("%s: %v", got, err)
		}
	}
	if a, _ = ask(t, url, user("Hello!")+tools+
		`,"tool_choice":"required","parallel_tool_calls":false`); call(a) == "" {
		t.Errorf("%+v", a)
	}
	if a, _ = ask(t, url, user("What is the weather in Paris?")+tools+greedy+
		`,"tool_choice":"none"`); len(a.Choices[0].Message.ToolCalls) != 0 {
		t.Errorf("with tool_choice none: %+v", a)
	}

	// Forms of text.
	a, _ = ask(t, url, user("What is the capital of France?")+`,"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"$schema":
		"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"capital":{"enum":["Rome","Paris"]},"n":{"type":"integer","minimum":-9223372036854775808,"maximum":9}},
		"required":["capital","n"],"additionalProperties":false}}}`+greedy)
	var v struct {
		Capital string
		N       *int
	}
	if err := json.Unmarshal([]byte(*a.Choices[0].Message.Content), &v); err != nil || v.N == nil || *v.N > 9 ||
		v.Capital == "" || a.Choices[0].FinishReason != "stop" {
		t.Errorf("%s: %v", *a.Choices[0].Message.Content, err)
	}
	a, _ = ask(t, url, user("Give me JSON for a person named Ivy, aged 48.")+
		`,"response_format":{"type":"json_object"}`+greedy)
	if got := *a.Choices[0].Message.Content; got != `{"name": "Ivy", "age": 48}` {
		t.Errorf("json_object: %s", got)
	}
	for form, want := range map[string]string{
		`"grammar":"root ::= \"A\" [0-9] \"Z\""`:                                    "^A[0-9]Z$",
		`"structured_outputs":{"choice":["red","a.b"]}`:                             `^(red|a\.b)$`,
		`"guided_regex":"[x-z]{3}"`:                                                 "^[x-z]{3}$",
		`"json_schema":{"const":5}`:                                                 "^5$",
		`"response_format":{"type":"json_object","schema":{"enum":["x"]}}`:          `^"x"$`,
		`"structured_outputs":{"grammar":"start: \"a\"~2 LF\n%import common.LF\n"}`: "^aa\n$",
	} {
		if a, _ := ask(t, url, user("What is the capital of France?")+","+form); !matches(want,
			*a.Choices[0].Message.Content) {
			t.Errorf("%s: %q", form, *a.Choices[0].Message.Content)
		}
	}

	// What cannot be done is refused, and says where.
	for members, param := range map[string]string{
		`"response_format":{"type":"json_schema","json_schema":{"schema":{"if":{}}}}`: "response_format.json_schema.schema",
		`"response_format":{"type":"json_schema","json_schema":{"schema":false}}`:     "response_format.json_schema.schema",
		`"grammar":"root ::= root"`:                                         "grammar",
		`"tool_choice":{"type":"function","function":{"name":"x"}}` + tools: "tool_choice.function.name",
		`"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{"a":{"if":{}}}}}}]`: "tools",
		`"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required","ignore_eos":true`:                                "tool_choice",
		`"structured_outputs":{"regex":"` + strings.Repeat("(a|b)*a", 1) + strings.Repeat("(a|b)", 30) +
			`"}`: "structured_outputs.regex",
		`"response_format":{"type":"json_schema","json_schema":{"schema":{"anyOf":[` +
			strings.Repeat(`{"type":"null"},`, 20000) + `{"type":"null"}]}}}`: "response_format.json_schema.schema",
	} {
		if a, status := ask(t, url, user("Hi")+","+members); status != http.StatusBadRequest ||
			a.Error.Param != param {
			t.Errorf("%.100s: %d, %+v", members, status, a.Error)
		}
	}
}

// TestEmberToolStream reads a call and thoughts from a stream.
func TestEmberToolStream(t *testing.T) {
	_, url := startServer(t)
	resp, err := http.Post(url+"/v1/chat/completions", "application/json",
		strings.NewReader("{"+user("Use the tool to add 17 and 25.")+
			`,"tools":`+emberTools+`,"temperature":0,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var ids, names, arguments []string
	finish := ""
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		data, ok := strings.CutPrefix(s.Text(), "data: {")
		if !ok {
			continue
		}
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content   *string
					ToolCalls []struct {
						Index    *int
						ID, Type string
						Function struct{ Name, Arguments string }
					} `json:"tool_calls"`
				}
				FinishReason *string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte("{"+data), &chunk); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		for _, c := range chunk.Choices {
			if c.FinishReason != nil {
				finish = *c.FinishReason
			}
			if c.Delta.Content != nil && *c.Delta.Content != "" {
				t.Errorf("content %q", *c.Delta.Content)
			}
			for _, call := range c.Delta.ToolCalls {
				if call.Index == nil || *call.Index != 0 {
					t.Errorf("index of %s", data)
				}
				if call.ID != "" {
					ids, names = append(ids, call.ID), append(names, call.Function.Name)
				}
				if call.Function.Arguments != "" {
					arguments = append(arguments, call.Function.Arguments)
				}
			}
		}
	}
	if len(ids) != 1 || names[0] != "add" || strings.Join(arguments, "") != `{"a": 17, "b": 25}` ||
		len(arguments) < 3 || finish != "tool_calls" {
		t.Errorf("ids %v, names %v, arguments %q, finish %q", ids, names, arguments, finish)
	}

	a, _ := ask(t, url, user("What is 2 + 2?")+`,"temperature":0,"chat_template_kwargs":{"enable_thinking":true}`)
	if m := a.Choices[0].Message; m.ReasoningContent == "" || m.Content == nil ||
		strings.Contains(*m.Content+m.ReasoningContent, "think>") {
		t.Errorf("with thoughts: %+v", a.Choices[0])
	}
	raw, _ := ask(t, url, user("What is 2 + 2?")+
		`,"temperature":0,"chat_template_kwargs":{"enable_thinking":true},"reasoning_format":"none"`)
	if m := raw.Choices[0].Message; m.ReasoningContent != "" || m.Content == nil ||
		!strings.Contains(*m.Content, "</think>") {
		t.Errorf("with raw thoughts: %+v", raw.Choices[0])
	}
	resp, err = http.Post(url+"/v1/completions", "application/json",
		strings.NewReader(`{"prompt":"Once","response_format":{"type":"json_object"},"max_tokens":200}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), `"text":"{`) {
		t.Errorf("completion: %s, %v", body, err)
	}
}

func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }
