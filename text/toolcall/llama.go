package toolcall

import (
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// llama is the form of Llama 3: the whole answer is {"name": ..., "parameters": {...}}, perhaps behind <|python_tag|>.
func llama() *Format {
	f := &Format{name: "llama3", openers: []string{"<|python_tag|>"}}
	f.call = func(p *Parser, opener string, fail func(string)) func(bool) bool {
		return p.object(opener, fail, p.nextLlama)
	}
	f.resume = func(p *Parser) func(bool) bool { return p.content }
	f.begin = func(p *Parser) func(bool) bool {
		return func(final bool) bool {
			if p.o.Tools == nil {
				p.state = p.content
				return true
			}
			rest := strings.TrimLeft(p.buf, blanks)
			switch {
			case rest == "" && !final:
				return false
			case strings.HasPrefix(rest, "{"):
				blank := p.take(len(p.buf) - len(rest))
				p.state = p.object("", func(raw string) {
					p.state = p.content
					p.say(Content, blank+raw)
				}, p.nextLlama)
			default:
				p.state = p.content
			}
			return true
		}
	}
	f.one = func(b *grammar.Builder, t Tool) (grammar.Part, error) {
		args, err := t.arguments(b)
		return b.Seq(b.Literal(`{"name": `+quote(t.Name)+`, "parameters": `), args, b.Literal("}")), err
	}
	f.all = separated("; ")
	f.answer = func(b *grammar.Builder, calls, form *grammar.Part, a Answer) (grammar.Part, error) {
		if a.Continued && form == nil { // a call stands alone
			return b.Text()
		}
		text, err := b.Regexp(`([^{\s][\s\S]*)?`) // what begins with a brace is a call
		switch {
		case calls != nil && a.Required:
			return *calls, nil
		case form != nil:
			text = *form
		}
		if calls != nil && !a.Continued {
			text = b.Alt(*calls, text)
		}
		return text, err
	}
	return f
}

// nextLlama is behind a call: another may follow, separated by a semicolon.
func (p *Parser) nextLlama(final bool) bool {
	rest := strings.TrimLeft(p.buf, blanks)
	rest = strings.TrimLeft(strings.TrimPrefix(rest, ";"), blanks)
	switch {
	case rest == "" && !final:
		return false
	case strings.HasPrefix(rest, "{"):
		raw := p.take(len(p.buf) - len(rest))
		p.state = p.object("", func(object string) {
			p.state = p.content
			p.say(Content, raw+object)
		}, p.nextLlama)
	default:
		p.state = p.content
	}
	return true
}
