package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/internal/roofline"
)

// conformCmd runs the conformance suite on a device.
type conformCmd struct {
	deviceFlags
	Match   string   `placeholder:"REGEXP" help:"Run only the checks whose names match."`
	GGUF    []string `name:"gguf" placeholder:"FILE" help:"Also compare the logits of these model files."`
	Seed    uint64   `help:"Seed of all random data."`
	NoSkip  bool     `help:"Count a skipped check as a failure."`
	Tap     bool     `help:"When a model fails, find the first node that departs from the reference."`
	Limits  bool     `help:"Instead, execute every shipped kernel on emulators and print by what each GPU of a data sheet bounds it, and what whole models launch (plan/NAME) and are bounded to (bound/NAME): a model, not a measurement."`
	Verbose bool     `short:"v" help:"List the checks that passed as well; with --limits, the kernels of each plan."`
	Kernels bool     `help:"List the kernel that runs each node of every architecture, and check nothing."`
	HTML    string   `name:"html" placeholder:"FILE" help:"Write the report as a page with plots of the errors."`
	JSON    string   `name:"json" placeholder:"FILE" help:"Write the report as JSON."`
}

// Run executes the command. A device that does not conform is an error.
func (c *conformCmd) Run(ctx context.Context, std stdio) error {
	match, err := regexp.Compile(c.Match)
	if err != nil {
		return usageError{fmt.Errorf("--match: %w", err)}
	}
	if c.Limits {
		return c.limits(ctx, std, match)
	}
	c.why = c.Verbose
	h, err := c.host(std.err)
	if err != nil {
		return err
	}
	defer h.Close()
	if c.Kernels {
		return h.ListKernels(ctx, std.out)
	}
	report, err := h.Conform(ctx,
		conformance.Options{Match: match, Seed: c.Seed, GGUF: c.GGUF, NoSkip: c.NoSkip, Tap: c.Tap})
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
	if c.HTML != "" {
		if err := writeFile(c.HTML, func(w *bufio.Writer) error { return report.WriteHTML(w) }); err != nil {
			return err
		}
	}
	return report.Err()
}

// limits prints what data sheets allow; --device names the target of an emulator, or all.
func (c *conformCmd) limits(ctx context.Context, std stdio, match *regexp.Regexp) error {
	kind, target, _ := strings.Cut(c.Device, ":")
	switch kind {
	case "auto", "":
		target = ""
	case "emu":
	default:
		return usageError{fmt.Errorf("--limits counts on emulators (emu:TARGET), --device is %q", c.Device)}
	}
	err := roofline.Write(ctx, std.out, roofline.Options{Target: target, Match: match, Kernels: c.Verbose})
	if errors.As(err, new(*roofline.TargetError)) {
		return usageError{fmt.Errorf("--limits: %w", err)}
	}
	return err
}
