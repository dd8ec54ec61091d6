package toolcall

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/text/grammar"
)

// Answer says what an answer may be.
type Answer struct {
	Tools    *Tools        // that may be called; nil is none
	Required bool          // there must be a call
	Only     string        // the name of the one tool that may be called; empty is any
	Parallel bool          // there may be several calls
	Form     *grammar.Spec // what the text must be; nil is any
	Thinks   bool          // thoughts may come first
	Open     bool          // the prompt ends within the thoughts

	// Continued is set if the prompt ends within the text of the answer. A form then holds the rest of the text.
	Continued bool
}

// ErrNoCalls says that a format knows no calls.
var ErrNoCalls = errors.New("toolcall: this model's template has no form for tool calls")

// maxCalls bounds the calls of an answer.
const maxCalls = 64

// Grammar returns the grammar of the answers that a allows, which the vocabulary keeps under key. Errors are those of
// package grammar, and [ErrNoCalls].
func (f *Format) Grammar(v *grammar.Vocabulary, key any, a Answer) (*grammar.Grammar, error) {
	return v.Cached(key, func() (*grammar.Grammar, error) {
		var b grammar.Builder
		p, err := f.write(&b, v, a)
		if err != nil {
			return nil, err
		}
		return b.Compile(p, v)
	})
}

// write writes an answer: thoughts, then text and calls.
func (f *Format) write(b *grammar.Builder, v *grammar.Vocabulary, a Answer) (grammar.Part, error) {
	var calls, form *grammar.Part
	if a.Tools != nil {
		c, err := f.calls(b, a)
		if err != nil {
			return c, err
		}
		calls = &c
	}
	if a.Form != nil {
		p, err := b.Spec(*a.Form)
		if err != nil {
			return p, err
		}
		form = &p
	}
	if f.answer != nil {
		return f.answer(b, calls, form, a)
	}
	thoughts, err := f.thoughts(b, v, a)
	if err != nil {
		return thoughts, err
	}
	if calls != nil && a.Required {
		return b.Seq(thoughts, *calls), nil
	}
	if form != nil && calls != nil {
		return b.Seq(thoughts, b.Alt(*form, *calls)), nil
	}
	if form != nil {
		return b.Seq(thoughts, *form), nil
	}
	text, err := b.Text(f.avoided()...)
	if err != nil {
		return text, err
	}
	if calls != nil {
		text = b.Seq(text, b.Repeat(*calls, 0, 1))
	}
	return b.Seq(thoughts, text), nil
}

// avoided are the texts that would begin a call.
func (f *Format) avoided() []string {
	if f.avoid != nil {
		return f.avoid
	}
	return f.openers
}

// thoughts writes what comes before the answer.
func (f *Format) thoughts(b *grammar.Builder, v *grammar.Vocabulary, a Answer) (grammar.Part, error) {
	if f.think.open == "" || a.Continued || !a.Open && !a.Thinks {
		return grammar.Empty, nil
	}
	text, err := b.Text(f.think.close)
	if err != nil {
		return text, err
	}
	blank := b.Repeat(b.Literal("\n"), 0, 4)
	closed := b.Seq(text, b.Special(f.think.close), blank)
	if a.Open {
		return closed, nil
	}
	return b.Repeat(b.Seq(marker(b, v, f.think.open), closed), 0, 1), nil
}

// marker writes a marker of which the vocabulary may have the first part as a control token.
func marker(b *grammar.Builder, v *grammar.Vocabulary, text string) grammar.Part {
	for n := len(text); n > 0; n-- {
		if v.HasControl(text[:n]) {
			return b.Seq(b.Special(text[:n]), b.Literal(text[n:]))
		}
	}
	return b.Literal(text)
}

// calls writes the calls that a allows.
func (f *Format) calls(b *grammar.Builder, a Answer) (grammar.Part, error) {
	if !f.Calls() {
		return grammar.Part{}, ErrNoCalls
	}
	var list []grammar.Part
	for _, t := range a.Tools.list {
		if a.Only != "" && t.Name != a.Only {
			continue
		}
		one, err := f.one(b, t)
		if err != nil {
			return one, err
		}
		list = append(list, one)
	}
	if len(list) == 0 {
		return grammar.Part{}, fmt.Errorf("toolcall: there is no tool %q", a.Only)
	}
	most := 1
	if a.Parallel {
		most = maxCalls
	}
	return f.all(b, b.Rule(b.Alt(list...)), most), nil
}
