package hf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hipengine/hipengine/text/tokenizer"
)

// Text is what a folder says about text: its tokenizer and chat templates. Nothing else of the folder needs to be
// there.
type Text struct {
	// Template is the chat template, "" if there is none; Templates are further ones by name.
	Template  string
	Templates map[string]string

	tokenizer string // file with the tokenizer; "" if there is none
}

// IsText reports whether path is for [OpenText] alone: a file of a tokenizer or template, or a folder that holds such
// files and no weights.
func IsText(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if !info.IsDir() {
		return strings.HasSuffix(path, ".json") || strings.HasSuffix(path, ".jinja")
	}
	if weights, err := filepath.Glob(filepath.Join(escapeGlob(path), "*.safetensors")); err != nil ||
		len(weights) > 0 {
		return false
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
		"chat_template.json"} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			return true
		}
	}
	return false
}

// OpenText reads tokenizer and templates of a folder, or of one file: a tokenizer.json (by any name that ends in
// .json), which tokenizer_config.json and templates may lie beside, the tokenizer_config.json itself, or a template
// (.jinja).
func OpenText(path string) (*Text, error) {
	t, err := openText(path)
	if err != nil {
		return nil, fmt.Errorf("hf: %s: %w", path, err)
	}
	return t, nil
}

func openText(path string) (t *Text, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	t = &Text{}
	dir, name := path, "tokenizer.json"
	if !info.IsDir() {
		dir, name = filepath.Split(path)
		switch {
		case strings.HasSuffix(name, ".jinja"):
			data, err := readFile(dir, name, maxTemplate)
			t.Template = string(data)
			return t, err
		case name == "tokenizer_config.json", name == "chat_template.json":
			if t.Template, t.Templates, err = readTemplatesIn(dir, name); err != nil {
				return nil, err
			}
			if name == "chat_template.json" {
				return t, nil
			}
			name = "tokenizer.json"
		}
	}
	if t.Template == "" && t.Templates == nil {
		if t.Template, t.Templates, err = readTemplates(dir); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
		t.tokenizer = filepath.Join(dir, name)
	}
	return t, nil
}

// Vocab reads the tokenizer.
func (t *Text) Vocab() (tokenizer.Vocab, error) {
	if t.tokenizer == "" {
		return tokenizer.Vocab{}, errors.New("hf: tokenizer.json is missing: there is no tokenizer")
	}
	dir, name := filepath.Split(t.tokenizer)
	data, err := readFile(dir, name, tokenizer.MaxTokenizerJSON)
	if err == nil && data == nil {
		err = os.ErrNotExist
	}
	var config []byte
	if err == nil {
		config, err = readFile(dir, "tokenizer_config.json", tokenizer.MaxTokenizerJSON)
	}
	if err != nil {
		return tokenizer.Vocab{}, fmt.Errorf("hf: %s: %w", t.tokenizer, err)
	}
	v, err := tokenizer.FromHF(data, quoteNonFinite(config))
	if err != nil {
		return v, fmt.Errorf("hf: %s: %w", t.tokenizer, err)
	}
	return v, nil
}
