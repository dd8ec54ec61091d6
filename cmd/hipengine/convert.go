package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hipengine/hipengine/models/convert"
)

// weightFlags say how files of weights are written.
type weightFlags struct {
	Imatrix string `placeholder:"FILE" help:"Importance matrix, as the command imatrix writes it."`
	Threads int    `env:"HIPENGINE_THREADS" help:"Threads; 0 takes one per core."`
}

// options prepares the writing of out in the named type.
func (f weightFlags) options(typ, out string) (o convert.Options, err error) {
	if f.Threads < 0 || f.Threads > 1024 {
		return o, usageError{fmt.Errorf("--threads %d is outside 0..1024", f.Threads)}
	}
	o.Threads = f.Threads
	if o.Type, err = convert.ParseFType(typ); err != nil {
		return o, usageError{fmt.Errorf("--type: %w", err)}
	}
	if err := writable(out); err != nil {
		return o, err
	}
	if f.Imatrix != "" {
		o.Imatrix, err = convert.ReadImatrix(f.Imatrix)
	}
	return o, err
}

// writable reports an output that long work could not write in the end.
func writable(out string) error {
	st, err := os.Stat(out)
	if err == nil && !st.Mode().IsRegular() {
		return usageError{fmt.Errorf("%s is there and no file", out)}
	}
	if st, err = os.Stat(filepath.Dir(out)); err == nil && !st.IsDir() {
		err = errors.New("not a folder")
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", out, err)
	}
	return nil
}

// convertCmd writes a Hugging Face folder as a GGUF file.
type convertCmd struct {
	weightFlags
	Dir  string `arg:"" help:"Hugging Face folder: config.json, *.safetensors and tokenizer.json."`
	Out  string `arg:"" help:"GGUF file to write."`
	Type string `default:"auto" placeholder:"TYPE" help:"Type of the weights, as llama.cpp names it (f16, q8_0, q4_k_m, ...); auto keeps 16 bits as they are."`
}

// Run executes the command.
func (c *convertCmd) Run(ctx context.Context, std stdio) error {
	typ := c.Type
	if strings.EqualFold(typ, "auto") {
		f, err := convert.AutoFType(c.Dir)
		if err != nil {
			return err
		}
		typ = f.String()
	}
	o, err := c.options(typ, c.Out)
	if err != nil {
		return err
	}
	o.Note = func(note string) { fmt.Fprintf(std.err, "hipengine: %s: %s\n", filepath.Base(c.Dir), note) }
	bar := newProgress(std.err, "writing "+filepath.Base(c.Out))
	o.Progress = bar.update
	err = convert.Convert(ctx, c.Dir, c.Out, o)
	bar.done()
	if err != nil {
		return err
	}
	return reportSize(std, c.Out, o.Type)
}

// reportSize says what was written.
func reportSize(std stdio, out string, typ convert.FType) error {
	st, err := os.Stat(out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "%s: %v, %.2f MB\n", out, typ, float64(st.Size())/1e6)
	return err
}
