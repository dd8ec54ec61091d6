package grammar

import (
	"errors"
	"fmt"
)

// Spec is a grammar's text in one of the languages. The zero value is none.
type Spec struct {
	JSONObject bool   // any JSON object
	JSONSchema string // what a JSON Schema allows
	GBNF       string // in llama.cpp's form of BNF, from the rule root
	Lark       string // in Lark's language, from the rule start
	Regexp     string // a regular expression for the whole text
}

// IsZero reports whether the spec asks for nothing.
func (s Spec) IsZero() bool { return s == Spec{} }

// ErrManySpecs says that a Spec asks for several grammars.
var ErrManySpecs = errors.New("grammar: more than one form is asked for")

// part returns what writes the one language that the spec uses.
func (s Spec) part() (write func(b *Builder) (Part, error), err error) {
	n := 0
	for _, l := range []struct {
		asked bool
		part  func(b *Builder) (Part, error)
	}{
		{s.JSONObject, (*Builder).Object},
		{s.JSONSchema != "", func(b *Builder) (Part, error) { return b.Schema([]byte(s.JSONSchema)) }},
		{s.GBNF != "", func(b *Builder) (Part, error) { return b.GBNF(s.GBNF) }},
		{s.Lark != "", func(b *Builder) (Part, error) { return b.Lark(s.Lark) }},
		{s.Regexp != "", func(b *Builder) (Part, error) { return b.Regexp(s.Regexp) }},
	} {
		if l.asked {
			write = l.part
			n++
		}
	}
	if n != 1 {
		return nil, fmt.Errorf("%w: %d of them", ErrManySpecs, n)
	}
	return write, nil
}

// Compile returns the grammar of a spec, which is kept for the next that asks for the same. Errors are those of the
// language, or [ErrManySpecs].
func (v *Vocabulary) Compile(s Spec) (*Grammar, error) {
	write, err := s.part()
	if err != nil {
		return nil, err
	}
	return v.Cached(s, func() (*Grammar, error) { return build(v, write) })
}

// Cached returns the grammar that is kept under a key, or else that of compile, which it then keeps as long as there
// is room. Keys are compared as map keys are.
func (v *Vocabulary) Cached(key any, compile func() (*Grammar, error)) (*Grammar, error) {
	if g, ok := v.grammars.get(key).(*Grammar); ok {
		return g, nil
	}
	g, err := compile()
	if err != nil {
		return nil, err
	}
	v.grammars.put(key, g, g.bytes())
	return g, nil
}

// grammarBytes bounds the memory for grammars that are kept.
const grammarBytes = 256 << 20

// bytes estimates what a grammar takes, with as many states as it may keep.
func (g *Grammar) bytes() int64 {
	const node, state = 160, 256
	return int64(len(g.nodes))*node + maxStates*(state+8*int64(g.classes))
}
