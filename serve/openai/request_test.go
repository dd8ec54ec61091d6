package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/sample"
)

func TestParseChatReadsEveryField(t *testing.T) {
	got, err := ParseChat([]byte(`{
		"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "top_p": 0.9, "top_k": 20, "min_p": 0.1,
		"repeat_penalty": 1.1, "presence_penalty": 0.2, "frequency_penalty": -0.3, "repeat_last_n": -1, "seed": -5,
		"logit_bias": {"7": -100, "9": 1.5}, "stop": ["a", "b"], "n": 3, "max_completion_tokens": 99, "logprobs": true,
		"top_logprobs": 4, "stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false},
		"ignore_eos": true, "reasoning_effort": "high", "chat_template_kwargs": {"enable_thinking": false, "thinking_budget": 100},
		"tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"z": 1, "a": 2}, "strict": false}}],
		"tool_choice": "auto", "response_format": {"type": "text"}, "modalities": ["text"],
		"user": "u", "store": true, "metadata": {"a": "b"}, "service_tier": "auto", "parallel_tool_calls": false,
		"safety_identifier": "x", "prompt_cache_key": "x", "prompt_cache_retention": "24h", "prediction": {"type": "content"}
	}`), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"model": "m", "n": "3", "max": "99", "stop": "[a b]", "stream": "true", "usage": "true", "logprobs": "true 4",
		"eos":      "true",
		"messages": `[{"role":"user","content":"hi"}]`, "effort": `"high"`, "think": "false", "budget": "100",
		"tools":   `[{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"z": 1, "a": 2}, "strict": false}}]`,
		"samp":    "0.5 0.9 20 0.1 1.1 0.2 -0.3 -1",
		"seed":    fmt.Sprint(uint64(math.MaxUint64 - 4)),
		"bias":    "map[7:-100 9:1.5]",
		"nothing": "",
	}
	s := got.Sampling
	for name, v := range map[string]any{
		"model": got.Model, "n": got.N, "max": got.MaxTokens, "stop": got.Stop, "stream": got.Stream,
		"usage":    got.IncludeUsage,
		"logprobs": fmt.Sprint(got.Logprobs, got.TopLogprobs), "eos": got.IgnoreEOS, "messages": string(got.Messages),
		"effort": string(got.Kwargs["reasoning_effort"]), "think": string(got.Kwargs["enable_thinking"]),
		"budget": string(got.Kwargs["thinking_budget"]), "tools": string(got.Tools),
		"samp": fmt.Sprint(*s.Temperature, *s.TopP, *s.TopK, *s.MinP, *s.RepeatPenalty, *s.PresencePenalty,
			*s.FrequencyPenalty, *s.RepeatLastN),
		"seed": *s.Seed, "bias": s.LogitBias, "nothing": "",
	} {
		if fmt.Sprint(v) != want[name] {
			t.Errorf("%s = %v, want %s", name, v, want[name])
		}
	}
}

func TestParseChatAbsentAndNullAreEqual(t *testing.T) {
	a, err := ParseChat([]byte(`{"messages":[{"role":"user","content":"x"}]}`), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseChat([]byte(` {"messages":[{"role":"user","content":"x","name":null}],"stop":null,"temperature":null,"n":null,
		"tools":null,"seed":null,"logit_bias":null,"stream":null,"max_tokens":null,"response_format":null,"functions":null} `), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if x, y := fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b); x != y {
		t.Errorf("absent: %s\nnull: %s", x, y)
	}
	if a.N != 1 || a.Sampling.Temperature != nil || a.Tools != nil || a.MaxTokens != 0 {
		t.Errorf("defaults: %+v", a)
	}
}

func TestMessagesForTemplates(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"text parts", `[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]`,
			`[{"role":"user","content":"a\nb"}]`},
		{"empty content", `[{"role":"user","content":""}]`, `[{"role":"user","content":""}]`},
		{"no parts", `[{"role":"user","content":[]}]`, `[{"role":"user","content":""}]`},
		{"developer", `[{"role":"developer","content":"x"}]`, `[{"role":"system","content":"x"}]`},
		{
			"tool call", `[{"role":"assistant","content":null,"refusal":null,"audio":null,"annotations":[],"reasoning_content":"r","tool_calls":[
				{"id":"1","index":0,"type":"function","function":{"name":"f","arguments":"{\"z\":1, \"a\":[2]}"}},{"id":"2","function":{"name":"g","arguments":""}}]},
				{"role":"tool","tool_call_id":"1","name":"f","content":"ok"}]`,
			`[{"role":"assistant","content":null,"reasoning_content":"r","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":{"z":1,"a":[2]}}},` +
				`{"id":"2","type":"function","function":{"name":"g","arguments":{}}}]},{"role":"tool","content":"ok","name":"f","tool_call_id":"1"}]`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseChat([]byte(`{"messages":`+c.in+`}`), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Messages) != c.want {
				t.Errorf("got  %s\nwant %s", got.Messages, c.want)
			}
		})
	}
}

