package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/text/chat"
)

// templateCmd renders a chat template.
type templateCmd struct {
	modelFlags
	Source string `arg:"" name:"model|file.jinja" help:"A model whose template is wanted, a folder with tokenizer files, or a template or tokenizer file."`
}

// templateInput is the JSON on standard input. All other fields become variables of the template.
type templateInput struct {
	Messages  json.RawMessage `json:"messages"`
	Tools     json.RawMessage `json:"tools"`
	Documents json.RawMessage `json:"documents"`
	Generate  bool            `json:"add_generation_prompt"`
	BOS       string          `json:"bos_token"`
	EOS       string          `json:"eos_token"`
	Now       string          `json:"now"` // local time, as 2006-01-02T15:04:05
}

// Run executes the command.
func (c *templateCmd) Run(ctx context.Context, std stdio) error {
	if err := c.fetch(ctx, std.err, c.Source); err != nil {
		return err
	}
	src, err := c.source()
	if err != nil {
		return err
	}
	tmpl, err := chat.Parse(src)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(std.in, 64<<20))
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	var in templateInput
	if err := json.Unmarshal(raw, &in); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	var kwargs map[string]json.RawMessage
	if err := json.Unmarshal(raw, &kwargs); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	for _, name := range []string{"messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token",
		"now"} {
		delete(kwargs, name)
	}
	now := time.Now()
	if in.Now != "" {
		if now, err = time.ParseInLocation("2006-01-02T15:04:05", in.Now, time.Local); err != nil {
			return fmt.Errorf("standard input: now: %w", err)
		}
	}
	prompt, err := tmpl.Render(chat.Input{Messages: in.Messages, Tools: null(in.Tools), Documents: null(in.Documents),
		AddGenerationPrompt: in.Generate, BOS: in.BOS, EOS: in.EOS, Now: now, Kwargs: kwargs})
	if err != nil {
		return err
	}
	_, err = io.WriteString(std.out, prompt.String())
	return err
}

// source returns the template's text.
func (c *templateCmd) source() (string, error) {
	f, err := hipengine.OpenText(c.Source, c.options())
	if err != nil {
		return "", err
	}
	defer f.Close()
	if f.Template() == "" {
		return "", fmt.Errorf("%s has no chat template", c.Source)
	}
	return f.Template(), nil
}

// null turns an explicit null into absence.
func null(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}
