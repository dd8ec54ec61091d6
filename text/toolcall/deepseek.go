package toolcall

import (
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// The markers of DeepSeek's models up to V3.1.
const (
	dsCalls    = "<｜tool▁calls▁begin｜>"
	dsCallsEnd = "<｜tool▁calls▁end｜>"
	dsCall     = "<｜tool▁call▁begin｜>"
	dsCallEnd  = "<｜tool▁call▁end｜>"
	dsSep      = "<｜tool▁sep｜>"
)

// deepseek is the form of DeepSeek V3.1: the name, a separator and JSON for each call.
func deepseek() *Format {
	f := &Format{name: "deepseek", openers: []string{dsCalls, dsCall}, think: thinkTags, call: deepseekCall}
	f.one = func(b *grammar.Builder, t Tool) (grammar.Part, error) {
		args, err := t.arguments(b)
		return b.Seq(b.Special(dsCall), b.Literal(t.Name), b.Special(dsSep), args, b.Special(dsCallEnd)), err
	}
	f.all = deepseekAll("")
	return f
}

// deepseekFenced is that of DeepSeek V3 and R1: the kind of the call, a separator, the name and JSON in a code block.
func deepseekFenced() *Format {
	f := deepseek()
	f.name = "deepseek-fenced"
	f.one = func(b *grammar.Builder, t Tool) (grammar.Part, error) {
		args, err := t.arguments(b)
		return b.Seq(b.Special(dsCall), b.Literal("function"), b.Special(dsSep), b.Literal(t.Name+"\n```json\n"), args,
			b.Literal("\n```"), b.Special(dsCallEnd)), err
	}
	f.all = deepseekAll("\n")
	return f
}

func deepseekAll(between string) func(*grammar.Builder, grammar.Part, int) grammar.Part {
	return func(b *grammar.Builder, one grammar.Part, most int) grammar.Part {
		return b.Seq(b.Special(dsCalls), separated(between)(b, one, most), b.Special(dsCallsEnd))
	}
}

// deepseekCall reads both.
func deepseekCall(p *Parser, opener string, fail func(string)) func(final bool) bool {
	const fence = "```"
	raw := opener
	first := opener == dsCalls
	var head, next, behind func(final bool) bool
	behind = func(final bool) bool { // the arguments
		p.skipBlanks()
		switch {
		case strings.HasPrefix(p.buf, fence):
			p.take(len(fence))
		case strings.HasPrefix(p.buf, dsCallEnd):
			p.take(len(dsCallEnd))
			p.state = next
		case !final && (strings.HasPrefix(fence, p.buf) || strings.HasPrefix(dsCallEnd, p.buf)):
			return false
		default:
			p.state = next
		}
		return true
	}
	next = func(final bool) bool { // a call or the end
		p.skipBlanks()
		switch {
		case strings.HasPrefix(p.buf, dsCall):
			raw = p.take(len(dsCall))
			fail = func(raw string) {
				p.state = p.content
				p.say(Content, raw)
			}
			p.state = head
		case strings.HasPrefix(p.buf, dsCallsEnd):
			p.take(len(dsCallsEnd))
			p.state = p.content
		case !final && (strings.HasPrefix(dsCall, p.buf) || strings.HasPrefix(dsCallsEnd, p.buf)):
			return false
		default:
			p.state = p.content
		}
		return true
	}
	head = func(final bool) bool {
		at, found := p.find(final, dsSep, dsCallEnd, dsCallsEnd)
		if found == "" && !final {
			return false
		}
		if found != dsSep {
			fail(raw + p.take(at))
			return true
		}
		// What is before the separator is the kind, if the name and a fence are behind it.
		name := strings.TrimSpace(p.buf[:at])
		rest := strings.TrimLeft(p.buf[at+len(dsSep):], blanks)
		if rest == "" && !final {
			return false
		}
		if !strings.HasPrefix(rest, "{") {
			end := strings.Index(rest, fence)
			if stop := strings.Index(rest, dsCallEnd); end < 0 || stop >= 0 && stop < end {
				if !final && stop < 0 {
					return false
				}
				fail(raw + p.take(at+len(dsSep)))
				return true
			}
			brace, stop := strings.Index(rest[end:], "{"), strings.Index(rest[end:], dsCallEnd)
			if brace < 0 && !final && stop < 0 {
				return false
			}
			if stop >= 0 && stop < brace { // of another call
				brace = -1
			}
			if name = strings.TrimSpace(rest[:end]); brace < 0 || !isName(name) {
				fail(raw + p.take(at+len(dsSep)))
				return true
			}
			rest = rest[end+brace:]
		}
		if !isName(name) {
			fail(raw + p.take(at+len(dsSep)))
			return true
		}
		p.take(len(p.buf) - len(rest))
		p.begin(name, "")
		p.state = p.rawArguments(behind)
		return true
	}
	return func(final bool) bool {
		if !first {
			p.state = head
			return true
		}
		rest := strings.TrimLeft(p.buf, blanks)
		if !final && strings.HasPrefix(dsCall, rest) && rest != dsCall {
			return false
		}
		raw += p.take(len(p.buf) - len(rest))
		if !strings.HasPrefix(rest, dsCall) {
			fail(raw)
			return true
		}
		raw += p.take(len(dsCall))
		p.state = head
		return true
	}
}

// dsml is the form of DeepSeek V3.2 and V4: tags with a name for calls and parameters, which say whether they are
// strings.
func dsml() *Format {
	f := &Format{name: "deepseek-dsml", think: thinkTags, call: dsmlCall}
	f.openers = []string{"<｜DSML｜function_calls>", "<｜DSML｜tool_calls>"}
	f.one = func(b *grammar.Builder, t Tool) (grammar.Part, error) {
		const shut = "</｜DSML｜parameter>"
		body, err := t.members(b, shut, func(m grammar.Member) grammar.Part {
			tag := fmt.Sprintf(`<｜DSML｜parameter name="%s" string="%v">`, m.Name, m.IsText)
			return b.Seq(b.Literal(tag), m.Text, b.Literal(shut+"\n"))
		})
		if err != nil {
			if t.Strict {
				return body, fmt.Errorf("toolcall: tool %q: %w", t.Name, err)
			}
			if body, err = b.Text("</｜DSML｜invoke>"); err != nil {
				return body, err
			}
		}
		return b.Seq(b.Literal(`<｜DSML｜invoke name="`+t.Name+"\">\n"), body, b.Literal("</｜DSML｜invoke>\n")), nil
	}
	f.all = func(b *grammar.Builder, one grammar.Part, most int) grammar.Part {
		round := func(name string) grammar.Part {
			return b.Seq(b.Literal("<｜DSML｜"+name+">\n"), b.Repeat(one, 1, most), b.Literal("</｜DSML｜"+name+">"))
		}
		return b.Alt(round("function_calls"), round("tool_calls"))
	}
	return f
}

// attribute returns the value of an attribute of a tag.
func attribute(tag, name string) string {
	_, rest, _ := strings.Cut(tag, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// dsmlCall reads calls.
func dsmlCall(p *Parser, opener string, fail func(string)) func(final bool) bool {
	const invoke, parameter, shutInvoke = "<｜DSML｜invoke ", "<｜DSML｜parameter ", "</｜DSML｜invoke>"
	shutAll := "</" + opener[1:]
	raw := opener
	some := false
	var next func(final bool) bool
	next = func(final bool) bool {
		rest := strings.TrimLeft(p.buf, blanks)
		if !final && (strings.HasPrefix(invoke, rest) && rest != invoke || some && strings.HasPrefix(shutAll, rest) &&
			rest != shutAll) {
			return false
		}
		raw += p.take(len(p.buf) - len(rest))
		switch {
		case strings.HasPrefix(rest, invoke):
			at, found := p.find(final, ">")
			name := attribute(p.buf[:at], "name")
			if found == "" && !final {
				return false
			}
			if found == "" || !isName(name) {
				if some {
					p.state = p.content
				} else {
					fail(raw)
				}
				return true
			}
			p.take(at + 1)
			some = true
			c := p.beginTagged(name)
			c.shut = "</｜DSML｜parameter>"
			var member func(final bool) bool
			member = func(final bool) bool {
				p.skipBlanks()
				switch {
				case strings.HasPrefix(p.buf, parameter):
					at, found := p.find(final, ">")
					if found == "" && !final {
						return false
					}
					tag := p.take(at)
					p.take(len(found))
					kind := jsonValue
					if attribute(tag, "string") == "true" {
						kind = textValue
					}
					p.state = c.value(attribute(tag, "name"), kind, member)
				case strings.HasPrefix(p.buf, shutInvoke):
					p.take(len(shutInvoke))
					c.finish(next)
				case !final && (strings.HasPrefix(parameter, p.buf) || strings.HasPrefix(shutInvoke, p.buf)):
					return false
				default:
					c.finish(next)
				}
				return true
			}
			p.state = member
		case some && strings.HasPrefix(rest, shutAll):
			p.take(len(shutAll))
			p.state = p.content
		case some:
			p.state = p.content
		default:
			fail(raw)
		}
		return true
	}
	return next
}
