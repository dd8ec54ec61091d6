package toolcall

import (
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

var mistralThink = pair{"[THINK]", "[/THINK]"}

// mistral is the form of Mistral's newer models: [TOOL_CALLS]name[CALL_ID]id[ARGS]{...} for each call, with or without
// an id.
func mistral() *Format {
	f := &Format{name: "mistral", openers: []string{"[TOOL_CALLS]"}, think: mistralThink, call: mistralCall}
	f.one = func(b *grammar.Builder, t Tool) (grammar.Part, error) {
		args, err := t.arguments(b)
		return b.Seq(b.Special("[TOOL_CALLS]"), b.Literal(t.Name), b.Special("[ARGS]"), args), err
	}
	f.all = separated("")
	return f
}

// mistralList is that of Mistral's older models: [TOOL_CALLS][{"name": ..., "arguments": {...}, "id": ...}].
func mistralList() *Format {
	f := mistral()
	f.name = "mistral-list"
	f.one = listed
	f.all = func(b *grammar.Builder, one grammar.Part, most int) grammar.Part {
		return b.Seq(b.Special("[TOOL_CALLS]"), b.Literal("["), separated(", ")(b, one, most), b.Literal("]"))
	}
	return f
}

// mistralCall reads both.
func mistralCall(p *Parser, opener string, fail func(string)) func(final bool) bool {
	return func(final bool) bool {
		rest := strings.TrimLeft(p.buf, blanks)
		switch {
		case rest == "" && !final:
			return false
		case strings.HasPrefix(rest, "[") && !strings.HasPrefix(rest, "[ARGS]") &&
			!strings.HasPrefix(rest, "[CALL_ID]") &&
			(final || !strings.HasPrefix("[ARGS]", rest) && !strings.HasPrefix("[CALL_ID]", rest)),
			strings.HasPrefix(rest, "{"):
			p.state = p.list(opener, fail)
			return true
		case strings.HasPrefix(rest, "[") && !final && len(rest) < len("[ARGS]"):
			return false
		}
		at, found := p.find(final, "[ARGS]", "{", "[TOOL_CALLS]")
		head := p.buf[:at]
		name, id, _ := strings.Cut(head, "[CALL_ID]")
		switch name = strings.TrimSpace(name); {
		case found == "" && !final:
			return false
		case found != "[ARGS]" && found != "{" || !isName(name):
			fail(opener + p.take(at))
			return true
		}
		if p.take(at); found == "[ARGS]" {
			p.take(len(found))
		}
		p.begin(name, strings.TrimSpace(id))
		p.state = p.rawArguments(p.content)
		return true
	}
}

// isName reports whether s can be the name of a function.
func isName(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsAny(s, " \t\r\n{}[]<>\"'()")
}

// rawArguments reads arguments that are a JSON value, and ends the call.
func (p *Parser) rawArguments(then func(final bool) bool) func(final bool) bool {
	var v scanner
	some := false
	return func(final bool) bool {
		if !v.begun {
			p.skipBlanks()
		}
		n, done := v.scan(p.buf)
		p.text(Arguments, p.take(n))
		some = some || n > 0
		if !done && !final {
			return false
		}
		if !some {
			p.text(Arguments, "{}")
		}
		p.end()
		p.state = then
		return true
	}
}
