package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/internal/doctor"
)

// doctorCmd says what is here, what is wrong and what mends it.
type doctorCmd struct {
	deviceFlags
	kfdFlags
	JSON  bool   `help:"Print JSON."`
	Root  string `placeholder:"DIR" help:"Read the files of another machine, which DIR holds as its root: etc, sys, proc, dev, usr, opt. Nothing is tried then."`
	Quick bool   `help:"Only read files; try nothing."`
	GTT   int64  `name:"gtt" placeholder:"GIB" help:"Memory that an integrated GPU shall be able to use; the line for the kernel is printed. 0 is what is sensible."`
}

// Run executes the command. A machine with problems is an error.
func (c *doctorCmd) Run(ctx context.Context, std stdio) error {
	if c.GTT < 0 || c.GTT > 1<<14 {
		return usageError{fmt.Errorf("--gtt %d is outside 0..%d", c.GTT, 1<<14)}
	}
	if err := c.kfdFlags.check(); err != nil {
		return usageError{err}
	}
	o := doctor.Options{Targets: hipengine.Targets(), GTT: c.GTT << 30}
	root := c.Root
	if root == "" {
		root, o.Open = string(os.PathSeparator), openDevice
	} else if st, err := os.Stat(root); err != nil {
		return usageError{fmt.Errorf("--root: %w", err)}
	} else if !st.IsDir() {
		return usageError{fmt.Errorf("--root: %s is no folder", root)}
	}
	if c.KFD {
		return c.bringUp(ctx, std)
	}
	o.Root = os.DirFS(root)
	r := doctor.Examine(o)
	if c.Root == "" && !c.Quick {
		if err := c.try(ctx, r, std.err); err != nil {
			return err
		}
	}
	if c.JSON {
		e := json.NewEncoder(std.out)
		e.SetIndent("", " ")
		if err := e.Encode(r); err != nil {
			return err
		}
	} else if err := r.Print(std.out); err != nil {
		return err
	}
	if n := r.Problems(); n > 0 {
		return fmt.Errorf("problems found: %d", n)
	}
	return nil
}

// openDevice opens a device to read and write, for a moment.
func openDevice(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// try opens the device that commands would use, which proves its kernels, and lets Ember answer on it with as much
// memory as its longest answers take. Only the end of ctx is an error.
func (c *doctorCmd) try(ctx context.Context, r *doctor.Report, log io.Writer) error {
	why := []string{}
	h, err := hipengine.NewHost(hipengine.HostOptions{Device: c.Device, Threads: c.Threads,
		Log: func(message string) {
			if !strings.HasPrefix(message, "using ") { // which the report says
				fmt.Fprintf(log, "hipengine: %s\n", message)
			}
		},
		Why: func(message string) { why = append(why, message) }})
	if err != nil {
		return err
	}
	defer h.Close()
	m, err := h.Open(ctx, hipengine.Ember, hipengine.Options{})
	proof := func(name, text string, err error) {
		p := doctor.Proof{Name: name, Passed: err == nil, Text: text}
		if err != nil {
			p.Text = err.Error()
		}
		r.Proofs = append(r.Proofs, p)
	}
	if err != nil {
		proof("self-test", "", err)
		return ctx.Err()
	}
	d := m.Device()
	if c.Device == "auto" || c.Device == "" {
		r.Auto.Device = d.Name
		r.Auto.Why = append(r.Auto.Why, why...)
	}
	on := fmt.Sprintf("%s (%s)", d.Name, d.Chip)
	if d.Driver != "" {
		on += " by " + d.Driver
		proof("self-test", "each kernel computes what the reference does on "+on, nil)
	}
	err = m.Prove(ctx)
	proof("memory", fmt.Sprintf("the longest answers of Ember fit on %s", on), err)
	if err == nil {
		err = answersRight(ctx, m)
		proof("answer", "Ember knows the capital of France on "+on, err)
	}
	return ctx.Err()
}

// answersRight asks Ember what it knows.
func answersRight(ctx context.Context, m *hipengine.Model) error {
	var text strings.Builder
	question := []hipengine.Message{{Role: "user", Content: "What is the capital of France?"}}
	for piece, err := range m.Chat(ctx, question, hipengine.Params{}) {
		if err != nil {
			return err
		}
		text.WriteString(piece.Text)
	}
	if got := text.String(); got != "The capital of France is Paris." {
		return errors.New("Ember answers " + got)
	}
	return nil
}
