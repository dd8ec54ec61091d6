package serve

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/openai"
	"github.com/hipengine/hipengine/text/grammar"
	"github.com/hipengine/hipengine/text/toolcall"
)

// form compiles what a request wants its text to be; nil if it may be anything.
func (m *Model) form(f *openai.Form) (*grammar.Grammar, error) {
	if f == nil {
		return nil, nil
	}
	v, err := m.vocabulary(f.Param)
	if err != nil {
		return nil, err
	}
	g, err := v.Compile(f.Spec)
	return g, badGrammar(err, f.Param)
}

// vocabulary returns the tokens for the grammar that a field asks for.
func (m *Model) vocabulary(param string) (*grammar.Vocabulary, error) {
	if m.Vocabulary == nil {
		return nil, &openai.Error{
			Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: param, Code: openai.CodeUnsupported,
			Message: "this model's text cannot be held to a form",
		}
	}
	return m.Vocabulary()
}

// badGrammar is the client's error of a form that cannot be compiled.
func badGrammar(err error, param string) error {
	if err == nil {
		return nil
	}
	code := openai.CodeValue
	if errors.Is(err, toolcall.ErrNoCalls) {
		code = openai.CodeUnsupported
	}
	return &openai.Error{Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: param, Code: code,
		Message: plainMessage(err)}
}

// tailTokens are those of a prompt that are looked at for thoughts that it leaves open.
const tailTokens = 8

// tail is the end of a prompt's text.
func (m *Model) tail(prompt []int32) string {
	return m.Tokenizer.Decode(prompt[max(0, len(prompt)-tailTokens):], true)
}

// opens reports whether a prompt leaves thoughts open.
func (m *Model) opens(req *openai.ChatRequest, prompt []int32) bool {
	return m.Format != nil && !req.Continue && m.Format.Opens(m.tail(prompt))
}

// thoughts returns the bounds of the thoughts of an answer; nil if there are none.
func (m *Model) thoughts(req *openai.ChatRequest, prompt []int32) (*engine.Thoughts, error) {
	budget, bounded := req.ThinkingBudget(m.Template)
	if !bounded || m.Format == nil {
		return nil, nil
	}
	opener, closers, end := m.Format.Thoughts()
	if opener == "" {
		return nil, nil
	}
	ids, err := m.Tokenizer.EncodeText(end, false, true)
	if err != nil {
		return nil, err
	}
	return &engine.Thoughts{Budget: budget, Open: m.opens(req, prompt), Opener: opener, Closers: closers, End: ids},
		nil
}

// writer returns what makes the parser of each choice, and the grammar that holds the answers to their form and calls
// to their tools; nil if they may be anything.
func (m *Model) writer(
	req *openai.ChatRequest, prompt []int32,
) (write func() *answer, form *grammar.Grammar, err error) {
	f := m.Format
	if f == nil && req.Tools == nil {
		form, err := m.form(req.Form)
		return func() *answer { return &answer{} }, form, err
	}
	a := toolcall.Answer{Required: req.ToolChoice.Required, Parallel: !req.OneCall, Continued: req.Continue}
	// Where the answer is not free, thoughts come first if they are asked for: a model that does not think would not
	// end them.
	a.Thinks = !a.Required && req.Form == nil || req.Thinks()
	a.Open = m.opens(req, prompt)
	param := "tools"
	if req.Form != nil {
		a.Form, param = &req.Form.Spec, req.Form.Param
	}
	if req.Tools != nil {
		if a.Tools, err = toolcall.ParseTools(req.Tools); err != nil {
			return nil, nil, err
		}
		for name, input := range req.Inputs {
			a.Tools.Hold(name, input)
		}
		if req.ToolChoice.Names != nil {
			a.Tools = a.Tools.Select(req.ToolChoice.Names...)
		}
		if f == nil || !f.Calls() {
			if a.Required {
				return nil, nil, badGrammar(toolcall.ErrNoCalls, "tool_choice")
			}
			a.Tools = nil // the template may say something of them; what the model makes of it is text
		}
	}
	closed := f != nil && !req.Continue && f.Closes(m.tail(prompt))
	held := a.Tools != nil && !req.IgnoreEOS && m.Vocabulary != nil
	if a.Form != nil || held {
		if form, err = m.answerGrammar(req, a, param); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case held || a.Tools == nil:
	case a.Required:
		return nil, nil, badGrammar(errors.New("a call cannot be forced with ignore_eos, or with this model"),
			"tool_choice")
	case len(req.Inputs) > 0:
		return nil, nil, badGrammar(errors.New("no tool is held to a grammar with ignore_eos, or with this model"),
			"tools")
	}
	return func() *answer {
		if f == nil {
			return &answer{}
		}
		o := toolcall.Options{Tools: a.Tools, Reasoning: !req.RawReasoning, Open: a.Open, Continued: a.Continued,
			Closed: closed}
		return &answer{format: f, parser: f.NewParser(o), thinking: a.Open && o.Reasoning}
	}, form, nil
}

// silence explains an answer whose tokens ran out before it said anything; empty for others.
func (a *answer) silence(said bool) string {
	switch {
	case said || a.called || a.finish != engine.FinishLength:
		return ""
	case a.thoughts > 0:
		return "all tokens of the answer went to thoughts; allow more, or bound thoughts (thinking_budget, reasoning_effort)"
	}
	return "the tokens of the answer ran out before there was text"
}

// answerKey finds the grammar of answers of one kind.
type answerKey struct {
	format, tools, choice string
	form                  grammar.Spec
	a                     toolcall.Answer
}

// answerGrammar returns the grammar of the answers to a request.
func (m *Model) answerGrammar(req *openai.ChatRequest, a toolcall.Answer, param string) (*grammar.Grammar, error) {
	v, err := m.vocabulary(param)
	if err != nil {
		return nil, err
	}
	if m.Format == nil {
		return m.form(req.Form)
	}
	key := answerKey{format: m.Format.Name(), a: a}
	key.a.Tools, key.a.Form = nil, nil
	if a.Tools != nil {
		key.tools, key.choice = string(req.Tools), fmt.Sprintf("%q %#v", req.ToolChoice.Names, req.Inputs)
	}
	if a.Form != nil {
		key.form = *a.Form
	}
	g, err := m.Format.Grammar(v, key, a)
	return g, badGrammar(err, param)
}

// answer tells what the tokens of a choice are: text, thoughts or calls.
type answer struct {
	format *toolcall.Format
	parser *toolcall.Parser // nil if all is text

	finish   engine.FinishReason
	stop     string // the stop string that ended the text
	called   bool   // there are calls
	thinking bool
	thoughts int // tokens of thoughts and their markers
}

// add takes a token and returns what is certain now. Calls have ids.
func (a *answer) add(t engine.Token) []toolcall.Event {
	a.finish, a.stop = t.Finish, t.StopString
	if a.parser == nil {
		if t.Text == "" {
			return nil
		}
		return []toolcall.Event{{Kind: toolcall.Content, Text: t.Text}}
	}
	events := a.parser.Push(t.Text)
	if t.Finish != engine.FinishNone {
		events = append(events, a.parser.Flush()...)
	}
	thought := a.thinking
	for i, e := range events {
		a.thinking = e.Kind == toolcall.Reasoning
		thought = thought || a.thinking
		if e.Kind == toolcall.Begin {
			if a.called = true; e.ID == "" {
				events[i].ID = a.format.NewID(rand.Text())
			}
		}
	}
	if thought {
		a.thoughts++
	}
	return events
}
