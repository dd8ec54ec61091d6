package ollama

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/serve/openai"
)

const user = `"messages":[{"role":"user","content":"hi"}],`

// TestFields expects of each field what it becomes.
func TestFields(t *testing.T) {
	for _, c := range []struct {
		members string
		get     func(*Chat) any
		want    string
	}{
		{`"model":"m"`, func(q *Chat) any { return q.Model }, "m"},
		{`"model":"m"`, func(q *Chat) any { return q.Stream }, "true"},
		{`"stream":false`, func(q *Chat) any { return q.Stream }, "false"},
		{`"stream":null`, func(q *Chat) any { return q.Stream }, "true"},
		{`"keep_alive":"5m"`, func(q *Chat) any { return q.Empty }, "false"},
		{`"keep_alive":0`, func(q *Chat) any { return q.Empty }, "false"},
		{`"options":{"num_predict":7}`, func(q *Chat) any { return q.MaxTokens }, "7"},
		{`"options":{"num_predict":-1}`, func(q *Chat) any { return q.MaxTokens }, "0"},
		{`"options":{"num_predict":-2}`, func(q *Chat) any { return q.MaxTokens }, "0"},
		{`"options":{"num_ctx":99}`, func(q *Chat) any { return q.Context }, "99"},
		{`"options":{"temperature":0.5,"top_k":7,"top_p":0.25,"min_p":0.125}`, func(q *Chat) any {
			return fmt.Sprint(*q.Sampling.Temperature, *q.Sampling.TopK, *q.Sampling.TopP, *q.Sampling.MinP)
		}, "0.5 7 0.25 0.125"},
		{`"options":{"repeat_penalty":1.5,"presence_penalty":1,"frequency_penalty":0.5,"repeat_last_n":9,"seed":42}`,
			func(q *Chat) any {
				s := q.Sampling
				return fmt.Sprint(*s.RepeatPenalty, *s.PresencePenalty, *s.FrequencyPenalty, *s.RepeatLastN, *s.Seed)
			}, "1.5 1 0.5 9 42"},
		{`"options":{"stop":["a","b"]}`, func(q *Chat) any { return q.Stop }, "[a b]"},
		{`"options":{"num_gpu":1,"num_thread":4,"num_batch":8,"use_mmap":true,"numa":false,"num_keep":4,"main_gpu":0,"low_vram":false,
			"penalize_newline":true,"tfs_z":1.0,"mirostat":0,"mirostat_tau":5.0,"mirostat_eta":0.1,"draft_num_predict":4}`,
			func(q *Chat) any { return q.MaxTokens }, "0"},
		{`"format":"json"`, func(q *Chat) any { return q.Form.JSONObject }, "true"},
		{`"format":""`, func(q *Chat) any { return q.Form == nil }, "true"},
		{`"format":{"type":"object"}`, func(q *Chat) any { return q.Form.JSONSchema }, `{"type":"object"}`},
		{`"think":true`, func(q *Chat) any { return string(q.Kwargs["enable_thinking"]) }, "true"},
		{`"think":false`, func(q *Chat) any { return string(q.Kwargs["enable_thinking"]) }, "false"},
		{`"think":"high"`, func(q *Chat) any {
			return string(q.Kwargs["reasoning_effort"]) + string(q.Kwargs["enable_thinking"])
		}, `"high"true`},
		{`"logprobs":true,"top_logprobs":3`, func(q *Chat) any { return fmt.Sprint(q.Logprobs, q.TopLogprobs) },
			"true 3"},
		{`"truncate":false,"shift":false`, func(q *Chat) any { return q.Empty }, "false"},
		{`"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"z":1,"a":2}}}]`,
			func(q *Chat) any { return string(q.Tools) },
			`[{"type":"function","function":{"name":"f","description":"d","parameters":{"z":1,"a":2}}}]`},
		{`"tools":[]`, func(q *Chat) any { return q.Tools == nil }, "true"},
	} {
		q, err := ParseChat([]byte(`{`+user+c.members+`}`), openai.Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.members, err)
		} else if got := fmt.Sprint(c.get(q)); got != c.want {
			t.Errorf("%s: %s, want %s", c.members, got, c.want)
		}
	}
	for _, body := range []string{`{"model":"m"}`, `{"model":"m","messages":[]}`, `{"model":"m","keep_alive":"5m"}`} {
		if q, err := ParseChat([]byte(body), openai.Limits{}); err != nil || !q.Empty {
			t.Errorf("%s: %+v, %v", body, q, err)
		}
	}
}

