package grammar

import (
	"errors"
	"strings"
)

// ErrControl says that a grammar names control tokens where there can be none.
var ErrControl = errors.New("grammar: control tokens cannot stand in a JSON string")

// Quoted matches the JSON strings whose texts match a spec in GBNF, Lark or as a regular expression. Each character is
// spelled in one way: as it is where JSON allows that. Errors are those of Spec, and [ErrControl].
func (b *Builder) Quoted(s Spec) (Part, error) {
	var text source
	var err error
	switch {
	case s.GBNF != "":
		text, err = gbnfSource(s.GBNF)
	case s.Lark != "":
		text, err = larkSource(s.Lark)
	default:
		text, err = regexpSource(s.Regexp)
	}
	if err != nil {
		return Part{}, err
	}
	quoted := source{rules: make([]*expr, len(text.rules))}
	for i, r := range text.rules {
		if quoted.rules[i], err = inString(r); err != nil {
			return Part{}, err
		}
	}
	p, err := b.include(quoted, nil)
	return b.Seq(b.Literal(`"`), p, b.Literal(`"`)), err
}

// inString returns the expression of what e matches as a JSON string holds it.
func inString(e *expr) (*expr, error) {
	switch e.op {
	case opLiteral:
		var text strings.Builder
		for i := range len(e.text) { // by bytes, since a literal may be a part of a character
			if c := e.text[i]; c < ' ' || c == '"' || c == '\\' {
				text.WriteString(escapeOf(rune(c)))
			} else {
				text.WriteByte(c)
			}
		}
		return literal(text.String()), nil
	case opClass:
		return runesIn(e.ranges, unescaped), nil
	case opSpecial:
		return nil, ErrControl
	}
	if len(e.subs) == 0 {
		return e, nil
	}
	out := *e
	out.subs = make([]*expr, len(e.subs))
	for i, sub := range e.subs {
		var err error
		if out.subs[i], err = inString(sub); err != nil {
			return nil, err
		}
	}
	return &out, nil
}
