package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/hipengine/hipengine"
)

// poolingFlags say how a model makes a vector of a text.
type poolingFlags struct {
	Pooling string `env:"HIPENGINE_POOLING" placeholder:"NAME" help:"How a text becomes a vector, in place of what the model's file says: last, mean or cls token's state, none (of servers alone: all of them), or rank, for models that rank documents."`
}

// embedCmd turns texts into vectors.
type embedCmd struct {
	modelFlags
	poolingFlags
	Dimensions int      `help:"Cut vectors to their first numbers, for models that were trained for it; 0 keeps all."`
	Model      string   `arg:"" help:"Model file, folder or name; \"ember\" is the built-in one."`
	Text       []string `arg:"" optional:"" help:"Texts; without any, the lines of standard input."`
}

// embedBatch is how many texts are read between two writes.
const embedBatch = 64

// maxEmbedLine bounds a line of standard input.
const maxEmbedLine = 16 << 20

// Run executes the command.
func (c *embedCmd) Run(ctx context.Context, std stdio) error {
	h, err := c.host(std.err)
	if err != nil {
		return err
	}
	defer h.Close()
	o := c.options()
	o.Pooling, o.Sequences, o.PrefixCache = c.Pooling, 4, -1
	m, err := loadWith(ctx, h, c.Model, o, std.err)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(std.out)
	defer w.Flush()
	var batch []string
	for text, err := range c.texts(std.in) {
		if err != nil {
			return err
		}
		if batch = append(batch, text); len(batch) == embedBatch {
			if err := c.write(ctx, m, batch, w); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return c.write(ctx, m, batch, w)
}

// texts returns what is to be embedded.
func (c *embedCmd) texts(in io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, text := range c.Text {
			if !yield(text, nil) {
				return
			}
		}
		if len(c.Text) > 0 {
			return
		}
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, maxEmbedLine)
		for n := 1; lines.Scan(); n++ {
			text := strings.TrimSuffix(lines.Text(), "\r")
			var err error
			if text == "" {
				err = fmt.Errorf("line %d of standard input is empty", n)
			}
			if !yield(text, err) {
				return
			}
		}
		if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield("", fmt.Errorf("a line of standard input has more than %d bytes", maxEmbedLine))
		} else if err != nil {
			yield("", fmt.Errorf("reading the texts: %w", err))
		}
	}
}

// write embeds texts, and writes a line of JSON for each.
func (c *embedCmd) write(ctx context.Context, m *hipengine.Model, texts []string, w *bufio.Writer) error {
	vectors, err := m.Embed(ctx, texts, hipengine.EmbedOptions{Dimensions: c.Dimensions})
	if err != nil {
		return err
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for i, v := range vectors {
		if err := out.Encode(struct {
			Text      string    `json:"text"`
			Embedding []float32 `json:"embedding"`
		}{texts[i], v}); err != nil {
			return err
		}
	}
	return w.Flush()
}
