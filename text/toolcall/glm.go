package toolcall

import (
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// glm is the form of GLM 4.5 and later: the name and an <arg_key> and <arg_value> for each argument, in <tool_call>.
func glm() *Format {
	f := &Format{name: "glm", openers: []string{"<tool_call>"}, think: thinkTags}
	f.call = glmCall
	f.one = func(b *grammar.Builder, t Tool) (grammar.Part, error) {
		line := b.Repeat(b.Literal("\n"), 0, 1)
		body, err := t.members(b, "</arg_value>", func(m grammar.Member) grammar.Part {
			return b.Seq(b.Special("<arg_key>"), b.Literal(m.Name), b.Special("</arg_key>"), line,
				b.Special("<arg_value>"), m.Text, b.Special("</arg_value>"), line)
		})
		if err != nil {
			if t.Strict {
				return body, fmt.Errorf("toolcall: tool %q: %w", t.Name, err)
			}
			if body, err = b.Text("</tool_call>"); err != nil {
				return body, err
			}
		}
		return b.Seq(b.Special("<tool_call>"), b.Literal(t.Name), line, body, b.Special("</tool_call>")), nil
	}
	f.all = separated("\n")
	return f
}

// glmCall reads a call.
func glmCall(p *Parser, opener string, fail func(string)) func(final bool) bool {
	const open, last = "<arg_key>", "</tool_call>"
	return func(final bool) bool {
		at, found := p.find(final, open, last)
		name := strings.TrimSpace(p.buf[:at])
		switch {
		case found == "" && !final:
			return false
		case found == "" || !isName(name):
			fail(opener + p.take(at))
			return true
		}
		p.take(at)
		c := p.beginTagged(name)
		c.shut = "</arg_value>"
		var next func(final bool) bool
		next = func(final bool) bool {
			p.skipBlanks()
			switch {
			case strings.HasPrefix(p.buf, open):
				at, found := p.find(final, "<arg_value>")
				if found == "" && !final {
					return false
				}
				key := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(p.take(at), open)),
					"</arg_key>"))
				p.take(len(found))
				p.state = c.value(key, p.o.Tools.kind(name, key), next)
			case strings.HasPrefix(p.buf, last):
				p.take(len(last))
				c.finish(p.content)
			case !final && (strings.HasPrefix(open, p.buf) || strings.HasPrefix(last, p.buf)):
				return false
			default:
				c.finish(p.content)
			}
			return true
		}
		p.state = next
		return true
	}
}
