package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

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
}

// benchReport is what bench knows, in the shape of its JSON.
type benchReport struct {
	Model     string         `json:"model"`
	Arch      string         `json:"architecture"`
	Device    string         `json:"device"`
	Chip      string         `json:"chip"`
	Weights   int64          `json:"weight_bytes"`        // on the device
	Bandwidth float64        `json:"bandwidth,omitempty"` // of the device's memory as measured, bytes per second
	Rows      []bench.Result `json:"rows"`
}

// check reports sizes that make no sense, and returns the most sequences.
func (c *benchModelCmd) check() (seqs int, err error) {
	for _, l := range []struct {
		flag     string
		values   []int
		low, top int
	}{{"--pp", c.PP, 0, hipengine.MaxContext}, {"--tg", c.TG, 0, hipengine.MaxContext}, {"--depth", c.Depth, 0, hipengine.MaxContext},
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
	length := slices.Max(c.Depth) + max(slices.Max(c.PP), slices.Max(c.TG))
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
	m, err := c.load(ctx, h, c.Model, seqs, std.err)
	if err != nil {
		return err
	}
	dev := m.Device()
	r := &benchReport{Model: m.ID(), Arch: m.Architecture(), Device: dev.Name, Chip: dev.Chip, Weights: m.WeightBytes(), Rows: []bench.Result{}}
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
		bar.count(i+1, len(tests), t.String())
	}
	bar.done()
	switch {
	case c.JSON:
		e := json.NewEncoder(std.out)
		e.SetIndent("", " ")
		return e.Encode(r)
	case c.CSV:
		return r.writeCSV(std.out)
	}
	return r.print(std.out)
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

func (r *benchReport) print(out io.Writer) error {
	fmt.Fprintf(out, "%s (%s, %.2f GB) on %s %s", r.Model, r.Arch, float64(r.Weights)/1e9, r.Device, r.Chip)
	if r.Bandwidth > 0 {
		fmt.Fprintf(out, ", memory %.1f GB/s as measured", r.Bandwidth/1e9)
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "TEST\tDEPTH\tBATCH\tTOK/S\tGB/S\tOF MEMORY\n")
	for _, x := range r.Rows {
		rated, share := "", ""
		if x.Kind == bench.Decode {
			rated = fmt.Sprintf("%.2f", x.Rated/1e9)
		}
		if x.Share > 0 {
			share = fmt.Sprintf("%.1f %%", 100*x.Share)
		}
		fmt.Fprintf(w, "%v\t%d\t%d\t%.2f ± %.2f\t%s\t%s\n", x.Test, x.Depth, x.Batch, x.Rate, x.Deviation, rated, share)
	}
	return w.Flush()
}

func (r *benchReport) writeCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	w.Write([]string{"model", "architecture", "device", "test", "tokens", "depth", "batch", "tokens_per_second", "standard_deviation", "bytes_per_second", "bandwidth_share"})
	f := func(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
	for _, x := range r.Rows {
		w.Write([]string{r.Model, r.Arch, r.Device, x.Kind, strconv.Itoa(x.Tokens), strconv.Itoa(x.Depth), strconv.Itoa(x.Batch),
			f(x.Rate), f(x.Deviation), f(x.Rated), f(x.Share)})
	}
	w.Flush()
	return w.Error()
}
