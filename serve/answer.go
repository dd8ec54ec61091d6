package serve

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

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
	return &openai.Error{Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: param, Code: code, Message: err.Error()}
}

// tailTokens are those of a prompt that are looked at for thoughts that it leaves open.
const tailTokens = 8

// writer returns what makes the parser of each choice, and the grammar that holds the answers to their form and calls to
// their tools; nil if they may be anything.
func (m *Model) writer(req *openai.ChatRequest, prompt []int32) (write func() *answer, form *grammar.Grammar, err error) {
	f := m.Format
	if f == nil && req.Tools == nil {
		form, err := m.form(req.Form)
		return func() *answer { return &answer{} }, form, err
	}
	a := toolcall.Answer{Required: req.ToolChoice.Required, Only: req.ToolChoice.Name, Parallel: !req.OneCall}
	// Where the answer is not free, thoughts come first if they are asked for: a model that does not think would not end
	// them.
	a.Thinks = !a.Required && req.Form == nil || req.Thinks()
	if f != nil {
		a.Open = f.Opens(m.Tokenizer.Decode(prompt[max(0, len(prompt)-tailTokens):], true))
	}
	param := "tools"
	if req.Form != nil {
		a.Form, param = &req.Form.Spec, req.Form.Param
	}
	if req.Tools != nil {
		if a.Tools, err = toolcall.ParseTools(req.Tools); err != nil {
			return nil, nil, err
		}
		if a.Only != "" && !a.Tools.Has(a.Only) {
			return nil, nil, &openai.Error{
				Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: "tool_choice.function.name", Code: openai.CodeValue,
				Message: "names none of the tools",
			}
		}
		if f == nil || !f.Calls() {
			if a.Required {
				return nil, nil, badGrammar(toolcall.ErrNoCalls, "tool_choice")
			}
			a.Tools = nil // the template may say something of them; what the model makes of it is text
		}
	}
	if a.Form != nil || a.Tools != nil && !req.IgnoreEOS && m.Vocabulary != nil {
		if form, err = m.answerGrammar(req, a, param); err != nil {
			return nil, nil, err
		}
	} else if a.Required {
		return nil, nil, badGrammar(errors.New("a call cannot be forced with ignore_eos, or with this model"), "tool_choice")
	}
	return func() *answer {
		if f == nil {
			return &answer{}
		}
		o := toolcall.Options{Tools: a.Tools, Reasoning: !req.RawReasoning, Open: a.Open}
		return &answer{format: f, parser: f.NewParser(o)}
	}, form, nil
}

// answerKey finds the grammar of answers of one kind.
type answerKey struct {
	format, tools string
	form          grammar.Spec
	a             toolcall.Answer
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
		key.tools = string(req.Tools)
	}
	if a.Form != nil {
		key.form = *a.Form
	}
	g, err := m.Format.Grammar(v, key, a)
	return g, badGrammar(err, param)
}

// answer collects a choice's message, and what each token adds to it.
type answer struct {
	format *toolcall.Format
	parser *toolcall.Parser // nil if all is text

	content, reasoning strings.Builder
	calls              []openai.ToolCall
	finish             string
}

// add takes a token and returns what it adds to the message.
func (a *answer) add(t engine.Token) (deltas []openai.ChatDelta) {
	a.finish = string(t.Finish)
	if a.parser == nil {
		a.content.WriteString(t.Text)
		if t.Text != "" {
			deltas = append(deltas, openai.ChatDelta{Content: &t.Text})
		}
		return deltas
	}
	events := a.parser.Push(t.Text)
	if t.Finish != engine.FinishNone {
		events = append(events, a.parser.Flush()...)
	}
	for _, e := range events {
		var d openai.ChatDelta
		switch e.Kind {
		case toolcall.Content:
			a.content.WriteString(e.Text)
			d.Content = &e.Text
		case toolcall.Reasoning:
			a.reasoning.WriteString(e.Text)
			d.ReasoningContent = &e.Text
		case toolcall.Begin:
			if e.ID == "" {
				e.ID = a.format.NewID(rand.Text())
			}
			a.calls = append(a.calls, openai.ToolCall{ID: e.ID, Type: "function", Function: openai.CallFunction{Name: e.Text}})
			d.ToolCalls = []openai.ToolCallDelta{{
				Index: e.Call, ID: e.ID, Type: "function", Function: openai.CallFunctionDelta{Name: e.Text},
			}}
		case toolcall.Arguments:
			a.calls[e.Call].Function.Arguments += e.Text
			d.ToolCalls = []openai.ToolCallDelta{{Index: e.Call, Function: openai.CallFunctionDelta{Arguments: e.Text}}}
		case toolcall.End:
			continue
		}
		deltas = append(deltas, d)
	}
	if t.Finish == engine.FinishStop && len(a.calls) > 0 {
		a.finish = "tool_calls"
	}
	return deltas
}

// message returns the whole message.
func (a *answer) message() openai.ChatMessage {
	m := openai.ChatMessage{Role: "assistant", ReasoningContent: a.reasoning.String(), ToolCalls: a.calls}
	if text := a.content.String(); text != "" || len(a.calls) == 0 {
		m.Content = &text
	}
	return m
}
