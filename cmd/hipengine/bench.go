package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/engine/bench"
)

// benchCmd measures models, or servers.
type benchCmd struct {
	Model benchModelCmd `cmd:"" default:"withargs" help:"Measure how fast a model reads and writes."`
	Serve benchServeCmd `cmd:"" help:"Measure how long the clients of a server wait, and how much it answers."`
}

// benchModelCmd measures how fast a model reads and writes.
type benchModelCmd struct {
	modelFlags
	Model string `arg:"" optional:"" help:"Model file, or name."`
	PP    []int  `name:"pp" default:"512" placeholder:"N,..." help:"Lengths of prompts to read, in tokens; 0 for none."`
	TG    []int  `name:"tg" default:"128" placeholder:"N,..." help:"Numbers of tokens to generate; 0 for none."`
	Depth []int  `default:"0" placeholder:"N,..." help:"Tokens that a sequence holds before."`
	Batch []int  `default:"1" placeholder:"N,..." help:"Sequences that generate at once."`
	Reps  int    `default:"3" help:"Repetitions of each measurement."`
	JSON  bool   `xor:"form" help:"Print JSON."`
	CSV   bool   `name:"csv" xor:"form" help:"Print CSV."`
	MD    bool   `name:"markdown" xor:"form" help:"Print a table in Markdown."`
	SVG   string `name:"svg" placeholder:"FILE" help:"Also draw the medians into an SVG file."`
	Spec  string `default:"off" placeholder:"HOW" help:"Also measure answers with guesses of next tokens and without, in turns: as --spec of run."`
	Guess int    `name:"spec-depth" placeholder:"N" help:"With --spec, always guess so many tokens at once; 0 leaves that to what pays."`
	Right string `name:"spec-accept" placeholder:"SHARE" help:"With --spec, have this share of the guesses be right, from 0 to 1, whatever is guessed."`
	Tune  string `placeholder:"FILE" help:"Time the GPU's kernels instead, and write a file for HIPENGINE_CHOICES."`
}

// benchReport is what bench knows, in the shape of its JSON.
type benchReport struct {
	Model     string                 `json:"model"`
	Arch      string                 `json:"architecture"`
	Device    string                 `json:"device"`
	Chip      string                 `json:"chip"`
	Weights   int64                  `json:"weight_bytes"`        // on the device
	Bandwidth float64                `json:"bandwidth,omitempty"` // of the device's memory as measured, bytes per second
	KVType    string                 `json:"kv_type"`             // as asked for
	Reps      int                    `json:"repetitions"`
	Version   string                 `json:"version"` // of the program
	Rows      []bench.Result         `json:"rows"`
	Spec      []hipengine.SpecResult `json:"spec,omitempty"`
	Experts   *expertUse             `json:"experts,omitempty"` // of a model with copies of experts
}

// expertUse is how the model used copies of experts while it was measured.
type expertUse struct {
	Slots   int    `json:"slots"` // of all layers
	Choices uint64 `json:"choices"`
	Hits    uint64 `json:"hits"`  // choices that met a copy
	Moved   uint64 `json:"moved"` // copies that were made
	text    string
}

// check reports sizes that make no sense, and returns the most sequences.
func (c *benchModelCmd) check() (seqs int, err error) {
	for _, l := range []struct {
		flag     string
		values   []int
		low, top int
	}{{"--pp", c.PP, 0, hipengine.MaxContext}, {"--tg", c.TG, 0, hipengine.MaxContext}, {"--depth", c.Depth, 0,
		hipengine.MaxContext},
		{"--batch", c.Batch, 1, 1 << 10}, {"--reps", []int{c.Reps}, 1, 1000}} {
		for _, v := range l.values {
			if v < l.low || v > l.top {
				return 0, usageError{fmt.Errorf("%s %d is outside %d..%d", l.flag, v, l.low, l.top)}
			}
		}
		if len(l.values) == 0 {
			return 0, usageError{fmt.Errorf("%s is empty", l.flag)}
		}
	}
	if _, err := c.specTest(); err != nil {
		return 0, err
	}
	length := slices.Max(c.Depth) + max(slices.Max(c.PP), slices.Max(c.TG))
	if c.Spec != hipengine.SpecOff {
		length = max(length, hipengine.SpecPrompt+slices.Max(c.TG))
	}
	if c.Context == 0 {
		c.Context = max(length, 1)
	}
	if length > c.Context {
		return 0, usageError{fmt.Errorf("--ctx %d does not hold %d tokens", c.Context, length)}
	}
	return slices.Max(c.Batch), nil
}

