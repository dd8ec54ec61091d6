package toolcall

import (
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// The markers of harmony.
const (
	hmStart     = "<|start|>"
	hmChannel   = "<|channel|>"
	hmMessage   = "<|message|>"
	hmConstrain = "<|constrain|>"
	hmEnd       = "<|end|>"
)

// harmony is the form of gpt-oss: messages with a channel each, analysis for thoughts, final for the answer, and
// commentary to functions.NAME for calls.
func harmony() *Format {
	f := &Format{name: "harmony"}
	f.begin = func(p *Parser) func(bool) bool { return p.harmonyHeader }
	f.resume = func(p *Parser) func(bool) bool { return p.harmonyText(Content) }
	f.one = func(b *grammar.Builder, t Tool) (grammar.Part, error) {
		args, err := t.arguments(b)
		to := b.Literal(" to=functions." + t.Name)
		json := b.Alt(b.Literal(" json"), b.Seq(b.Literal(" "), b.Special(hmConstrain), b.Literal("json")))
		return b.Seq(b.Alt(
			b.Seq(b.Special(hmChannel), b.Literal("commentary"), to, json),
			b.Seq(to, b.Special(hmChannel), b.Literal("commentary"), json),
		), b.Special(hmMessage), args), err
	}
	f.all = func(b *grammar.Builder, one grammar.Part, _ int) grammar.Part { return one }
	f.answer = harmonyAnswer
	return f
}

// harmonyAnswer writes messages of thoughts, and one that is the answer or a call, which the model ends. An answer
// that the prompt began may have a call behind it.
func harmonyAnswer(b *grammar.Builder, calls, form *grammar.Part, a Answer) (grammar.Part, error) {
	text, err := b.Text()
	if err != nil {
		return text, err
	}
	text = b.Rule(text)
	message := func(channel string, body grammar.Part) grammar.Part {
		return b.Seq(b.Special(hmChannel), b.Literal(channel), b.Special(hmMessage), body)
	}
	next := b.Seq(b.Special(hmEnd), b.Special(hmStart), b.Literal("assistant"))
	if a.Continued {
		if form != nil {
			text = *form
		}
		if calls != nil {
			text = b.Seq(text, b.Repeat(b.Seq(next, *calls), 0, 1))
		}
		return text, nil
	}
	before := b.Repeat(b.Seq(b.Alt(message("analysis", text), message("commentary", text)), next), 0, -1)
	var last []grammar.Part
	if calls != nil {
		last = append(last, *calls)
	}
	if calls == nil || !a.Required {
		body := text
		if form != nil {
			body = *form
		}
		last = append(last, message("final", body))
	}
	return b.Seq(before, b.Alt(last...)), nil
}

// harmonyHeader reads what stands before the text of a message.
func (p *Parser) harmonyHeader(final bool) bool {
	rest := strings.TrimLeft(p.buf, blanks)
	begins := false
	for _, m := range []string{hmChannel, hmStart, hmMessage, "to=", "assistant"} {
		begins = begins || strings.HasPrefix(rest, m) || !final && strings.HasPrefix(m, rest)
	}
	if !begins { // text without a header
		if p.buf == "" {
			return false
		}
		p.state = p.harmonyText(Content)
		return true
	}
	at, found := p.find(final, hmMessage)
	if found == "" {
		if !final || p.buf == "" {
			return false
		}
		p.state = p.content // a header that was broken off is text
		p.o.Tools = nil
		return true
	}
	header := p.take(at)
	p.take(len(found))
	p.marker()
	_, channel, _ := strings.Cut(header, hmChannel)
	_, name, call := strings.Cut(header, "to=functions.")
	if i := strings.IndexAny(name, blanks+"<"); i >= 0 {
		name = name[:i]
	}
	switch {
	case call && p.o.Tools != nil && isName(name):
		p.begin(name, "")
		p.state = p.rawArguments(func(final bool) bool {
			at, found := p.find(final, hmStart)
			p.take(at) // nothing but white space stands there
			if p.take(len(found)); found != "" {
				p.state = p.harmonyHeader
			}
			return found != ""
		})
	case strings.HasPrefix(strings.TrimSpace(channel), "analysis"):
		p.state = p.harmonyText(Reasoning)
	default:
		p.state = p.harmonyText(Content)
	}
	return true
}

// harmonyText reads the text of a message up to the next.
func (p *Parser) harmonyText(k Kind) func(final bool) bool {
	return func(final bool) bool {
		at, found := p.find(final, hmEnd, hmStart, hmChannel)
		p.say(k, p.take(at))
		if found == "" {
			if final && k == Reasoning {
				p.held = ""
			}
			return false
		}
		if found != hmChannel {
			p.take(len(found))
		}
		p.marker()
		p.state = p.harmonyHeader
		return true
	}
}
