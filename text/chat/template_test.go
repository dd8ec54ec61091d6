package chat

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// TestEmber renders the template of the built-in model; the prompts are those that its reference logits were made of.
func TestEmber(t *testing.T) {
	src, err := os.ReadFile("testdata/ember/chat_template.jinja")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/ember/prompts.json")
	if err != nil {
		t.Fatal(err)
	}
	var prompts []struct {
		Messages, Tools json.RawMessage
		Prompt          string
	}
	if err := json.Unmarshal(raw, &prompts); err != nil {
		t.Fatal(err)
	}
	tmpl, err := Parse(string(src))
	if err != nil {
		t.Fatal(err)
	}
	if len(prompts) == 0 {
		t.Fatal("no prompts")
	}
	for i, p := range prompts {
		got, err := render(tmpl, Input{Messages: p.Messages, Tools: p.Tools, AddGenerationPrompt: true})
		if err != nil || got != p.Prompt {
			t.Errorf("prompt %d: error %v\ngot  %q\nwant %q", i, err, got, p.Prompt)
		}
	}
	thinking := Input{
		Messages:            json.RawMessage(`[{"role": "user", "content": "2+2?"}]`),
		AddGenerationPrompt: true,
		Kwargs:              map[string]json.RawMessage{"enable_thinking": json.RawMessage("true")},
	}
	want := "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n"
	if got, err := render(tmpl, thinking); err != nil || got != want {
		t.Errorf("thinking: error %v\ngot  %q\nwant %q", err, got, want)
	}
}

func TestChatML(t *testing.T) {
	got, err := renderSource(ChatML, Input{
		Messages: json.RawMessage(`[{"role": "system", "content": "Be brief."},
			{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]},
			{"role": "assistant", "content": null}, {"role": "user"}]`),
		AddGenerationPrompt: true,
	})
	want := "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nab<|im_end|>\n" +
		"<|im_start|>assistant\n<|im_end|>\n<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"
	if err != nil || got != want {
		t.Errorf("error %v\ngot  %q\nwant %q", err, got, want)
	}
}

