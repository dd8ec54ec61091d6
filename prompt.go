package hipengine

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hipengine/hipengine/text/chat"
	"github.com/hipengine/hipengine/text/tokenizer"
	"github.com/hipengine/hipengine/text/toolcall"
)

// prompter turns conversations into ids: a chat template and the tokenizer that goes with it.
type prompter struct {
	tok       *tokenizer.Tokenizer
	templates templates
	bos, eos  string // texts, for the template
	format    *toolcall.Format
	lenient   bool // accept conversations of which the template leaves out parts

	turnStart int32 // token with which turns begin, 0 if there is none or nobody knows
}

// newPrompter makes a prompter of a model's template and those that it has by name.
func newPrompter(tok *tokenizer.Tokenizer, source string, named map[string]string, o Options) (prompter, error) {
	p := prompter{tok: tok, lenient: o.Lenient}
	if id, ok := tok.BOS(); ok {
		p.bos, _ = tok.Token(id)
	}
	if id, ok := tok.EOS(); ok {
		p.eos, _ = tok.Token(id)
	}
	var err error
	if p.templates, err = newTemplates(source, named, o); err != nil {
		return p, err
	}
	p.format = toolcall.Detect(p.templates.pick(true, false).source)
	p.turnStart = p.findTurnStart()
	return p, nil
}

// findTurnStart returns the first token of what the template puts behind a conversation for the model to go on with,
// if that is a marker.
func (p *prompter) findTurnStart() int32 {
	t := p.templates.main
	if t.err != nil {
		return 0
	}
	in := chat.Input{Messages: json.RawMessage(`[{"role":"user","content":"Hi"}]`), BOS: p.bos, EOS: p.eos}
	var ids [2][]int32
	for i := range ids {
		in.AddGenerationPrompt = i == 1
		prompt, err := t.tmpl.Render(in)
		if err != nil {
			return 0 // it may want another conversation
		}
		if ids[i], err = p.tok.EncodePieces(prompt); err != nil {
			return 0
		}
	}
	n := len(ids[0])
	if len(ids[1]) <= n || !slices.Equal(ids[1][:n], ids[0]) || !p.tok.IsMarker(ids[1][n]) {
		return 0
	}
	return ids[1][n]
}

// prompt returns the ids of a conversation up to where the model is to go on: the start of its answer, or as the
// variables add_generation_prompt and continue_final_message say. It is the one place where what a template renders
// meets the tokenizer: what the template wrote may be special tokens, what the messages say may not.
func (p *prompter) prompt(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error) {
	prompt, err := p.render(messages, tools, kwargs)
	if err != nil {
		return nil, err
	}
	return p.tok.EncodePieces(prompt)
}

// render applies the template.
func (p *prompter) render(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) (chat.Prompt, error) {
	in := chat.Input{Messages: messages, Tools: tools, Kwargs: maps.Clone(kwargs), BOS: p.bos, EOS: p.eos}
	in.ContinueFinal = string(kwargs[continueFinal]) == "true"
	in.AddGenerationPrompt = !in.ContinueFinal
	if raw := kwargs[addGeneration]; raw != nil {
		in.AddGenerationPrompt = string(raw) == "true"
	}
	in.Documents = kwargs[documents]
	for _, name := range []string{continueFinal, addGeneration, documents} {
		delete(in.Kwargs, name)
	}
	t := p.templates.pick(holds(tools), holds(in.Documents))
	t.supply(&in, time.Now())
	if t.err != nil {
		reason := fmt.Sprintf("it cannot be used (choose another with --chat-template): %v", t.err)
		return nil, &ConversationError{Reason: reason, err: errors.New("the chat template: " + reason)}
	}
	prompt, err := t.tmpl.Render(in)
	var raised *chat.RaisedError
	switch {
	case errors.As(err, &raised):
		return nil, &ConversationError{Reason: raised.Message, err: err}
	case err != nil: // templates fail where a conversation has not what they look for
		return nil, &ConversationError{Reason: fmt.Sprintf("it fails on this conversation: %v", err), err: err}
	}
	if !p.lenient {
		if err := t.unread(in, prompt); err != nil {
			return nil, err
		}
	}
	return prompt, nil
}

// uses reports whether a template of the model names a variable.
func (p *prompter) uses(variable string) bool {
	for _, t := range append(slices.Collect(maps.Values(p.templates.named)), p.templates.main) {
		if t.err == nil && t.tmpl.Uses(variable) {
			return true
		}
	}
	return false
}

// The variables that are not the template's own: those that say where a prompt ends, as Hugging Face's tokenizers
// name them: whether the start of an answer stands behind the messages (true unless the last is continued), and
// whether the last message, the assistant's, goes on.
const (
	addGeneration = "add_generation_prompt"
	continueFinal = "continue_final_message"
	documents     = "documents" // a JSON array, as tools
)