// TestConversations expects the messages that templates see.
func TestConversations(t *testing.T) {
	for _, c := range []struct{ messages, want string }{
		{`{"role":"system","content":"s"},{"role":"user","content":"x","images":[]}`,
			`[{"role":"system","content":"s"},{"role":"user","content":"x"}]`},
		{`{"role":"user","content":"x"},{"role":"assistant","content":"","thinking":"hm","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},
			{"id":"mine","type":"function","function":{"index":1,"name":"g"}},{"function":{"name":"f","arguments":{}}}]},
			{"role":"tool","tool_name":"g","content":"2"},{"role":"tool","content":"1"},{"role":"tool","tool_name":"f","content":"3"},
			{"role":"tool","tool_call_id":"other","content":"4"}`,
			`[{"role":"user","content":"x"},{"role":"assistant","content":"","reasoning_content":"hm","tool_calls":[` +
				`{"id":"call_1","type":"function","function":{"name":"f","arguments":{"a":1}}},` +
				`{"id":"mine","type":"function","function":{"name":"g","arguments":{}}},` +
				`{"id":"call_2","type":"function","function":{"name":"f","arguments":{}}}]},` +
				`{"role":"tool","content":"2","name":"g","tool_call_id":"mine"},{"role":"tool","content":"1","tool_call_id":"call_1"},` +
				`{"role":"tool","content":"3","name":"f","tool_call_id":"call_2"},{"role":"tool","content":"4","tool_call_id":"other"}]`},
		{`{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{}}}]}`,
			`[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function",` +
				`"function":{"name":"f","arguments":{}}}]}]`},
		{`{"role":"assistant","thinking":"hm"}`, `[{"role":"assistant","content":"","reasoning_content":"hm"}]`},
	} {
		q, err := ParseChat([]byte(`{"messages":[`+c.messages+`]}`), openai.Limits{})
		if err != nil || string(q.Messages) != c.want {
			t.Errorf("%s:\n%v, %v, want\n%s", c.messages, q, err, c.want)
		}
	}
}