// Run executes the command.
func (c *benchModelCmd) Run(ctx context.Context, std stdio) error {
	seqs, err := c.check()
	if err != nil {
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
	o.Sequences, o.Spec = seqs, c.Spec
	m, err := loadWith(ctx, h, c.Model, o, std.err)
	if err != nil {
		return err
	}
	if c.Tune != "" {
		return c.tune(ctx, m, std)
	}
	dev := m.Device()
	r := &benchReport{Model: m.ID(), Arch: m.Architecture(), Device: dev.Name, Chip: dev.Chip,
		Weights: m.WeightBytes(),
		KVType:  c.KVType, Reps: c.Reps, Rows: []bench.Result{}}
	r.Version, _ = programVersion()
	if r.Bandwidth, err = m.Bandwidth(ctx); err != nil {
		return fmt.Errorf("measuring the memory: %w", err)
	}
	bar := newProgress(std.err, "measuring "+m.ID())
	defer bar.done()
	tests := c.tests()
	for i, t := range tests {
		if t.Tokens > 0 {
			row, err := m.Bench(ctx, t, c.Reps, r.Bandwidth)
			if err != nil {
				return err
			}
			r.Rows = append(r.Rows, row)
		}
		if c.Spec != hipengine.SpecOff && t.Kind == bench.Decode && t.Tokens > 1 {
			st, _ := c.specTest() // checked
			row, err := m.BenchSpec(ctx, t, c.Reps, st)
			if err != nil {
				return err
			}
			r.Spec = append(r.Spec, row)
		}
		bar.count(i+1, len(tests), t.String())
	}
	bar.done()
	if u := m.ExpertUse(); u.Slots > 0 {
		r.Experts = &expertUse{u.Slots, u.Choices, u.Hits, u.Moved, u.String()}
	}
	if c.SVG != "" {
		if err := writeFile(c.SVG, r.writeSVG); err != nil {
			return err
		}
	}
	switch {
	case c.JSON:
		e := json.NewEncoder(std.out)
		e.SetIndent("", " ")
		return e.Encode(r)
	case c.CSV:
		return r.writeCSV(std.out)
	case c.MD:
		return r.writeMarkdown(std.out)
	}
	return r.print(std.out)
}

// specTest returns how guesses are measured.
func (c *benchModelCmd) specTest() (st hipengine.SpecTest, err error) {
	if c.Spec == hipengine.SpecOff && (c.Guess != 0 || c.Right != "") {
		return st, usageError{errors.New("--spec-depth and --spec-accept are for --spec, which is off")}
	}
	if c.Spec != hipengine.SpecOff && (c.CSV || c.SVG != "") {
		return st, usageError{errors.New("--csv and --svg have no place for what --spec measures; --json has")}
	}
	if c.Guess < 0 || c.Guess > hipengine.MaxGuesses {
		return st, usageError{fmt.Errorf("--spec-depth %d is outside 0..%d", c.Guess, hipengine.MaxGuesses)}
	}
	st.Depth = c.Guess
	if c.Right != "" {
		st.Thin = true
		if st.Accept, err = strconv.ParseFloat(c.Right, 64); err != nil || !(st.Accept >= 0 && st.Accept <= 1) {
			return st, usageError{fmt.Errorf("--spec-accept %q is no share from 0 to 1", c.Right)}
		}
	}
	return st, nil
}

// tune writes the choices between kernels that are faster than the present ones.
func (c *benchModelCmd) tune(ctx context.Context, m *hipengine.Model, std stdio) error {
	lines, err := m.Tune(ctx)
	if err != nil {
		return err
	}
	version, _ := programVersion()
	err = writeFile(c.Tune, func(w *bufio.Writer) error {
		fmt.Fprintf(w, "# %s on %s, hipengine %s: target, op, type, tokens, sizes, kernel\n", m.ID(), m.Device().Chip,
			version)
		for _, l := range lines {
			fmt.Fprintln(w, l)
		}
		return nil
	})
	if err == nil {
		fmt.Fprintf(std.out, "%d choices in %s\n", len(lines), c.Tune)
	}
	return err
}

// tests lists what to measure, in the order in which it is printed.
func (c *benchModelCmd) tests() (tests []bench.Test) {
	for _, d := range c.Depth {
		for _, n := range c.PP {
			tests = append(tests, bench.Test{Kind: bench.Prefill, Tokens: n, Depth: d, Batch: 1})
		}
		for _, n := range c.TG {
			for _, b := range c.Batch {
				tests = append(tests, bench.Test{Kind: bench.Decode, Tokens: n, Depth: d, Batch: b})
			}
		}
	}
	return tests
}
