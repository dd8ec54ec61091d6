package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/synth"
)

// synthCmd writes a model of a real shape with random weights.
type synthCmd struct {
	Shape  string `arg:"" help:"Shape: qwen3-0.6b, 4b, 8b, qwen3-30b-a3b, qwen3.5-4b, qwen3.6-27b, 35b-a3b, llama-3.1-8b, 70b or 405b, deepseek-v3-lite, granite-4-h-small, lfm2-8b-a1b, gpt-oss-20b or gpt-oss-120b."`
	Out    string `arg:"" help:"GGUF file to write."`
	Type   string `default:"q4_k_m" placeholder:"TYPE" help:"Type of the weights, as llama.cpp names it: q4_k_m, q8_0, f16, ..."`
	MTP    bool   `name:"mtp" help:"With the layer that predicts further tokens, of shapes that have one: those of Qwen 3.5 and 3.6."`
	Layers int    `name:"first-layers" placeholder:"N" help:"Only the first N layers, for machines that the whole does not fit; 0 takes all."`
	Seed   uint64 `help:"Seed of the weights; the same seed gives the same file."`
}

// Run executes the command.
func (c *synthCmd) Run(ctx context.Context, std stdio) error {
	shape, err := synth.Lookup(c.Shape)
	if err != nil {
		return usageError{err}
	}
	if c.Layers != 0 {
		if shape, err = shape.WithLayers(c.Layers); err != nil {
			return usageError{fmt.Errorf("--first-layers: %w", err)}
		}
	}
	if c.MTP {
		if shape, err = shape.WithMTP(); err != nil {
			return usageError{fmt.Errorf("--mtp: %w", err)}
		}
	}
	typ, err := convert.ParseFType(c.Type)
	if err != nil {
		return usageError{fmt.Errorf("--type: %w", err)}
	}
	if err := writable(c.Out); err != nil {
		return err
	}
	bar := newProgress(std.err, "writing "+filepath.Base(c.Out))
	err = synth.Write(ctx, shape, c.Out, synth.Options{Type: typ, Seed: c.Seed, Progress: bar.update})
	bar.done()
	if err != nil {
		return err
	}
	return reportSize(std, c.Out, typ)
}
