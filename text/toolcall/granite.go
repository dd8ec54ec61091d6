package toolcall

import (
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// granite is the form of Granite 3: a list of {"name": ..., "arguments": {...}} behind <|tool_call|>. Granite 4
// writes as Hermes does.
func granite() *Format {
	f := &Format{name: "granite", openers: []string{"<|tool_call|>"}}
	f.call = func(p *Parser, opener string, fail func(string)) func(bool) bool { return p.list(opener, fail) }
	f.one = listed
	f.all = func(b *grammar.Builder, one grammar.Part, most int) grammar.Part {
		return b.Seq(b.Special("<|tool_call|>"), b.Literal("["), separated(", ")(b, one, most), b.Literal("]"))
	}
	return f
}

// listed writes a call in a list.
func listed(b *grammar.Builder, t Tool) (grammar.Part, error) {
	args, err := t.arguments(b)
	return b.Seq(b.Literal(`{"name": `+quote(t.Name)+`, "arguments": `), args, b.Literal("}")), err
}

// list reads a JSON array of calls.
func (p *Parser) list(opener string, fail func(string)) func(final bool) bool {
	raw := opener
	var next func(final bool) bool
	next = func(final bool) bool { // behind an element
		if !p.skipBlanks() {
			if final {
				p.state = p.content
			}
			return final
		}
		switch p.buf[0] {
		case ',':
			p.take(1)
			p.state = p.object("", func(raw string) {
				p.state = p.content
				p.say(Content, raw)
			}, next)
		case ']':
			p.take(1)
			p.state = p.content
		default:
			p.state = p.content
		}
		return true
	}
	return func(final bool) bool {
		rest := strings.TrimLeft(p.buf, blanks)
		raw += p.take(len(p.buf) - len(rest))
		switch {
		case rest == "" && !final:
			return false
		case strings.HasPrefix(rest, "["):
			raw += p.take(1)
			p.state = p.object(raw, fail, next)
		case strings.HasPrefix(rest, "{"):
			p.state = p.object(raw, fail, p.closing())
		default:
			fail(raw)
		}
		return true
	}
}