func TestWireSamplingMeansWhatItSays(t *testing.T) {
	parse := func(s string) *ChatRequest {
		c, err := ParseChat([]byte(`{"messages":[{"role":"user","content":"x"}],`+s+`}`), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if p := parse(`"top_p":0`).Sampling.TopP; !(*p > 0) {
		t.Errorf("top_p 0 became %v, which is off", *p)
	}
	if p := parse(`"top_p":1e-300`).Sampling.TopP; !(*p > 0) {
		t.Errorf("tiny top_p became %v, which is off", *p)
	}
	if k := parse(`"top_k":-1`).Sampling.TopK; *k != 0 {
		t.Errorf("top_k -1 became %d", *k)
	}
	if s := parse(`"typical_p":0,"top_n_sigma":-1,"seed":-1,"dry_multiplier":1,"dry_penalty_last_n":0,"dry_sequence_breakers":[],"samplers":""`).Sampling; !(*s.TypicalP > 0) ||
		*s.TopNSigma != 0 || s.Seed != nil || *s.DRYMultiplier != 0 || s.DRYLastN != nil || s.DRYBreakers == nil ||
		s.Order == nil {
		t.Errorf("typical_p 0, top_n_sigma -1, seed -1, dry_penalty_last_n 0 and empty lists became %+v", s)
	}
	if c := parse(`"logit_bias":[[5,1],["a b",false],[5,2]]`); c.Sampling.LogitBias[5] != 3 || len(c.BiasTexts) != 1 ||
		c.BiasTexts[0].Text != "a b" || !(c.BiasTexts[0].Bias < -1e38) {
		t.Errorf("logit_bias became %v and %v", c.Sampling.LogitBias, c.BiasTexts)
	}
	if s := parse(`"repeat_last_n":0,"repeat_penalty":2,"presence_penalty":1`).Sampling; *s.RepeatPenalty != 1 ||
		*s.PresencePenalty != 0 || s.RepeatLastN != nil {
		t.Errorf("repeat_last_n 0 left %+v", s)
	}
	if p := parse(`"repetition_penalty":1.25`).Sampling.RepeatPenalty; *p != 1.25 {
		t.Errorf("repetition_penalty became %v", *p)
	}
	if c := parse(`"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none"`); c.Tools != nil {
		t.Errorf("tool_choice none left %s", c.Tools)
	}
	if c := parse(`"max_tokens":-1`); c.MaxTokens != 0 {
		t.Errorf("max_tokens -1 became %d", c.MaxTokens)
	}
	if c := parse(`"max_tokens":5,"max_completion_tokens":5`); c.MaxTokens != 5 {
		t.Errorf("max_tokens %d", c.MaxTokens)
	}
}

// fieldErrors are bodies, as members beside a valid request, with the path of the field and a part of the message.
var fieldErrors = []struct{ members, param, say string }{
	{`"max_tokens":1,"max_output_tokens":2`, "max_output_tokens", "another name of max_tokens"},
	{`"temperature":"hot"`, "temperature", "a number, not a string"},
	{`"temperature":-0.1`, "temperature", "from 0 to 5"},
	{`"temperature":1e999`, "temperature", "from 0 to 5"},
	{`"top_p":1.01`, "top_p", "from 0 to 1"},
	{`"min_p":true`, "min_p", "not a boolean"},
	{`"top_k":1.5`, "top_k", "an integer, not 1.5"},
	{`"top_k":-2`, "top_k", "from -1"},
	{`"repeat_penalty":0`, "repeat_penalty", "from 0.01"},
	{`"repeat_penalty":1.1,"repetition_penalty":1.2`, "repetition_penalty", "repeat_penalty"},
	{`"presence_penalty":3`, "presence_penalty", "from -2 to 2"},
	{`"frequency_penalty":-3`, "frequency_penalty", "from -2 to 2"},
	{`"repeat_last_n":-2`, "repeat_last_n", "from -1"},
	{`"seed":99999999999999999999`, "seed", "from"},
	{`"seed":"1"`, "seed", "an integer, not a string"},
	{`"logit_bias":"x"`, "logit_bias", "an object or an array, not a string"},
	{`"logit_bias":{"-1":1}`, "logit_bias", "token id"},
	{`"logit_bias":{"01":1}`, "logit_bias", "token id"},
	{`"logit_bias":{"5":101}`, "logit_bias.5", "from -100 to 100"},
	{`"logit_bias":{"5":true}`, "logit_bias.5", "false for never"},
	{`"logit_bias":{"5":null}`, "logit_bias.5", "false for never"},
	{`"logit_bias":{"":1}`, "logit_bias", "empty"},
	{`"logit_bias":[5]`, "logit_bias[0]", "an array, not a number"},
	{`"logit_bias":[[5]]`, "logit_bias[0]", "and its bias"},
	{`"logit_bias":[[5,1,2]]`, "logit_bias[0]", "3 elements"},
	{`"logit_bias":[[5,101]]`, "logit_bias[0][1]", "from -100 to 100"},
	{`"logit_bias":[[1.5,1]]`, "logit_bias[0][0]", "token id"},
	{`"logit_bias":[["` + strings.Repeat("x", 257) + `",1]]`, "logit_bias[0][0]", "257 bytes"},
	{`"logit_bias":[` + strings.Repeat("[1,1],", 1024) + `[1,1]]`, "logit_bias", "1025 entries"},
	{`"typical_p":1.5`, "typical_p", "from 0 to 1"},
	{`"top_n_sigma":-2`, "top_n_sigma", "from -1 to 100"},
	{`"min_keep":-1`, "min_keep", "from 0"},
	{`"dynatemp_range":-1`, "dynatemp_range", "from 0 to 5"},
	{`"dynatemp_exponent":11`, "dynatemp_exponent", "from 0 to 10"},
	{`"xtc_probability":1.1`, "xtc_probability", "from 0 to 1"},
	{`"xtc_threshold":-0.1`, "xtc_threshold", "from 0 to 1"},
	{`"dry_multiplier":101`, "dry_multiplier", "from 0 to 100"},
	{`"dry_base":0.9`, "dry_base", "from 1 to 100"},
	{`"dry_allowed_length":0`, "dry_allowed_length", "from 1"},
	{`"dry_penalty_last_n":-2`, "dry_penalty_last_n", "from -1"},
	{`"dry_sequence_breakers":"x"`, "dry_sequence_breakers", "an array, not a string"},
	{`"dry_sequence_breakers":["x",""]`, "dry_sequence_breakers[1]", "empty"},
	{`"mirostat":3`, "mirostat", "from 0 to 2"},
	{`"mirostat_tau":-1`, "mirostat_tau", "from 0 to 100"},
	{`"mirostat_eta":1.5`, "mirostat_eta", "from 0 to 1"},
	{`"samplers":["top_k","infill"]`, "samplers[1]", "infill"},
	{`"samplers":"kz"`, "samplers", "kz"},
	{`"samplers":1`, "samplers", "an array of names or a string"},
	{`"min_tokens":-1`, "min_tokens", "from 0"},
	{`"bad_words":[""]`, "bad_words[0]", "empty"},
	{`"bad_words":"x"`, "bad_words", "an array, not a string"},
	{`"stop_token_ids":[-1]`, "stop_token_ids[0]", "from 0"},
	{`"stop_token_ids":5`, "stop_token_ids", "an array, not a number"},
	{`"min_tokens":5,"grammar":"root ::= x"`, "min_tokens", "grammar"},
	{`"stop":5`, "stop", "a string or an array"},
	{`"stop":[1]`, "stop[0]", "a string, not a number"},
	{`"stop":["a",""]`, "stop[1]", "empty"},
	{`"stop":["` + strings.Repeat("x", 257) + `"]`, "stop[0]", "257 bytes"},
	{`"stop":["a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a"]`, "stop", "17 elements"},
	{`"n":0`, "n", "from 1 to 16"},
	{`"n":1000000000`, "n", "from 1 to 16"},
	{`"max_tokens":-2`, "max_tokens", "from 1"},
	{`"stream":"yes"`, "stream", "a boolean, not a string"},
	{`"stream_options":{"include_usage":true}`, "stream_options", "stream is true"},
	{`"stream":true,"stream_options":{"include_stuff":true}`, "stream_options.include_stuff", "unknown field"},
	{`"stream":true,"stream_options":{"include_usage":1}`, "stream_options.include_usage", "a boolean, not a number"},
	{`"model":7`, "model", "a string, not a number"},
	{`"n_discard":-5`, "n_discard", "unknown field"},
	{`"Temperature":0`, "Temperature", "unknown field"},
	{`"temperature":1,"temperature":2`, "", "comes twice"},
}

func checkFieldErrors(t *testing.T, request string, parse func([]byte) error,
	cases []struct{ members, param, say string }) {
	t.Helper()
	for _, c := range cases {
		body := fmt.Sprintf(request, c.members)
		err := parse([]byte(body))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v, want an *Error", c.members, err)
			continue
		}
		if e.Status != 400 || e.Type != TypeInvalidRequest || e.Param != c.param ||
			!strings.Contains(e.Message, c.say) {
			t.Errorf("%.200s: got %d %q %q, want param %q and %q", c.members, e.Status, e.Param, e.Message, c.param,
				c.say)
		}
	}
}

func TestChatErrorsNameTheField(t *testing.T) {
	parse := func(b []byte) error { _, err := ParseChat(b, Limits{}); return err }
	checkFieldErrors(t, `{"messages":[{"role":"user","content":"x"}],%s}`, parse,
		slices.Concat(fieldErrors, []struct{ members, param, say string }{
			{`"continue_final_message":true`, "continue_final_message", "the assistant's"},
			{`"continue_final_message":1`, "continue_final_message", "a boolean"},
			{`"add_generation_prompt":"x"`, "add_generation_prompt", "a boolean"},
			{`"continue_final_message":true,"add_generation_prompt":true`, "add_generation_prompt",
				"continue_final_message"},
			{`"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"g"}}`, "tool_choice.function.name", `"g"`},
			{`"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools"}`,
				"tool_choice.allowed_tools", "required"},
			{`"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"x"}]}}`,
				"tool_choice.allowed_tools.tools[0].type", "function"},
			{`"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto"}}`,
				"tool_choice.allowed_tools.tools", "required"},
			{`"max_tokens":5,"max_completion_tokens":6`, "max_tokens", "another name"},
			{`"logprobs":3`, "logprobs", "a boolean, not a number"},
			{`"top_logprobs":3`, "top_logprobs", "logprobs is true"},
			{`"logprobs":true,"top_logprobs":21`, "top_logprobs", "from 0 to 20"},
			{`"tools":{}`, "tools", "an array, not an object"},
			{`"tools":[{"type":"web_search"}]`, "tools[0].type", "web_search"},
			{`"tools":[{"type":"function"}]`, "tools[0].function", "required"},
			{`"tools":[{"type":"function","function":{}}]`, "tools[0].function.name", "required"},
			{`"tools":[{"type":"function","function":{"name":"a b"}}]`, "tools[0].function.name", "letters"},
			{`"tools":[{"type":"function","function":{"name":"a","parameters":"x"}}]`, "tools[0].function.parameters",
				"an object"},
			{`"tools":[{"type":"function","function":{"name":"a","strict":1}}]`, "tools[0].function.strict",
				"a boolean"},
			{`"tools":[{"type":"function","function":{"name":"a"},"x":1}]`, "tools[0].x", "unknown field"},
			{`"tool_choice":"required"`, "tool_choice", "no tools"},
			{`"tool_choice":{"type":"function","function":{"name":"a"}}`, "tool_choice", "no tools"},
			{`"tool_choice":{"type":"function","function":{}}`, "tool_choice.function.name", "required"},
			{`"tool_choice":{"type":"custom"}`, "tool_choice.type", "function"},
			{`"tool_choice":"sometimes"`, "tool_choice", "auto or none"},
			{`"parallel_tool_calls":1`, "parallel_tool_calls", "a boolean"},
			{`"reasoning_format":"some"`, "reasoning_format", "none"},
			{`"tool_choice":1`, "tool_choice", "a string"},
			{`"response_format":{"type":"json_schema","json_schema":{}}`, "response_format.json_schema.schema",
				"required"},
			{`"response_format":{"type":"json_schema"}`, "response_format.json_schema.schema", "required"},
			{`"response_format":{"type":"json_schema","json_schema":{"schema":1}}`,
				"response_format.json_schema.schema",
				"a JSON Schema"},
			{`"response_format":{"type":"xml"}`, "response_format.type", "json_object"},
			{`"response_format":{"type":"json_object"},"grammar":"root ::= x"`, "grammar", "response_format"},
			{`"response_format":{"type":"json_object"},"ignore_eos":true`, "ignore_eos", "response_format"},
			{`"structured_outputs":{"choice":[]}`, "structured_outputs.choice", "empty"},
			{`"structured_outputs":{"xgrammar":1}`, "structured_outputs.xgrammar", "unknown"},
			{`"guided_choice":[1]`, "guided_choice[0]", "a string"},
			{`"json_schema":"{"`, "json_schema", "JSON"},
			{`"modalities":["text","audio"]`, "modalities[1]", "audio"},
			{`"functions":[]`, "functions", "tools"},
			{`"audio":{}`, "audio", "not offered"},
			{`"web_search_options":{}`, "web_search_options", "not offered"},
			{`"chat_template_kwargs":{"documents":[1]}`, "chat_template_kwargs.documents[0]", "an object"},
			{`"chat_template_kwargs":{"documents":"x"}`, "chat_template_kwargs.documents", "an array"},
			{`"documents":["x"]`, "documents[0]", "an object"},
			{`"documents":[{}],"chat_template_kwargs":{"documents":[{}]}`, "documents", "given twice"},
			{`"chat_template_kwargs":{"evil":1}`, "chat_template_kwargs.evil", "unknown field"},
			{`"chat_template_kwargs":{"enable_thinking":"no"}`, "chat_template_kwargs.enable_thinking", "a boolean"},
			{`"chat_template_kwargs":{"reasoning_effort":"big"}`, "chat_template_kwargs.reasoning_effort",
				"must be none"},
			{`"reasoning_effort":"low","chat_template_kwargs":{"reasoning_effort":"high"}`,
				"chat_template_kwargs.reasoning_effort", "differs"},
		}))
	checkFieldErrors(t, `{"messages":%s}`, parse, []struct{ members, param, say string }{
		{`"hi"`, "messages", "an array, not a string"},
		{`[]`, "messages", "empty"},
		{`null`, "messages", "required"},
		{`[7]`, "messages[0]", "an object, not a number"},
		{`[null]`, "messages[0]", "not null"},
		{`[{"content":"x"}]`, "messages[0].role", "required"},
		{`[{"role":null,"content":"x"}]`, "messages[0].role", "required"},
		{`[{"role":"robot","content":"x"}]`, "messages[0].role", "robot"},
		{`[{"role":"user"}]`, "messages[0].content", "required"},
		{`[{"role":"user","content":5}]`, "messages[0].content", "a string or an array"},
		{`[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]`, "messages[0].content[0].type",
			"image_url"},
		{`[{"role":"user","content":[{"type":"text"}]}]`, "messages[0].content[0].text", "required"},
		{`[{"role":"user","content":["x"]}]`, "messages[0].content[0]", "an object"},
		{`[{"role":"user","content":"x"},{"role":"user","content":"x","cache_control":{}}]`,
			"messages[1].cache_control", "unknown field"},
		{`[{"role":"user","content":"x","tool_calls":[]}]`, "messages[0].tool_calls", "unknown field"},
		{`[{"role":"tool","content":"x"}]`, "messages[0].tool_call_id", "required"},
		{`[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{"}}]}]`,
			"messages[0].tool_calls[0].function.arguments", "JSON"},
		{`[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"[1]"}}]}]`,
			"messages[0].tool_calls[0].function.arguments", "an array"},
		{`[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{}}}]}]`,
			"messages[0].tool_calls[0].function.arguments", "a string, not an object"},
		{`[{"role":"assistant","refusal":"no","content":"x"}]`, "messages[0].refusal", "not offered"},
	})
}

func TestCompletionErrorsNameTheField(t *testing.T) {
	parse := func(b []byte) error { _, err := ParseCompletion(b, Limits{}); return err }
	checkFieldErrors(t, `{"prompt":"x",%s}`, parse, slices.Concat(fieldErrors, []struct{ members, param, say string }{
		{`"echo":1`, "echo", "a boolean, not a number"},
		{`"suffix":"x"`, "suffix", "not offered"},
		{`"best_of":3`, "best_of", "not offered"},
		{`"logprobs":true`, "logprobs", "an integer, not a boolean"},
		{`"logprobs":21`, "logprobs", "from 0 to 20"},
		{`"messages":[]`, "messages", "unknown field"},
	}))
	checkFieldErrors(t, `{%s}`, parse, []struct{ members, param, say string }{
		{``, "prompt", "required"},
		{`"prompt":5`, "prompt", "a string, or an array"},
		{`"prompt":[]`, "prompt", "empty"},
		{`"prompt":[[]]`, "prompt[0]", "empty"},
		{`"prompt":[1,-1]`, "prompt[1]", "from 0"},
		{`"prompt":[1,"a"]`, "prompt[1]", "an integer, not a string"},
		{`"prompt":["a",1]`, "prompt[1]", "a string, as the first"},
		{`"prompt":[[1],["a"]]`, "prompt[1][0]", "an integer, not a string"},
		{`"prompt":[{}]`, "prompt[0]", "a string, a token id"},
		{`"prompt":[null]`, "prompt[0]", "not null"},
		{`"prompt":["a","b","c","d","e"],"n":16`, "n", "at most 64"},
		{`"prompt":[` + strings.Repeat(`1,`, 1<<20) + `1]`, "prompt", "1048577 elements"},
		{`"prompt":[` + strings.Repeat(`"a",`, 64) + `"a"]`, "prompt", "65 prompts"},
	})
}

func TestParseCompletionPrompts(t *testing.T) {
	for _, c := range []struct{ prompt, want string }{
		{`"a"`, "[{a []}]"},
		{`["a","b"]`, "[{a []} {b []}]"},
		{`[1,2]`, "[{ [1 2]}]"},
		{`[[1,2],[3]]`, "[{ [1 2]} { [3]}]"},
	} {
		got, err := ParseCompletion([]byte(`{"prompt":`+c.prompt+`,"echo":false,"best_of":1,"logprobs":0}`), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if s := fmt.Sprint(got.Prompts); s != c.want || got.MaxTokens != 16 || !got.Logprobs || got.TopLogprobs != 0 {
			t.Errorf("%s: %s, %+v", c.prompt, s, got)
		}
	}
}

func manyMembers(n int) string {
	m := make(map[string]int)
	for i := range n {
		m[fmt.Sprint(i)] = i
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestCount(t *testing.T) {
	for array, want := range map[string]int{
		`[]`: 0, "[ \n]": 0, `[1]`: 1, `[1, 2]`: 2, `["a,b","\\",[1,2,3]]`: 3, `[{"a":[1,2]}]`: 1, `[[]]`: 1,
		`["\","]`: 1, `[null,{}]`: 2,
	} {
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(array), &list); err != nil || len(list) != want {
			t.Fatalf("the test is wrong: %s has %d elements, %v", array, len(list), err)
		}
		if got := count(json.RawMessage(array)); got != want {
			t.Errorf("count(%s) = %d, want %d", array, got, want)
		}
	}
}

func TestMalformedBodies(t *testing.T) {
	for _, c := range []struct{ name, body, say string }{
		{"empty", ``, "byte 0"},
		{"white space", "  \n", "not valid JSON"},
		{"cut", `{"messages":[{"role":"us`, "not valid JSON"},
		{"array", `[]`, "an object, not an array"},
		{"null", `null`, "an object, not null"},
		{"two values", `{"prompt":"x"} {}`, "after the JSON value"},
		{"trailing brace", `{"prompt":"x"}}`, "not valid JSON"},
		{"not a number", `{"temperature":NaN}`, "not valid JSON"},
		{"not UTF-8", "{\"model\":\"\xff\"}", "UTF-8"},
		{"deep", strings.Repeat(`[`, 65) + strings.Repeat(`]`, 65), "deeper than 64"},
		{"many members", manyMembers(5000), "more than 4096 members"},
		{"very deep", strings.Repeat(`{"a":`, 100000), "deeper than 64"},
		{"key twice, spelled differently", `{"model":"a","\u006dodel":"b"}`, "comes twice"},
	} {
		for name, parse := range map[string]func([]byte) error{
			"chat":       func(b []byte) error { _, err := ParseChat(b, Limits{}); return err },
			"completion": func(b []byte) error { _, err := ParseCompletion(b, Limits{}); return err },
		} {
			var e *Error
			if err := parse([]byte(c.body)); !errors.As(err, &e) || e.Status != 400 ||
				!strings.Contains(e.Message, c.say) {
				t.Errorf("%s, %s: error %v, want one that says %q", name, c.name, err, c.say)
			}
		}
	}
	var e *Error
	if _, err := ParseChat(make([]byte, 11), Limits{BodyBytes: 10}); !errors.As(err, &e) || e.Status != 413 {
		t.Errorf("long body: %v", err)
	}
}

func TestErrorForm(t *testing.T) {
	for _, c := range []struct {
		e    *Error
		want string
	}{
		{&Error{Message: "m", Type: TypeServer},
			`{"error":{"message":"m","type":"server_error","param":null,"code":null}}`},
		{invalid("a.b", CodeType, "x %d", 1),
			`{"error":{"message":"a.b: x 1","type":"invalid_request_error","param":"a.b","code":"invalid_type"}}`},
	} {
		got, err := json.Marshal(c.e)
		if err != nil || string(got) != c.want {
			t.Errorf("%s, %v, want %s", got, err, c.want)
		}
	}
}

// checkOptions reports options that lie outside the limits.
func checkOptions(t *testing.T, o Options) {
	l := DefaultLimits()
	if o.N < 1 || o.N > l.N || o.MaxTokens < 0 || o.MaxTokens > l.MaxTokens || len(o.Stop) > l.Stop ||
		o.TopLogprobs > l.TopLogprobs ||
		len(o.Sampling.LogitBias) > l.LogitBias {
		t.Errorf("out of limits: %+v", o)
	}
	for id, b := range o.Sampling.LogitBias {
		if id < 0 || !(b >= -100 && b <= 100) {
			t.Errorf("bias %d: %v", id, b)
		}
	}
	p := o.Sampling
	p.LogitBias = nil
	if err := p.Apply(sample.Defaults()).Validate(1); err != nil {
		t.Error(err)
	}
}

// checkError reports an error that is not in the form that clients expect.
func checkError(t *testing.T, err error) {
	var e *Error
	if !errors.As(err, &e) || e.Status < 400 || e.Status > 499 || e.Message == "" || len(e.Message) > 1000 {
		t.Errorf("error %v", err)
	}
	if b, err := json.Marshal(e); err != nil || !json.Valid(b) {
		t.Errorf("error as JSON: %s, %v", b, err)
	}
}

func FuzzChatRequest(f *testing.F) {
	for _, c := range fieldErrors {
		f.Add([]byte(`{"messages":[{"role":"user","content":"x"}],` + c.members + `}`))
	}
	f.Add([]byte(`{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}],"tools":[{"type":"function","function":{"name":"f"}}]}`))
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"chat_template_kwargs":{"enable_thinking":true}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseChat(body, Limits{})
		if err != nil {
			checkError(t, err)
			return
		}
		checkOptions(t, c.Options)
		var messages []map[string]any
		if err := json.Unmarshal(c.Messages, &messages); err != nil || len(messages) == 0 {
			t.Errorf("messages %s: %v", c.Messages, err)
		}
		if c.Tools != nil && !json.Valid(c.Tools) {
			t.Errorf("tools %s", c.Tools)
		}
		for name, v := range c.Kwargs {
			if !json.Valid(v) {
				t.Errorf("kwarg %s: %s", name, v)
			}
		}
	})
}

func FuzzCompletionRequest(f *testing.F) {
	for _, c := range fieldErrors {
		f.Add([]byte(`{"prompt":"x",` + c.members + `}`))
	}
	f.Add([]byte(`{"prompt":[[1,2],[3]],"logprobs":5,"n":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseCompletion(body, Limits{})
		if err != nil {
			checkError(t, err)
			return
		}
		checkOptions(t, c.Options)
		if n := len(c.Prompts); n < 1 || n*c.N > DefaultLimits().Choices {
			t.Errorf("%d prompts with %d choices", n, c.N)
		}
		for _, p := range c.Prompts {
			for _, id := range p.Tokens {
				if id < 0 {
					t.Errorf("token %d", id)
				}
			}
		}
	})
}

// TestContinueErrors refuses to go on with what is no text of the assistant, or with a form of whole answers.
func TestContinueErrors(t *testing.T) {
	for body, say := range map[string]string{
		`[{"role":"assistant","content":""}]`: "with text",
		`[{"role":"assistant","content":"x","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]`:                      "without calls",
		`[{"role":"assistant","content":"x"}],"response_format":{"type":"json_object"}`:                                       "response_format",
		`[{"role":"assistant","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required"`: "asks for a call",
	} {
		_, err := ParseChat([]byte(`{"continue_final_message":true,"messages":`+body+`}`), Limits{})
		var e *Error
		if !errors.As(err, &e) || e.Param != "continue_final_message" || !strings.Contains(e.Message, say) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestPlainTurns(t *testing.T) {
	for in, want := range map[string]string{
		`[{"role":"user","content":"a"}]`: ``,
		`[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]`:   ``,
		`[{"role":"system","content":"s"},{"role":"system","content":"t"},{"role":"user","content":"a"}]`:                                    `[{"role":"system","content":"s\n\nt"},{"role":"user","content":"a"}]`,
		`[{"role":"user","content":"a"},{"role":"system","content":"s"},{"role":"assistant","content":"b"},{"role":"system","content":"t"}]`: `[{"role":"user","content":"a\n\ns"},{"role":"assistant","content":"b"},{"role":"user","content":"t"}]`,
		`[{"role":"user","content":"a"},{"role":"assistant","content":null}]`:                                                                `[{"role":"user","content":"a"},{"role":"assistant","content":""}]`,
		`[{"role":"user","content":"a","name":"x"},{"role":"user","content":"b"},{"role":"user","content":"c"}]`:                             `[{"role":"user","content":"a","name":"x"},{"role":"user","content":"b\n\nc"}]`,
	} {
		if got := string(PlainTurns(json.RawMessage(in))); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}
