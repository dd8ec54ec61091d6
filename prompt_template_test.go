package hipengine

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

const (
	hiMessages  = `[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello there"}]`
	toolHistory = `[{"role":"user","content":"Hello there"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function",
		"function":{"name":"get_weather","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"sunny \"today\""}]`
	someTools = `[{"type":"function","function":{"name":"add"}}]`

	bareTemplate = `{% for m in messages %}{{ m.role ~ m.content }}{% endfor %}`
)

// TestTemplates picks among the templates of a model, and replaces them.
func TestTemplates(t *testing.T) {
	tok := emberText(t)
	named := map[string]string{toolUse: `{{ tools | length }} tools{% for m in messages %}{{ m.content }}{% endfor %}`,
		rag: `{{ documents | length }} documents{% for m in messages %}{{ m.content }}{% endfor %}`}
	docs := map[string]json.RawMessage{"documents": json.RawMessage(`[{"text":"x"}]`)}
	for _, c := range []struct {
		name, main string
		named      map[string]string
		option     string
		tools      string
		kwargs     map[string]json.RawMessage
		want       string // of the text
		err        string
	}{
		{name: "the default", main: bareTemplate, named: named, want: "systemBe brief.userHello there"},
		{name: "tools", main: bareTemplate, named: named, tools: someTools, want: "1 toolsBe brief.Hello there"},
		{name: "no tools", main: bareTemplate, named: named, tools: `[]`, want: "systemBe"},
		{name: "documents", main: bareTemplate, named: named, kwargs: docs, want: "1 documentsBe brief."},
		{name: "named by option", main: bareTemplate, named: named, option: rag, kwargs: docs, want: "1 documentsBe"},
		{name: "a date", main: "{{ date_string }}|{{ datetime }}|" + bareTemplate,
			want: time.Now().Format("02 Jan 2006|Jan 02 2006")},
		{name: "a date that is given", main: "{{ date_string }}|" + bareTemplate, want: "today",
			kwargs: map[string]json.RawMessage{"date_string": json.RawMessage(`"today"`)}},
		{name: "tools as a text", main: "{{ functions }}{% for m in messages %}{{ m.content }}{% endfor %}",
			tools: someTools, want: someTools + "Be brief."},
		{name: "no tools as a text", main: "{{ functions }}{{ messages[0].content }}{{ messages[1].content }}",
			want: "Be brief."},
		{name: "a form", main: bareTemplate, option: "chatml", want: "<|im_start|>system\nBe brief.<|im_end|>\n"},
		{name: "a text", main: "{% bad", option: "{{ messages[1].content ~ messages[0].content }}",
			want: "Hello thereBe brief."},
		{name: "no default", named: named, err: "has no default template, but rag, tool_use"},
		{name: "a bad one", main: "{{ bos_token }}{% trans %}x{% endtrans %}", err: `found "trans"`},
		{name: "a bad one that is not needed", main: bareTemplate, named: map[string]string{toolUse: "{% bad"},
			want: "systemBe"},
	} {
		p, err := newPrompter(tok.tok, c.main, c.named, Options{ChatTemplate: c.option})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		prompt, err := p.render(json.RawMessage(hiMessages), json.RawMessage(c.tools), c.kwargs)
		if !strings.HasPrefix(prompt.String(), c.want) || (err == nil) != (c.err == "") ||
			err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", c.name, prompt, err)
		}
		var refused *ConversationError
		if err != nil && !errors.As(err, &refused) {
			t.Errorf("%s: %v is no *ConversationError", c.name, err)
		}
	}
	for _, option := range []string{"nope", "{% bad"} {
		var bad *OptionError
		if _, err := newPrompter(tok.tok, "", named, Options{ChatTemplate: option}); !errors.As(err, &bad) {
			t.Errorf("template %q: %v", option, err)
		}
	}
}

// TestUnread refuses conversations of which the template leaves out parts, and no others.
func TestUnread(t *testing.T) {
	tok := emberText(t)
	users := `{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}`
	for _, c := range []struct{ name, template, messages, tools, want string }{
		{"all is there", bareTemplate, hiMessages, "", ""},
		{"tools", bareTemplate, hiMessages, someTools, "leaves out tools"},
		{"no tools", bareTemplate, hiMessages, "[]", ""},
		{"a role", users, hiMessages, "", `messages[0].content (role "system")`},
		{"a role whose words the template says too", `assistant: ` + users,
			`[{"role":"system","content":"An assistant"},{"role":"user","content":"Hi"}]`, "", `(role "system")`},
		{"a role whose words another says too", users,
			`[{"role":"system","content":"Hello"},{"role":"user","content":"Hello"}]`, "", `(role "system")`},
		{"a role that comes last", `{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}{{ messages[0].content }}`,
			`[{"role":"system","content":"Be brief"},{"role":"user","content":"Hello"}]`, "", ""},
		{"calls", bareTemplate, toolHistory, "", "messages[1].tool_calls"},
		{"results", users + `{% for m in messages if m.tool_calls %}{{ m.tool_calls | tojson }}{% endfor %}`,
			toolHistory,
			"", `messages[2].content (role "tool")`},
		{"another form", `{% for m in messages %}{{ m | tojson }}{% endfor %}`, toolHistory, "", ""},
		{"upper case", `{% for m in messages %}{{ m.content | upper }}{% endfor %}`, hiMessages, "", ""},
		{"texts in parts", bareTemplate, `[{"role":"user","content":[{"type":"text","text":"Hello there"}]}]`, "", ""},
		{"an empty text", users, `[{"role":"system","content":" "},{"role":"user","content":"Hi"}]`, "", ""},
		{"thoughts of the assistant", users, `[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hm"}]`,
			"", ""},
	} {
		for _, lenient := range []bool{false, true} {
			p, err := newPrompter(tok.tok, c.template, nil, Options{Lenient: lenient})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.render(json.RawMessage(c.messages), json.RawMessage(c.tools), nil)
			want := c.want
			if lenient {
				want = ""
			}
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s, lenient %v: %v, want %q", c.name, lenient, err, want)
			}
		}
	}
}
