package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/eval"
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
	src, err := c.file(c.Model)
	if err != nil {
		return err
	}
	defer src.close()
	arch, err := models.New(src.meta)
	if err != nil {
		return err
	}
	tok, err := src.tokenizer()
	if err != nil {
		return err
	}
	chunks, err := c.chunks(tok, text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	dev, err := c.deviceFlags.open(ctx, std.err)
	if err != nil {
		return err
	}
	defer dev.Close()
	if err := checkMemory(dev, arch, src, runner.Options{Context: c.Context}); err != nil {
		return err
	}
	id := modelID(c.Model)
	bar := newProgress(std.err, "loading "+id)
	weights, err := models.LoadWeights(ctx, arch, src, dev, bar.update)
	bar.done()
	if err != nil {
		return err
	}
	defer weights.Free()
	collector := eval.NewCollector(dev)
	r, err := runner.New(collector, arch, weights, runner.Options{Context: c.Context})
	if err != nil {
		return err
	}
	defer r.Close()
	bar = newProgress(std.err, "activations of "+id)
	m, err := collector.Imatrix(ctx, r, chunks, eval.FileNames(arch, src), func(done int) {
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
	_, err = fmt.Fprintf(std.out, "%s: %d tensors from %d tokens in %d chunks\n", c.Out, len(m.Entries), len(chunks)*c.Chunk, len(chunks))
	return err
}
