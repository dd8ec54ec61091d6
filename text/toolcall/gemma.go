package toolcall

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// gemmaQuote is what Gemma 4 writes round strings.
const gemmaQuote = `<|"|>`

// gemma4 is the form of Gemma 4: call:NAME{key:value,...} in markers of its own, in which strings stand between
// gemmaQuote and keys are bare.
func gemma4() *Format {
	f := &Format{name: "gemma4", openers: []string{"<|tool_call>"}, call: gemmaCall}
	f.think = pair{"<|channel>thought\n", "<channel|>"}
	f.one = func(b *grammar.Builder, t Tool) (grammar.Part, error) {
		body, err := gemmaObject(b, t)
		return b.Seq(b.Special("<|tool_call>"), b.Literal("call:"+t.Name), body, b.Special("<tool_call|>")), err
	}
	f.all = separated("")
	return f
}

// gemmaValues is the form of values, in Lark's language.
const gemmaValues = `
start: value
value: string | number | "true" | "false" | "null" | object | "[" [value ("," value)*] "]"
object: "{" [KEY ":" value ("," KEY ":" value)*] "}"
string: <|"|> /[^<]*/ <|"|>
number: /-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?/
KEY: /[A-Za-z_][A-Za-z0-9_.-]{0,63}/
`

// gemmaObject writes the arguments of a tool, by their names in alphabetical order as its template does. Values that
// are no strings, numbers or booleans are held to the form and not to their schema.
func gemmaObject(b *grammar.Builder, t Tool) (grammar.Part, error) {
	value, err := b.Lark(gemmaValues)
	if err != nil {
		return value, err
	}
	list, err := t.list(b, gemmaQuote)
	if err != nil && t.Strict {
		return value, fmt.Errorf("toolcall: tool %q: %w", t.Name, err)
	}
	if err != nil {
		return b.Lark(strings.Replace(gemmaValues, "start: value", "start: object", 1))
	}
	slices.SortFunc(list, func(x, y grammar.Member) int {
		return strings.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name))
	})
	member := func(m grammar.Member) grammar.Part {
		switch {
		case m.IsText:
			return b.Seq(b.Literal(m.Name+":"), b.Special(gemmaQuote), m.Text, b.Special(gemmaQuote))
		case m.IsPlain:
			return b.Seq(b.Literal(m.Name+":"), m.Text)
		}
		return b.Seq(b.Literal(m.Name+":"), value)
	}
	// tails are what may follow from each member on, when there is one before it; firsts when there is none.
	tail, first := grammar.Empty, grammar.Empty
	for _, m := range slices.Backward(list) {
		with := b.Seq(member(m), tail)
		more := b.Seq(b.Literal(","), with)
		if m.Required {
			first, tail = with, more
		} else {
			first, tail = b.Alt(with, first), b.Alt(more, tail)
		}
		first, tail = b.Rule(first), b.Rule(tail)
	}
	return b.Seq(b.Literal("{"), first, b.Literal("}")), nil
}

// gemmaCall reads a call and writes its arguments as JSON.
func gemmaCall(p *Parser, opener string, fail func(string)) func(final bool) bool {
	return func(final bool) bool {
		at, found := p.find(final, "{", "<tool_call|>")
		head := strings.TrimSpace(p.buf[:at])
		name, ok := strings.CutPrefix(head, "call:")
		switch {
		case found == "" && !final:
			return false
		case found != "{" || !ok || !isName(name):
			fail(opener + p.take(at))
			return true
		}
		p.take(at)
		p.begin(name, "")
		w := gemmaArguments{p: p, then: p.closing("<tool_call|>")}
		p.state = w.read
		return true
	}
}

// gemmaArguments turns Gemma's form of values into JSON.
type gemmaArguments struct {
	p      *Parser
	open   []byte // brackets
	key    bool   // a key comes next
	quoted bool
	then   func(final bool) bool
}

func (w *gemmaArguments) read(final bool) bool {
	p := w.p
	if w.quoted {
		at, found := p.find(final, gemmaQuote)
		p.text(Arguments, escape(p.take(at)))
		if found == "" && !final {
			return false
		}
		p.take(len(found))
		p.text(Arguments, `"`)
		w.quoted = false
		return true
	}
	if p.buf == "" {
		if !final {
			return false
		}
		return w.finish()
	}
	c := p.buf[0]
	switch {
	case strings.HasPrefix(p.buf, gemmaQuote):
		p.take(len(gemmaQuote))
		p.text(Arguments, `"`)
		w.quoted = true
		w.key = false
		return true
	case !final && strings.HasPrefix(gemmaQuote, p.buf):
		return false
	case c == '<':
		return w.finish()
	case c == '{' || c == '[':
		w.open = append(w.open, c)
		w.key = c == '{'
		p.text(Arguments, p.take(1))
	case c == '}' || c == ']':
		p.text(Arguments, p.take(1))
		if w.open = w.open[:len(w.open)-1]; len(w.open) == 0 {
			return w.finish()
		}
	case c == ',':
		w.key = w.open[len(w.open)-1] == '{'
		p.text(Arguments, p.take(1))
	case c == ':':
		w.key = false
		p.text(Arguments, p.take(1))
	case w.key && strings.IndexByte(blanks, c) < 0 && c != '"':
		at, found := p.find(final, ":", ",", "}")
		if found == "" && !final {
			return false
		}
		p.text(Arguments, quote(strings.TrimSpace(p.take(at))))
		w.key = false
	default:
		p.text(Arguments, p.take(1))
	}
	return true
}

func (w *gemmaArguments) finish() bool {
	w.p.end()
	w.p.state = w.then
	return true
}
