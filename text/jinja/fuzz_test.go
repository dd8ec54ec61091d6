package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzTemplate renders arbitrary templates over arbitrary messages: nothing may panic, run long or print more than
// the limits allow, and every error must say where it comes from.
func FuzzTemplate(f *testing.F) {
	messages := []string{
		`[]`,
		`[{"role": "user", "content": "Hi \u00e9 \ud83d\ude42"}]`,
		`[{"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": "{\"a\": 1.5}"}}]}]`,
		`[{"role": "user", "content": [{"type": "text", "text": "a"}]}, [1, -2, 3e5, true, null, "x"]]`,
		`[{"a": 1`, `{"a": [}`, `"\x"`,
	}
	sources := []string{
		"{% for m in messages if m.role == 'user' %}{{ loop.index }}{{ m['content'][::-1] }}{% else %}{{ raise_exception('none') }}{% endfor %}",
		"{%- macro m(a, b=[1, 2]) -%}{{ a ~ b|join(', ') }}{{ caller() }}{%- endmacro -%}{% call m(messages|length) %}x{% endcall %}",
		"{% set ns = namespace(x='') %}{% for m in messages %}{% set ns.x = ns.x ~ (m|tojson(indent=2)) %}{% endfor %}{{ ns.x|indent(3)|upper }}",
		"{{ messages|map(attribute='role')|select('string')|unique|sort|list }}{{ (1, 2.5, 'a'*3, {'k': none}) }}",
		"{% raw %}{{ x }}{% endraw %}{# c #}{% filter trim %} {{ '%05.1f' % 2.25 }} {{ '{:>3}'.format(1) }}{% endfilter %}",
		"{{ strftime_now('%Y-%m-%d') }}{% with a, b = 1, -2 ** 3 // 5 %}{{ a < b <= 3 and not a in [b] or a is divisibleby 2 }}{% endwith %}",
		"{% for x in messages recursive %}{% if x is sequence %}{{ loop(x) }}{% break %}{% endif %}{% continue %}{% endfor %}{% generation %}{% endgeneration %}",
		"{{ 'abc'[1:-1:2] }}{{ messages[0].content.split(' ', 1)[-1].strip('H').replace('i', 'ii') }}{{ range(5, 0, -2)|list }}{{ '<'|e + '>' }}",
	}
	if ember, err := os.ReadFile("../chat/testdata/ember/chat_template.jinja"); err == nil {
		sources = append(sources, string(ember))
	}
	for i, src := range sources {
		f.Add(src, messages[i%len(messages)])
		f.Add(src, messages[2])
	}
	limits := Limits{MaxSource: 1 << 16, MaxDepth: 500, MaxSteps: 200_000, MaxMemory: 4 << 20, MaxOutput: 1 << 18}
	f.Fuzz(func(t *testing.T, src, messages string) {
		tmpl, err := ParseLimits(src, limits)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "jinja: parse: ") {
				t.Errorf("error without a place: %v", err)
			}
			return
		}
		start := time.Now()
		got, err := render(tmpl, input{
			vars: map[string]json.RawMessage{
				"messages": json.RawMessage(messages),
				"tools": json.RawMessage(
					`[{"type": "function", "function": {"name": "f", "parameters": {"a": [1, 2.0]}}}]`),
			},
			bos: "<s>",
			now: time.Unix(1e9, 0).UTC(),
		})
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		if err != nil {
			if got != "" {
				t.Errorf("error %v and output %q", err, got)
			}
			if !strings.HasPrefix(err.Error(), "jinja: ") {
				t.Errorf("error without the package: %v", err)
			}
			return
		}
		if len(got) > limits.MaxOutput {
			t.Errorf("output of %d bytes", len(got))
		}
		if !utf8.ValidString(got) {
			t.Errorf("output %q is not UTF-8", got)
		}
	})
}

// FuzzJSON decodes arbitrary documents: the decoder must take what encoding/json takes, and tojson must print what
// encoding/json reads back as the same value.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`null`, ` [1, -2.5e3, "a\n\u00e9\ud83d\ude42\ud800x", {"k": [], "k": {}}, true, false] `,
		`{"a":{"b":[{"c":1}]}}`,
		`01`, `[1,]`, `{"a":1,}`, `"\q"`, "\"\x01\"", `1e999`, `-0`, `-`, `123456789012345678901234567890`, `"` +
			"\xff" + `"`, `nul`, `[[[[`, `1 2`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in := &interp{limits: Limits{}.withDefaults()}
		in.steps, in.memory = in.limits.MaxSteps, in.limits.MaxMemory
		v, err := in.decodeData([]byte(s))
		var limit *LimitError
		if errors.As(err, &limit) {
			return
		}
		if valid := json.Valid([]byte(s)); valid != (err == nil) {
			t.Fatalf("%q: encoding/json says valid = %v, error %v", s, valid, err)
		}
		if err != nil {
			return
		}
		text, err := in.encodeJSON(v, jsonOptions{item: lit(", "), key: lit(": ")})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text.(str).s, "Infinity") {
			return
		}
		again, err := in.decodeData([]byte(text.(str).s))
		if err != nil {
			t.Fatalf("%q became %q: %v", s, text, err)
		}
		if same, err := in.equal(v, again); err != nil || !same {
			t.Fatalf("%q became %q, which is another value (error %v)", s, text, err)
		}
	})
}
