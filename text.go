package hipengine

import (
	"fmt"

	"github.com/hipengine/hipengine/models/hf"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// Text is what turns conversations into ids: a tokenizer and a chat template, with a model or without. Its methods may
// be called from several goroutines until Close.
type Text struct {
	path     string // empty for the built-in model
	template string
	named    map[string]string // further templates
	vocab    func() (tokenizer.Vocab, error)
	close    func() error
}

// OpenText opens the tokenizer and the template of a model, as [OpenFile] finds it, of a folder that has the files of
// a tokenizer alone, or of one such file: tokenizer.json, tokenizer_config.json, a template (.jinja). Errors are
// those of OpenFile. The caller closes it.
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
	return &Text{path: path, template: t.Template, named: t.Templates, vocab: t.Vocab,
		close: func() error { return nil }}, nil
}

// Path returns the file or folder; it is empty for the built-in model.
func (t *Text) Path() string { return t.path }

// Template returns the source of the chat template; empty if there is none.
func (t *Text) Template() string { return t.template }

// Templates returns the sources of further chat templates by name. The result must not be changed.
func (t *Text) Templates() map[string]string { return t.named }

// Tokenizer makes the tokenizer, which outlives the Text.
func (t *Text) Tokenizer() (*Tokenizer, error) {
	v, err := t.vocab()
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		return nil, err
	}
	return newTokenizer(tok), nil
}

// Close closes what was opened.
func (t *Text) Close() error { return t.close() }
