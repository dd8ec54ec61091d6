package hipengine

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hipengine/hipengine/text/chat"
	"github.com/hipengine/hipengine/text/tokenizer"
	"github.com/hipengine/hipengine/text/toolcall"
)

// prompter turns conversations into ids: a chat template and the tokenizer that goes with it.
type prompter struct {
	tok      *tokenizer.Tokenizer
	tmpl     *chat.Template
	source   string // of tmpl
	bos, eos string // texts, for the template
	format   *toolcall.Format

	turnStart int32 // token with which turns begin, 0 if there is none or nobody knows
}

// newPrompter parses a template; a model without one gets ChatML.
func newPrompter(tok *tokenizer.Tokenizer, template string) (prompter, error) {
	p := prompter{tok: tok}
	if id, ok := tok.BOS(); ok {
		p.bos, _ = tok.Token(id)
	}
	if id, ok := tok.EOS(); ok {
		p.eos, _ = tok.Token(id)
	}
	if template == "" {
		template = chat.ChatML
	}
	p.source = template
	var err error
	p.format = toolcall.Detect(template)
	if p.tmpl, err = chat.Parse(template); err != nil {
		return p, err
	}
	p.turnStart = p.findTurnStart()
	return p, nil
}

// findTurnStart returns the first token of what the template puts behind a conversation for the model to go on with, if
// that is a marker.
func (p *prompter) findTurnStart() int32 {
	in := chat.Input{Messages: json.RawMessage(`[{"role":"user","content":"Hi"}]`), BOS: p.bos, EOS: p.eos}
	var ids [2][]int32
	for i := range ids {
		in.AddGenerationPrompt = i == 1
		prompt, err := p.tmpl.Render(in)
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

// prompt returns the ids of a conversation up to where the model is to go on: the start of its answer, or as the variables
// add_generation_prompt and continue_final_message say. It is the one place where what a
// template renders meets the tokenizer: what the template wrote may be special tokens, what the messages say may not.
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
	delete(in.Kwargs, continueFinal)
	delete(in.Kwargs, addGeneration)
	prompt, err := p.tmpl.Render(in)
	var raised *chat.RaisedError
	switch {
	case errors.As(err, &raised):
		return nil, &ConversationError{Reason: raised.Message, err: err}
	case err != nil: // templates fail where a conversation has not what they look for
		return nil, &ConversationError{Reason: fmt.Sprintf("it fails on this conversation: %v", err), err: err}
	}
	return prompt, nil
}

// The variables that say where a prompt ends, as Hugging Face's tokenizers name them: whether the start of an answer
// stands behind the messages (true unless the last is continued), and whether the last message, the assistant's, goes on.
const (
	addGeneration = "add_generation_prompt"
	continueFinal = "continue_final_message"
)
