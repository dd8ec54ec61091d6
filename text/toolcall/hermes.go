package toolcall

import (
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// hermes is the form of Hermes, Qwen 2.5 and Qwen 3, and others: {"name": ..., "arguments": {...}} in <tool_call>.
func hermes() *Format {
	f := &Format{name: "hermes", openers: []string{"<tool_call>"}, think: thinkTags}
	f.call = func(p *Parser, opener string, fail func(string)) func(bool) bool {
		return p.object(opener, fail, p.closing("</tool_call>"))
	}
	f.one = func(b *grammar.Builder, t Tool) (grammar.Part, error) {
		args, err := t.arguments(b)
		return b.Seq(b.Special("<tool_call>"), b.Literal("\n"+`{"name": `+quote(t.Name)+`, "arguments": `), args,
			b.Literal("}\n"), b.Special("</tool_call>")), err
	}
	f.all = separated("\n")
	return f
}

// closing returns the state that takes a closing marker if it comes, and goes on with content.
func (p *Parser) closing(markers ...string) func(final bool) bool {
	return func(final bool) bool {
		if !p.skipBlanks() && !final {
			return false
		}
		for _, m := range markers {
			if strings.HasPrefix(p.buf, m) {
				p.take(len(m))
				p.state = p.content
				return true
			}
		}
		for _, m := range markers {
			if !final && strings.HasPrefix(m, p.buf) {
				return false
			}
		}
		p.state = p.content
		return true
	}
}

// separated writes calls with a text between them.
func separated(between string) func(b *grammar.Builder, one grammar.Part, most int) grammar.Part {
	return func(b *grammar.Builder, one grammar.Part, most int) grammar.Part {
		if most > 0 {
			most--
		}
		return b.Seq(one, b.Repeat(b.Seq(b.Literal(between), one), 0, most))
	}
}
