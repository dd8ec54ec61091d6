package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// imatrixCmd makes an importance matrix.
type imatrixCmd struct {
	textFlags
	Model string `arg:"" help:"Model file, or name; best the one that will be quantized."`
	File  string `arg:"" name:"textfile" help:"Text file, of the kind that the model is for."`
	Out   string `arg:"" help:"GGUF file to write, for quantize --imatrix."`
}

// Run executes the command.
func (c *imatrixCmd) Run(ctx context.Context, std stdio) (err error) {
	text, err := c.text(c.File)
	if err != nil {
		return err
	}
	if err := writable(c.Out); err != nil {
		return err
	}
	h, err := c.host(std.err)
	if err != nil {
		return err
	}
	defer h.Close()
	if err := c.fetch(ctx, std.err, c.Model); err != nil {
		return err
	}
	o := c.options()
	o.Collect = true
	model, err := loadWith(ctx, h, c.Model, o, std.err)
	if err != nil {
		return err
	}
	chunks, err := c.chunks(model, text)
	if err != nil {
		return err
	}
	bar := newProgress(std.err, "activations of "+model.ID())
	m, err := model.Imatrix(ctx, chunks, func(done int) {
		bar.count(done, len(chunks), fmt.Sprintf("%d tokens", done*c.Chunk))
	})
	bar.done()
	if err != nil {
		return err
	}
	m.Datasets = []string{filepath.Base(c.File)}
	if err := m.Write(c.Out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "%s: %d tensors from %d tokens in %d chunks\n", c.Out, len(m.Entries),
		len(chunks)*c.Chunk, len(chunks))
	return err
}
