package chat

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
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
		got, err := tmpl.Render(Input{Messages: p.Messages, Tools: p.Tools, AddGenerationPrompt: true})
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
	if got, err := tmpl.Render(thinking); err != nil || got != want {
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

func TestSyntaxErrors(t *testing.T) {
	tests := []struct{ src, want string }{
		{"a\nb {{ x y }}", `line 2, column 8: expected "}}", found "y"`},
		{"{% if a %}\n{% for b in c %}\n{% endif %}", `line 3, column 4: expected a statement or "{% else %}" or "{% endfor %}" for the "for" of line 2, found "endif"`},
		{"{% if a %}\nb", `line 2, column 2: expected "{% elif %}" or "{% else %}" or "{% endif %}" for the "if" of line 1, found the end of the template`},
		{"{{ (1 }}", `line 1, column 7: expected ")" for the bracket opened at line 1, column 4, found "}"`},
		{"é漢{{ $ }}", `line 1, column 6: unexpected character '$'`},
		{"{{ 'a", `line 1, column 4: string is not closed`},
		{"\n{# a", `line 2, column 1: comment is not closed: expected "#}"`},
		{"{% raw %}", `line 1, column 1: raw block is not closed: expected "{% endraw %}"`},
		{"{{ a", `line 1, column 1: tag is not closed: expected "}}"`},
		{"{% include 'x' %}", `line 1, column 4: statement "include" needs other templates`},
		{"{% for x of y %}", `line 1, column 10: expected "in", found "of"`},
		{"{{ x | nope }}", `line 1, column 8: no filter is named "nope"`},
		{"{{ x is nope }}", `line 1, column 9: no test is named "nope"`},
		{"{% set x.y.z = 1 %}", `line 1, column 11: expected "=" or "%}", found "."`},
		{"{% set 'a' = 1 %}", `line 1, column 8: expected a name to assign to, found string "a"`},
		{"{% macro m(a, a) %}{% endmacro %}", `line 1, column 15: parameter "a" stands twice`},
		{"{% for x in y %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", `line 1, column 35: "break" outside a for loop`},
		{"{{ f(*a, b) }}", `line 1, column 10: positional argument after "*"`},
		{"{{ f(**a, b=1) }}", `line 1, column 11: arguments after "**"`},
		{"{{ f(a b) }}", `line 1, column 8: expected "," or ")", found "b"`},
		{"{{ [a b] }}", `line 1, column 7: expected "," or "]", found "b"`},
		{"{{ {1: 2 3} }}", `line 1, column 10: expected "," or "}", found "3"`},
		{"{{ {1 2} }}", `line 1, column 7: expected ":", found "2"`},
		{"{{ x[1:2:3:4] }}", `line 1, column 11: expected "]", found ":"`},
		{"{{ x[] }}", `line 1, column 5: expected an index in the brackets`},
		{"{{ '\\u12' }}", `line 1, column 4: bad escape`},
		{"{{ 0x }}", `line 1, column 4: expected digits after "0x"`},
		{"{{ a.9999999999999999999 }}", `line 1, column 6: index "9999999999999999999" is out of range`},
		{"{{ 1" + strings.Repeat("0", 5000) + " }}", `has more than 16384 bits`},
		{"ab\xff", `line 1, column 3: the source is not valid UTF-8`},
		{"{% call x %}{% endcall %}", `line 1, column 9: expected a call`},
		{"{% with a 1 %}{% endwith %}", `line 1, column 11: expected "=", found "1"`},
		{"{% 1 %}", `line 1, column 4: expected a statement, found "1"`},
		{"{% endif %}", `line 1, column 4: expected a statement, found "endif"`},
	}
	for _, tt := range tests {
		_, err := Parse(tt.src)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "chat: parse: line ") {
			t.Errorf("%.60q:\ngot  %v\nwant %s", tt.src, err, tt.want)
		}
	}
}

