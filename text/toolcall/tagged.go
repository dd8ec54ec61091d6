package toolcall

import (
	"encoding/json"
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// taggedCall writes arguments that come as one tagged text for each parameter.
type taggedCall struct {
	p     *Parser
	name  string
	count int
	shut  string // behind a value
	trim  bool   // a line end at either end of a value belongs to the tags
	kind  valueKind
	begun bool   // text of the value has come
	line  bool   // a line end is held back
	text  string // of a value that is not passed on as it comes
	then  func(final bool) bool
}

// beginTagged starts a call.
func (p *Parser) beginTagged(name string) *taggedCall {
	p.begin(name, "")
	return &taggedCall{p: p, name: name}
}

// value returns the state that reads a parameter's value.
func (c *taggedCall) value(key string, kind valueKind, then func(final bool) bool) func(final bool) bool {
	lead := ", "
	if c.count == 0 {
		lead = "{"
	}
	c.count++
	c.p.text(Arguments, lead+quote(key)+": ")
	c.kind, c.begun, c.line, c.text, c.then = kind, false, false, "", then
	if kind == textValue {
		c.p.text(Arguments, `"`)
	}
	return c.read
}

func (c *taggedCall) read(final bool) bool {
	at, found := c.p.find(final, c.shut)
	s := c.p.take(at)
	if c.kind != textValue {
		c.text += s
	} else {
		c.pass(s)
	}
	if found == "" && !final {
		return false
	}
	c.p.take(len(found))
	if c.kind == textValue {
		if c.line && !c.trim {
			c.p.text(Arguments, `\n`)
		}
		c.p.text(Arguments, `"`)
	} else {
		c.p.text(Arguments, valueOf(c.text, c.kind, c.trim))
	}
	c.p.state = c.then
	return true
}

// pass hands on the text of a string. A line end waits for what follows it.
func (c *taggedCall) pass(s string) {
	if s == "" {
		return
	}
	if c.trim && !c.begun {
		s = strings.TrimPrefix(s, "\n")
	}
	c.begun = true
	if s == "" {
		return
	}
	if c.line {
		s = "\n" + s
	}
	if c.line = strings.HasSuffix(s, "\n"); c.line {
		s = s[:len(s)-1]
	}
	c.p.text(Arguments, escape(s))
}

// finish ends the call.
func (c *taggedCall) finish(then func(final bool) bool) {
	shut := "}"
	if c.count == 0 {
		shut = "{}"
	}
	c.p.text(Arguments, shut)
	c.p.end()
	c.p.state = then
}

// valueOf returns the JSON of a parameter's text.
func valueOf(text string, kind valueKind, trim bool) string {
	if trim {
		text = strings.TrimSuffix(strings.TrimPrefix(text, "\n"), "\n")
	}
	bare := strings.TrimSpace(text)
	if json.Valid([]byte(bare)) && (kind == jsonValue || bare[0] != '"') {
		return bare
	}
	if word, ok := map[string]string{"True": "true", "False": "false", "None": "null"}[bare]; ok && kind == jsonValue {
		return word
	}
	return quote(text)
}

// members writes the parameters of a tool one after the other, each with what round writes round it.
func (t Tool) members(b *grammar.Builder, shut string, round func(m grammar.Member) grammar.Part) (grammar.Part,
	error) {
	list, err := t.list(b, shut)
	if err != nil {
		return grammar.Part{}, err
	}
	var parts []grammar.Part
	for _, m := range list {
		p := round(m)
		if !m.Required {
			p = b.Repeat(p, 0, 1)
		}
		parts = append(parts, p)
	}
	return b.Seq(parts...), nil
}
