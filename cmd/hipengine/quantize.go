package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/models/convert"
)

// quantizeCmd writes a GGUF file with smaller weights.
type quantizeCmd struct {
	weightFlags
	Models string `env:"HIPENGINE_MODELS" placeholder:"DIR" help:"Folder in which models are found by name (default: hipengine/models in the XDG data folder)."`
	In     string `arg:"" help:"Model file (the first part of a split one), or name."`
	Out    string `arg:"" help:"GGUF file to write."`
	Type   string `required:"" placeholder:"TYPE" help:"Type of the weights, as llama.cpp names it: q4_k_m, q8_0, ..."`

	AllowRequantize bool `help:"Also quantize what is quantized already; the errors add up."`
}

// Run executes the command.
func (c *quantizeCmd) Run(ctx context.Context, std stdio) error {
	in, err := hipengine.Locate(c.In, c.Models)
	if err != nil {
		return err
	}
	switch st, err := os.Stat(in); {
	case in == hipengine.Ember && err != nil:
		return usageError{errors.New("ember is built in and quantized already: quantize takes a file")}
	case err != nil:
		return err
	case st.IsDir():
		return usageError{fmt.Errorf("%s is a folder: hipengine convert %[1]s %s --type %s does both at once", c.In,
			c.Out, c.Type)}
	}
	o, err := c.options(c.Type, c.Out)
	if err != nil {
		return err
	}
	o.AllowRequantize = c.AllowRequantize
	bar := newProgress(std.err, "writing "+filepath.Base(c.Out))
	o.Progress = bar.update
	err = convert.Quantize(ctx, in, c.Out, o)
	bar.done()
	if err != nil {
		return err
	}
	return reportSize(std, c.Out, o.Type)
}
