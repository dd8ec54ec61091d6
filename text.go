package hipengine

import (
	"fmt"

	"github.com/hipengine/hipengine/models/hf"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// Text is the part of a model that turns text into ids. It takes no device. Its methods may be called from several
// goroutines until Close.
type Text struct {
	vocab    func() (tokenizer.Vocab, error)
	template string
	close    func() error
}

// OpenText opens the text side of what name means: of a model, as [OpenFile] does, of a folder that has files of a
// tokenizer and no weights, or of one such file (tokenizer.json by any name, tokenizer_config.json, a template that ends
// in .jinja). The caller closes it.
func OpenText(name string, o Options) (*Text, error) {
	path, _ := Find(name, o.Folder)
	if name == "" || !hf.IsText(path) {
		f, err := OpenFile(name, o)
		if err != nil {
			return nil, err
		}
		return &f.Text, nil
	}
	if o.Quant != "" {
		return nil, &OptionError{Option: "Quant", Reason: fmt.Sprintf("%s: %s has no weights", o.Quant, name)}
	}
	t, err := hf.OpenText(path)
	if err != nil {
		return nil, err
	}
	return &Text{vocab: t.Vocab, template: t.Template, close: func() error { return nil }}, nil
}

// Template returns the source of the chat template; empty if there is none.
func (t *Text) Template() string { return t.template }

// Tokenizer makes the tokenizer, which outlives t.
func (t *Text) Tokenizer() (*Tokenizer, error) {
	v, err := t.vocab()
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		return nil, err
	}
	return &Tokenizer{tok}, nil
}

// Close closes the files.
func (t *Text) Close() error { return t.close() }
