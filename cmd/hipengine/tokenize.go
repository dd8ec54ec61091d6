package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hipengine/hipengine"
)

// tokenizeCmd turns text into ids.
type tokenizeCmd struct {
	modelFlags
	Model string  `arg:"" help:"Model file, or name; a folder with tokenizer files, or a tokenizer.json."`
	Text  *string `arg:"" optional:"" help:"Text; without it, standard input."`
	Plain bool    `help:"Treat special tokens in the text as plain text."`
	JSON  bool    `help:"Read lines of {\"text\": ...} and write lines of {\"ids\": [...]}."`
}

// Run executes the command.
func (c *tokenizeCmd) Run(ctx context.Context, std stdio) error {
	if c.JSON && c.Text != nil {
		return usageError{errors.New("--json reads standard input: leave TEXT out")}
	}
	if err := c.fetch(ctx, std.err, c.Model); err != nil {
		return err
	}
	f, err := hipengine.OpenText(c.Model, c.options())
	if err != nil {
		return err
	}
	defer f.Close()
	tok, err := f.Tokenizer()
	if err != nil {
		return err
	}
	encode := func(text string) ([]int32, error) {
		ids, err := tok.Encode(text, hipengine.EncodeOptions{ParseSpecial: !c.Plain, AddSpecial: !c.Plain})
		return append([]int32{}, ids...), err // [] rather than null
	}
	if c.JSON {
		return tokenizeLines(std, encode)
	}
	var text string
	if c.Text != nil {
		text = *c.Text
	} else {
		b, err := io.ReadAll(std.in)
		if err != nil {
			return fmt.Errorf("reading the text: %w", err)
		}
		text = string(b)
	}
	ids, err := encode(text)
	if err != nil {
		return err
	}
	return json.NewEncoder(std.out).Encode(ids)
}

// tokenizeLines handles one JSON object per line.
func tokenizeLines(std stdio, encode func(string) ([]int32, error)) error {
	w := bufio.NewWriter(std.out)
	defer w.Flush()
	in, out := json.NewDecoder(std.in), json.NewEncoder(w)
	for n := 1; ; n++ {
		var line struct {
			Text *string `json:"text"`
		}
		err := in.Decode(&line)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && line.Text == nil {
			err = errors.New("no field \"text\"")
		}
		if err != nil {
			return fmt.Errorf("object %d of standard input: %w", n, err)
		}
		ids, err := encode(*line.Text)
		if err != nil {
			return fmt.Errorf("object %d of standard input: %w", n, err)
		}
		if err := out.Encode(struct {
			IDs []int32 `json:"ids"`
		}{ids}); err != nil {
			return err
		}
	}
}