func TestRenderErrors(t *testing.T) {
	ok := json.RawMessage(`[{"role": "user", "content": "x"}]`)
	tests := []struct {
		name, src string
		in        Input
		want      string
	}{
		{"place", "a\n  {{ messages[0].a.b }}", Input{Messages: ok},
			`jinja: render: line 2, column 20: 'dict object' has no attribute 'a'`},
		{"no messages", "", Input{},
			`chat: messages: JSON at byte 0: expected a JSON value, found the end of the input`},
		{"messages not an array", "", Input{Messages: json.RawMessage(`{}`)},
			`chat: messages: a JSON array is needed, not dict`},
		{"bad messages", "", Input{Messages: json.RawMessage(`[{"a" 1}]`)},
			`chat: messages: JSON at byte 6: expected ':', found '1'`},
		{"tools not an array", "", Input{Messages: ok, Tools: json.RawMessage(`"x"`)},
			`chat: tools: a JSON array is needed, not str`},
		{"bad documents", "", Input{Messages: ok, Documents: json.RawMessage(`[`)}, `chat: documents: JSON at byte 1`},
		{"bad kwarg", "", Input{Messages: ok, Kwargs: map[string]json.RawMessage{"x": json.RawMessage(`tru`)}},
			`chat: kwarg "x": JSON at byte 0: expected a JSON value, found 't'`},
		{"kwarg of a field", "", Input{Messages: ok,
			Kwargs: map[string]json.RawMessage{"tools": json.RawMessage(`[]`)}},
			`chat: kwarg "tools" is a field of Input`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := renderSource(tt.src, tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestRaisedError(t *testing.T) {
	_, err := renderSource("{% macro m() %}{{ raise_exception('roles ' ~ 1) }}{% endmacro %}\n{{ m() }}",
		Input{Messages: json.RawMessage("[]")})
	var raised *RaisedError
	if !errors.As(err, &raised) || raised.Message != "roles 1" {
		t.Fatalf("got %v", err)
	}
	if want := "jinja: render: line 1, column 34: template raised: roles 1"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestInput(t *testing.T) {
	src := "{{ bos_token }}{{ eos_token }}|{{ tools }}|{{ documents }}|{{ add_generation_prompt }}|{{ x }}|{{ unset is defined }}|{{ strftime_now('%d') }}"
	got, err := renderSource(src, Input{
		Messages:  json.RawMessage(" [ ] "),
		Tools:     json.RawMessage("null"),
		Documents: json.RawMessage(`[1]`),
		BOS:       "<s>", EOS: "</s>",
		Now:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Kwargs: map[string]json.RawMessage{"x": json.RawMessage(`{"z": 1, "a": 1.0}`), "unused": json.RawMessage("1")},
	})
	if want := "<s></s>|None|[1]|False|{'z': 1, 'a': 1.0}|False|02"; err != nil || got != want {
		t.Errorf("got %q, error %v; want %q", got, err, want)
	}
}

// TestToolCallArguments gives templates arguments as the OpenAI API spells them: JSON objects in strings.
func TestToolCallArguments(t *testing.T) {
	const (
		wantObject = `{% for m in messages %}{% for c in m.tool_calls %}{% for k, v in c.function.arguments|items %}{{ k }}={{ v }};{% endfor %}{% endfor %}{% endfor %}`
		wantString = `{% for m in messages %}{% for c in m.tool_calls %}{{ 'args: ' + c.function.arguments }}{% endfor %}{% endfor %}`
		flat       = `{% for m in messages %}{% for c in m.tool_calls or [] if c.arguments is defined %}{{ c.arguments|tojson }}{% endfor %}{% endfor %}`
	)
	call := func(role, args string) string {
		return `[{"role": "` + role + `", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": ` +
			args + `}}]}]`
	}
	tests := []struct{ name, src, messages, want string }{
		{"string for a template that wants an object", wantObject, call("assistant", `"{\"b\": 1, \"a\":2.0}"`),
			"b=1;a=2.0;"},
		{"object for a template that wants an object", wantObject, call("assistant", `{"b": 1}`), "b=1;"},
		{"no arguments", wantObject, call("assistant", `""`), ""},
		{"string for a template that wants a string", wantString, call("assistant", `"{\"b\":1}"`), `args: {"b":1}`},
		{"string that is no JSON", wantString, call("assistant", `"b=1"`), `args: b=1`},
		{"string that is no object", wantString, call("assistant", `"[1]"`), `args: [1]`},
		{"other role", wantString, call("tool", `"{\"b\":1}"`), `args: {"b":1}`},
		{"call without function", flat,
			`[1, {"role": "assistant", "tool_calls": [1, {"function": 1}, {"arguments": "{\"b\":1}"}]}]`, `{"b": 1}`},
		{"no calls", flat, `[{"role": "assistant", "tool_calls": null}]`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := renderSource(tt.src, Input{Messages: json.RawMessage(tt.messages)})
			if err != nil || got != tt.want {
				t.Errorf("got %q, error %v; want %q", got, err, tt.want)
			}
		})
	}
	_, err := renderSource(wantObject, Input{Messages: json.RawMessage(call("assistant", `"x"`))})
	if err == nil || !strings.Contains(err.Error(), "items: can only get item pairs from a mapping") {
		t.Errorf("arguments that fit in no form: %v", err)
	}
}

// longConversation returns n rounds of messages with tools calls, as JSON.
func longConversation(n int) json.RawMessage {
	var b strings.Builder
	b.WriteString(`[{"role": "system", "content": "Answer briefly."}`)
	text := strings.Repeat("A sentence of usual length, with \\\"quotes\\\" and ünïcode. ", 20)
	for i := range n {
		b.WriteString(`, {"role": "user", "content": "` + text + `"}`)
		if i%4 == 0 {
			b.WriteString(`, {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{\"city\": \"Rome\", \"n\": 3}"}}]}`)
			b.WriteString(`, {"role": "tool", "content": "` + text + `"}`)
		}
		b.WriteString(`, {"role": "assistant", "content": "` + text + `"}`)
	}
	b.WriteString("]")
	return json.RawMessage(b.String())
}

// TestLongConversation renders a million characters, which must stay far inside the default limits.
func TestLongConversation(t *testing.T) {
	src, err := os.ReadFile("testdata/ember/chat_template.jinja")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := ParseLimits(string(src), Limits{MaxSteps: 200_000, MaxMemory: 25 << 20})
	if err != nil {
		t.Fatal(err)
	}
	got, err := render(tmpl, Input{Messages: longConversation(400), AddGenerationPrompt: true})
	if err != nil || len(got) < 1_000_000 {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
}

func BenchmarkRender(b *testing.B) {
	src, err := os.ReadFile("testdata/ember/chat_template.jinja")
	if err != nil {
		b.Fatal(err)
	}
	for name, src := range map[string]string{"ember": string(src), "chatml": ChatML} {
		for _, rounds := range []int{1, 400} {
			b.Run(name+"/rounds="+itoa(rounds), func(b *testing.B) {
				tmpl, err := Parse(src)
				if err != nil {
					b.Fatal(err)
				}
				in := Input{Messages: longConversation(rounds), AddGenerationPrompt: true}
				b.SetBytes(int64(len(in.Messages)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := tmpl.Render(in); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkParse(b *testing.B) {
	src, err := os.ReadFile("testdata/ember/chat_template.jinja")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, err := Parse(string(src)); err != nil {
			b.Fatal(err)
		}
	}
}

// renderSource parses and renders a template.
func renderSource(src string, in Input) (string, error) {
	tmpl, err := Parse(src)
	if err != nil {
		return "", err
	}
	return render(tmpl, in)
}

// render returns the text of a prompt.
func render(tmpl *Template, in Input) (string, error) {
	prompt, err := tmpl.Render(in)
	return prompt.String(), err
}
