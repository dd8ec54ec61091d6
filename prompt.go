package hipengine

import (
	"encoding/json"
	"errors"

	"github.com/hipengine/hipengine/text/chat"
	"github.com/hipengine/hipengine/text/tokenizer"
	"github.com/hipengine/hipengine/text/toolcall"
)

// prompter turns conversations into ids: a chat template and the tokenizer that goes with it.
type prompter struct {
	tok      *tokenizer.Tokenizer
	tmpl     *chat.Template
	bos, eos string // texts, for the template
	format   *toolcall.Format
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
	var err error
	p.format = toolcall.Detect(template)
	p.tmpl, err = chat.Parse(template)
	return p, err
}

// prompt returns the ids of a conversation up to the start of the model's answer. It is the one place where what a
// template renders meets the tokenizer: what the template wrote may be special tokens, what the messages say may not.
func (p *prompter) prompt(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error) {
	prompt, err := p.tmpl.Render(chat.Input{Messages: messages, Tools: tools, Kwargs: kwargs,
		AddGenerationPrompt: true, BOS: p.bos, EOS: p.eos})
	var raised *chat.RaisedError
	if errors.As(err, &raised) {
		return nil, &ConversationError{Reason: raised.Message, err: err}
	}
	if err != nil {
		return nil, err
	}
	return p.tok.EncodePieces(prompt)
}