// TestGenerate expects of each field what it becomes.
func TestGenerate(t *testing.T) {
	for body, want := range map[string]string{
		`{"prompt":"x"}`:                      `false false [{"role":"user","content":"x"}]`,
		`{"prompt":"x","system":"s"}`:         `false false [{"role":"system","content":"s"},{"role":"user","content":"x"}]`,
		`{"prompt":"x","raw":true}`:           `true false [{"role":"user","content":"x"}]`,
		`{"model":"m","keep_alive":"-1"}`:     `false true [{"role":"user","content":""}]`,
		`{"prompt":"x","images":[]}`:          `false false [{"role":"user","content":"x"}]`,
		`{"prompt":"x","context":[]}`:         `false false [{"role":"user","content":"x"}]`,
		`{"prompt":"x","template":""}`:        `false false [{"role":"user","content":"x"}]`,
		`{"prompt":"x","keep_alive":0}`:       `false false [{"role":"user","content":"x"}]`,
		`{"prompt":"x","suffix":"","a":null}`: `false false [{"role":"user","content":"x"}]`,
	} {
		g, err := ParseGenerate([]byte(body), openai.Limits{})
		if err != nil {
			t.Errorf("%s: %v", body, err)
		} else if got := fmt.Sprint(g.Raw, g.Empty, " ", string(g.Messages)); strings.Replace(got, "  ", " ",
			1) != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

// refused are bodies and the field and words of their errors.
type refused struct{ members, param, say string }

func checkRefused(t *testing.T, format string, parse func([]byte) error, cases []refused) {
	t.Helper()
	for _, c := range cases {
		err := parse([]byte(fmt.Sprintf(format, c.members)))
		var e *openai.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Param != c.param || !strings.Contains(e.Message, c.say) {
			t.Errorf("%s: %v, want param %q and %q", c.members, err, c.param, c.say)
		}
	}
}

func TestErrors(t *testing.T) {
	shared := []refused{
		{`"stream":1`, "stream", "a boolean"},
		{`"format":"yaml"`, "format", "json"},
		{`"format":7`, "format", "a JSON Schema"},
		{`"think":"deep"`, "think", "low or medium"},
		{`"think":1`, "think", "a boolean"},
		{`"top_logprobs":2`, "top_logprobs", "logprobs is true"},
		{`"logprobs":true,"top_logprobs":21`, "top_logprobs", "from 0 to 20"},
		{`"truncate":true`, "truncate", "nothing is dropped"},
		{`"shift":true`, "shift", "nothing is dropped"},
		{`"options":[]`, "options", "an object"},
		{`"options":{"temperature":-1}`, "options.temperature", "from 0"},
		{`"options":{"top_p":2}`, "options.top_p", "from 0 to 1"},
		{`"options":{"min_p":2}`, "options.min_p", "from 0 to 1"},
		{`"options":{"top_k":1.5}`, "options.top_k", "an integer"},
		{`"options":{"repeat_penalty":0}`, "options.repeat_penalty", "from 0.01"},
		{`"options":{"repeat_last_n":-2}`, "options.repeat_last_n", "from -1"},
		{`"options":{"presence_penalty":3}`, "options.presence_penalty", "from -2 to 2"},
		{`"options":{"frequency_penalty":3}`, "options.frequency_penalty", "from -2 to 2"},
		{`"options":{"seed":"x"}`, "options.seed", "an integer"},
		{`"options":{"stop":[1]}`, "options.stop[0]", "a string"},
		{`"options":{"num_predict":0}`, "options.num_predict", "positive"},
		{`"options":{"num_predict":-3}`, "options.num_predict", "from -2"},
		{`"options":{"num_ctx":0}`, "options.num_ctx", "from 1"},
		{`"options":{"mirostat":3}`, "options.mirostat", "from 0 to 2"},
		{`"options":{"tfs_z":0.5}`, "options.tfs_z", "not offered"},
		{`"options":{"mirostat_tau":"x"}`, "options.mirostat_tau", "a number"},
		{`"options":{"temprature":1}`, "options.temprature", "unknown field"},
		{`"max_tokens":1`, "max_tokens", "unknown field"},
	}
	chat := func(b []byte) error { _, err := ParseChat(b, openai.Limits{}); return err }
	checkRefused(t, `{"messages":[{"role":"user","content":"hi"}],%s}`, chat, shared)
	checkRefused(t, `{%s}`, chat, []refused{
		{`"messages":"x"`, "messages", "an array"},
		{`"messages":[{"content":"x"}]`, "messages[0].role", "required"},
		{`"messages":[{"role":"robot","content":"x"}]`, "messages[0].role", "robot"},
		{`"messages":[{"role":"user"}]`, "messages[0].content", "required"},
		{`"messages":[{"role":"user","content":["x"]}]`, "messages[0].content", "a string"},
		{`"messages":[{"role":"user","content":"x","images":["aGk="]}]`, "messages[0].images",
			"images are not offered"},
		{`"messages":[{"role":"user","content":"x","name":"n"}]`, "messages[0].name", "unknown field"},
		{`"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]`,
			"messages[0].tool_calls[0].function.arguments", "an object"},
		{`"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"a b"}}]}]`,
			"messages[0].tool_calls[0].function.name", "letters"},
		{`"messages":[{"role":"assistant","tool_calls":[{}]}]`, "messages[0].tool_calls[0].function", "required"},
		{`"messages":[{"role":"user","content":"x"}],"tools":[{"type":"web"}]`, "tools[0].type", "function"},
		{`"messages":[{"role":"user","content":"x"}],"tools":[{"function":{"name":"f","parameters":1}}]`,
			"tools[0].function.parameters", "an object"},
		{`"messages":[],"keep_alive":0`, "keep_alive", "hipengine unload"},
	})
	generate := func(b []byte) error { _, err := ParseGenerate(b, openai.Limits{}); return err }
	checkRefused(t, `{"prompt":"x",%s}`, generate, append(shared, []refused{
		{`"images":["aGk="]`, "images", "images are not offered"},
		{`"template":"{{ .Prompt }}"`, "template", "raw"},
		{`"context":[1,2]`, "context", "/api/chat"},
		{`"raw":true,"system":"s"`, "system", "raw"},
		{`"raw":true,"think":true`, "think", "raw"},
		{`"suffix":"s","system":"b"`, "suffix", "is not allowed with raw, system or think"},
		{`"suffix":"s","raw":true`, "suffix", "is not allowed with raw, system or think"},
		{`"suffix":"s","think":true`, "suffix", "is not allowed with raw, system or think"},
		{`"tools":[]`, "tools", "unknown field"},
	}...))
	checkRefused(t, `{"prompt":%s}`, generate,
		[]refused{{`7`, "prompt", "a string"}, {`"","keep_alive":"0s"`, "keep_alive", "hipengine unload"}})
	checkRefused(t, `{%s}`, func(b []byte) error { _, err := ParseEmbed(b, openai.Limits{}); return err }, []refused{
		{``, "input", "required"},
		{`"input":1`, "input", "an array"},
		{`"input":["a",1]`, "input[1]", "a string"},
		{`"input":"a","truncate":1`, "truncate", "a boolean"},
		{`"input":"a","dimensions":-1`, "dimensions", "from 0"},
		{`"input":"a","prompt":"b"`, "prompt", "unknown field"},
		{`"input":"a","options":{"num_ctx":-1}`, "options.num_ctx", "from 1"},
	})
	checkRefused(t, `{%s}`, func(b []byte) error { _, err := ParseEmbeddings(b, openai.Limits{}); return err },
		[]refused{
			{``, "prompt", "required"}, {`"prompt":["a"]`, "prompt", "a string"},
			{`"prompt":"a","dimensions":1`, "dimensions", "unknown field"},
		})
	checkRefused(t, `{%s}`, func(b []byte) error { _, err := ParseShow(b, openai.Limits{}); return err }, []refused{
		{``, "model", "required"}, {`"model":1`, "model", "a string"},
		{`"model":"a","verbose":1`, "verbose", "a boolean"},
	})
}

// FuzzRequest checks that no body breaks a decoder, and that what is read is in range.
func FuzzRequest(f *testing.F) {
	for _, body := range []string{
		`{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},{"role":"tool","content":"x"}]}`,
		`{"prompt":"x","system":"s","raw":false,"options":{"num_predict":-1,"stop":["a"],"mirostat":0}}`,
		`{"input":["a","b"],"truncate":false,"dimensions":3}`, `{"name":"m","verbose":true}`,
		`{"messages":[],"keep_alive":"0"}`,
		`{"messages":[{"role":"user","content":"x"}],"format":{"type":"object"},"think":"low","logprobs":true,"top_logprobs":2}`,
	} {
		f.Add([]byte(body))
	}
	check := func(t *testing.T, err error) {
		if e := new(openai.Error); err != nil && (!errors.As(err, &e) || e.Status < 400 || NewError(e).Error == "") {
			t.Errorf("error %v", err)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseChat(body, openai.Limits{})
		if check(t, err); err == nil {
			var list []map[string]any
			if e := json.Unmarshal(c.Messages, &list); e != nil && string(c.Messages) != "null" || c.MaxTokens < 0 ||
				c.Context < 0 || c.N != 1 {
				t.Errorf("%+v: %v", c, e)
			}
		}
		g, err := ParseGenerate(body, openai.Limits{})
		if check(t, err); err == nil && (g.MaxTokens < 0 || !json.Valid(g.Messages)) {
			t.Errorf("%+v", g)
		}
		e, err := ParseEmbed(body, openai.Limits{})
		if check(t, err); err == nil &&
			(len(e.Inputs) > openai.DefaultLimits().Inputs || e.Dimensions < 0 || e.Context < 0) {
			t.Errorf("%+v", e)
		}
		e, err = ParseEmbeddings(body, openai.Limits{})
		if check(t, err); err == nil && len(e.Inputs) != 1 {
			t.Errorf("%+v", e)
		}
		_, err = ParseShow(body, openai.Limits{})
		check(t, err)
	})
}