func TestRenderErrors(t *testing.T) {
	ok := json.RawMessage(`[{"role": "user", "content": "x"}]`)
	tests := []struct {
		name, src string
		in        Input
		want      string
	}{
		{"place", "a\n  {{ messages[0].a.b }}", Input{Messages: ok}, `chat: render: line 2, column 20: 'dict object' has no attribute 'a'`},
		{"no messages", "", Input{}, `chat: messages: JSON at byte 0: expected a JSON value, found the end of the input`},
		{"messages not an array", "", Input{Messages: json.RawMessage(`{}`)}, `chat: messages: a JSON array is needed, not dict`},
		{"bad messages", "", Input{Messages: json.RawMessage(`[{"a" 1}]`)}, `chat: messages: JSON at byte 6: expected ':', found '1'`},
		{"tools not an array", "", Input{Messages: ok, Tools: json.RawMessage(`"x"`)}, `chat: tools: a JSON array is needed, not str`},
		{"bad documents", "", Input{Messages: ok, Documents: json.RawMessage(`[`)}, `chat: documents: JSON at byte 1`},
		{"bad kwarg", "", Input{Messages: ok, Kwargs: map[string]json.RawMessage{"x": json.RawMessage(`tru`)}}, `chat: kwarg "x": JSON at byte 0: expected a JSON value, found 't'`},
		{"kwarg of a field", "", Input{Messages: ok, Kwargs: map[string]json.RawMessage{"tools": json.RawMessage(`[]`)}}, `chat: kwarg "tools" is a field of Input`},
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
	_, err := renderSource("{% macro m() %}{{ raise_exception('roles ' ~ 1) }}{% endmacro %}\n{{ m() }}", Input{Messages: json.RawMessage("[]")})
	var raised *RaisedError
	if !errors.As(err, &raised) || raised.Message != "roles 1" {
		t.Fatalf("got %v", err)
	}
	if want := "chat: render: line 1, column 34: template raised: roles 1"; err.Error() != want {
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
		return `[{"role": "` + role + `", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": ` + args + `}}]}]`
	}
	tests := []struct{ name, src, messages, want string }{
		{"string for a template that wants an object", wantObject, call("assistant", `"{\"b\": 1, \"a\":2.0}"`), "b=1;a=2.0;"},
		{"object for a template that wants an object", wantObject, call("assistant", `{"b": 1}`), "b=1;"},
		{"no arguments", wantObject, call("assistant", `""`), ""},
		{"string for a template that wants a string", wantString, call("assistant", `"{\"b\":1}"`), `args: {"b":1}`},
		{"string that is no JSON", wantString, call("assistant", `"b=1"`), `args: b=1`},
		{"string that is no object", wantString, call("assistant", `"[1]"`), `args: [1]`},
		{"other role", wantString, call("tool", `"{\"b\":1}"`), `args: {"b":1}`},
		{"call without function", flat, `[1, {"role": "assistant", "tool_calls": [1, {"function": 1}, {"arguments": "{\"b\":1}"}]}]`, `{"b": 1}`},
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

// TestConcurrentRender renders one template from several goroutines: each changes its input and sees its own alone.
func TestConcurrentRender(t *testing.T) {
	tmpl, err := Parse("{% set fixed = [1, 2] %}{% set _ = fixed.append(messages[0].n) %}{% set _ = messages.append(3) %}{{ fixed }}{{ messages|length }}")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				got, err := tmpl.Render(Input{Messages: json.RawMessage(`[{"n": ` + itoa(i) + `}]`)})
				if want := "[1, 2, " + itoa(i) + "]2"; err != nil || got != want {
					t.Errorf("got %q, error %v; want %q", got, err, want)
				}
			}
		})
	}
	wg.Wait()
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
	limits := Limits{}.withDefaults()
	tmpl, err := ParseLimits(string(src), Limits{MaxSteps: limits.MaxSteps / 100, MaxMemory: limits.MaxMemory / 10})
	if err != nil {
		t.Fatal(err)
	}
	got, err := tmpl.Render(Input{Messages: longConversation(400), AddGenerationPrompt: true})
	if err != nil || len(got) < 1_000_000 {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
}

// TestAppending builds a long text a piece at a time, as some templates build the whole prompt: the memory it needs
// must be linear in the text, and the shorter strings must stay as they were.
func TestAppending(t *testing.T) {
	piece := strings.Repeat("x", 1000)
	for _, op := range []string{"ns.out ~ m", "ns.out + m", "(ns.out + m) ~ '' ~ ''"} {
		tmpl, err := ParseLimits("{% set ns = namespace(out='') %}{% set m = '"+piece+"' %}"+
			"{% for i in range(2000) %}{% set ns.out = "+op+" %}{% endfor %}{{ ns.out }}", Limits{MaxMemory: 40 << 20})
		if err != nil {
			t.Fatal(err)
		}
		got, err := tmpl.Render(Input{Messages: json.RawMessage("[]")})
		if err != nil || got != strings.Repeat(piece, 2000) {
			t.Errorf("%s: %d bytes, error %v", op, len(got), err)
		}
	}
	got, err := renderSource("{% set x = 'x' * 300 %}{% set a = x ~ 'a' %}{% set b = x ~ 'b' %}{% set c = a ~ 'c' %}{% set d = a ~ 'd' %}"+
		"{% for s in [x, a, b, c, d, c ~ c] %}{{ s | replace('x' * 300, '-') }} {% endfor %}", Input{Messages: json.RawMessage("[]")})
	if want := "- -a -b -ac -ad -ac-ac "; err != nil || got != want {
		t.Errorf("got %q, error %v; want %q", got, err, want)
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

// BenchmarkSteps measures what the default limit of steps allows in time.
func BenchmarkSteps(b *testing.B) {
	tmpl, err := Parse("{% for i in range(100000) %}{% for j in range(100000) %}{% set x = i + j %}{% endfor %}{% endfor %}")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, err := tmpl.Render(Input{Messages: json.RawMessage("[]")})
		var limit *LimitError
		if !errors.As(err, &limit) {
			b.Fatal(err)
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
