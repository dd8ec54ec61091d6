package main

import (
	"fmt"
	"io"
	"os"

	"github.com/hipengine/hipengine"
)

// maxTemplate bounds a file with a chat template, in bytes.
const maxTemplate = 4 << 20

// chatFlags say how conversations become prompts.
type chatFlags struct {
	ChatTemplate     string `name:"chat-template" xor:"template" env:"HIPENGINE_CHAT_TEMPLATE" placeholder:"NAME" help:"Template for conversations in place of the model's: one that the model has by name, or a well-known form (chatml, llama3, gemma, mistral, ...)."`
	ChatTemplateFile string `name:"chat-template-file" xor:"template" env:"HIPENGINE_CHAT_TEMPLATE_FILE" placeholder:"FILE" help:"File with a template for conversations in place of the model's."`
	Lenient          bool   `env:"HIPENGINE_LENIENT" help:"Accept conversations of which the model's template leaves out parts, such as tools that it does not know."`
}

// apply sets the options that the flags stand for.
func (f chatFlags) apply(o *hipengine.Options) error {
	o.ChatTemplate, o.Lenient = f.ChatTemplate, f.Lenient
	if f.ChatTemplateFile == "" {
		return nil
	}
	file, err := os.Open(f.ChatTemplateFile)
	if err != nil {
		return fmt.Errorf("--chat-template-file: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxTemplate+1))
	switch {
	case err != nil:
		return fmt.Errorf("--chat-template-file: %w", err)
	case len(text) > maxTemplate:
		return fmt.Errorf("--chat-template-file: %s has more than %d bytes", f.ChatTemplateFile, maxTemplate)
	case len(text) == 0:
		return fmt.Errorf("--chat-template-file: %s is empty", f.ChatTemplateFile)
	}
	// A line end makes it a text even if it holds no tag.
	o.ChatTemplate = string(text) + "\n"
	return nil
}
