package main

import (
	"bufio"
	"context"
	"fmt"
	"regexp"

	"github.com/hipengine/hipengine/conformance"
)

// conformCmd runs the conformance suite on a device.
type conformCmd struct {
	deviceFlags
	Match   string   `placeholder:"REGEXP" help:"Run only the checks whose names match."`
	GGUF    []string `name:"gguf" placeholder:"FILE" help:"Also compare the logits of these model files."`
	Seed    uint64   `help:"Seed of all random data."`
	NoSkip  bool     `help:"Count a skipped check as a failure."`
	Tap     bool     `help:"When a model fails, find the first node that departs from the reference."`
	Verbose bool     `short:"v" help:"List the checks that passed as well."`
	JSON    string   `name:"json" placeholder:"FILE" help:"Write the report as JSON."`
}

// Run executes the command. A device that does not conform is an error.
func (c *conformCmd) Run(ctx context.Context, std stdio) error {
	match, err := regexp.Compile(c.Match)
	if err != nil {
		return usageError{fmt.Errorf("--match: %w", err)}
	}
	dev, err := c.open()
	if err != nil {
		return err
	}
	defer dev.Close()
	report, err := conformance.Run(ctx, dev, conformance.Options{Match: match, Seed: c.Seed, GGUF: c.GGUF, NoSkip: c.NoSkip, Tap: c.Tap})
	if err != nil {
		return err
	}
	if err := report.WriteText(std.out, c.Verbose); err != nil {
		return err
	}
	if c.JSON != "" {
		if err := writeFile(c.JSON, func(w *bufio.Writer) error { return report.WriteJSON(w) }); err != nil {
			return err
		}
	}
	return report.Err()
}
