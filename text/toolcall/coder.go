package toolcall

import (
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// coder is the form of Qwen 3.5 and Qwen 3 Coder: <function=NAME> with a <parameter=NAME> for each argument, in
// <tool_call>.
func coder() *Format {
	f := &Format{name: "qwen-xml", openers: []string{"<tool_call>", "<function="}, think: thinkTags}
	f.call = coderCall
	f.one = func(b *grammar.Builder, t Tool) (grammar.Part, error) {
		body, err := t.members(b, "</parameter>", func(m grammar.Member) grammar.Part {
			return b.Seq(b.Literal("<parameter="+m.Name+">\n"), m.Text, b.Literal("\n</parameter>\n"))
		})
		if err != nil {
			if t.Strict {
				return body, fmt.Errorf("toolcall: tool %q: %w", t.Name, err)
			}
			if body, err = b.Text("</function>"); err != nil {
				return body, err
			}
		}
		return b.Seq(b.Special("<tool_call>"), b.Literal("\n<function="+t.Name+">\n"), body,
			b.Literal("</function>\n"), b.Special("</tool_call>")), nil
	}
	f.all = separated("\n")
	return f
}

// coderCall reads a call.
func coderCall(p *Parser, opener string, fail func(string)) func(final bool) bool {
	const function, parameter, last = "<function=", "<parameter=", "</function>"
	raw := opener
	return func(final bool) bool {
		if opener == "<tool_call>" && raw == opener {
			rest := strings.TrimLeft(p.buf, blanks)
			if !final && strings.HasPrefix(function, rest) && rest != function {
				return false
			}
			raw += p.take(len(p.buf) - len(rest))
			if strings.HasPrefix(rest, "{") { // a model that writes as Hermes does
				p.state = p.object(raw, fail, p.closing("</tool_call>"))
				return true
			}
			if !strings.HasPrefix(rest, function) {
				fail(raw)
				return true
			}
			raw += p.take(len(function))
		}
		at, found := p.find(final, ">", "\n")
		name := strings.TrimSpace(p.buf[:at])
		if found == "" && !final {
			return false
		}
		if found != ">" || !isName(name) {
			fail(raw + p.take(at))
			return true
		}
		p.take(at + 1)
		c := p.beginTagged(name)
		c.shut, c.trim = "</parameter>", true
		var next func(final bool) bool
		next = func(final bool) bool {
			p.skipBlanks()
			switch {
			case strings.HasPrefix(p.buf, parameter):
				at, found := p.find(final, ">")
				if found == "" && !final {
					return false
				}
				key := strings.TrimSpace(strings.TrimPrefix(p.take(at), parameter))
				p.take(len(found))
				p.state = c.value(key, p.o.Tools.kind(name, key), next)
			case strings.HasPrefix(p.buf, last):
				p.take(len(last))
				c.finish(p.closing("</tool_call>"))
			case !final && (strings.HasPrefix(parameter, p.buf) || strings.HasPrefix(last, p.buf)):
				return false
			default:
				c.finish(p.closing("</tool_call>"))
			}
			return true
		}
		p.state = next
		return true
	}
}
