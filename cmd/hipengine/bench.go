package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
)

// benchCmd measures how fast a model reads and writes.
type benchCmd struct {
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
	Model     string     `json:"model"`
	Arch      string     `json:"architecture"`
	Device    string     `json:"device"`
	Chip      string     `json:"chip"`
	Weights   int64      `json:"weight_bytes"`        // on the device
	Bandwidth float64    `json:"bandwidth,omitempty"` // of the device's memory as measured, bytes per second
	Rows      []benchRow `json:"rows"`
}

// benchRow is one measurement.
type benchRow struct {
	Test      string    `json:"test"` // pp or tg
	Tokens    int       `json:"tokens"`
	Depth     int       `json:"depth"`
	Batch     int       `json:"batch"`
	Rate      float64   `json:"tokens_per_second"` // of all sequences, mean
	Deviation float64   `json:"standard_deviation"`
	Samples   []float64 `json:"samples"`
	Bytes     float64   `json:"bytes_per_step,omitempty"` // that a step of tg must read or write
	Rated     float64   `json:"bytes_per_second,omitempty"`
	Share     float64   `json:"bandwidth_share,omitempty"`
}

// check reports sizes that make no sense, and returns the most sequences.
func (c *benchCmd) check() (seqs int, err error) {
	for _, l := range []struct {
		flag     string
		values   []int
		low, top int
	}{{"--pp", c.PP, 0, models.MaxContext}, {"--tg", c.TG, 0, models.MaxContext}, {"--depth", c.Depth, 0, models.MaxContext},
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
func (c *benchCmd) Run(ctx context.Context, std stdio) error {
	seqs, err := c.check()
	if err != nil {
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
	m, err := c.open(ctx, c.Model, seqs, std.err)
	if err != nil {
		return err
	}
	defer m.close()
	info := m.dev.Info()
	r := &benchReport{Model: m.id, Arch: m.arch, Device: info.Name, Chip: info.Model, Weights: m.weights.Bytes(), Rows: []benchRow{}}
	if r.Bandwidth, err = measureBandwidth(ctx, m.dev); err != nil {
		return fmt.Errorf("measuring the memory: %w", err)
	}
	traffic, err := newTraffic(arch, src, c.kvType())
	if err != nil {
		return err
	}
	bar := newProgress(std.err, "measuring "+m.id)
	defer bar.done()
	total, done := len(c.Depth)*(len(c.PP)+len(c.TG)*len(c.Batch)), 0
	bench := func(row benchRow) error {
		defer func() {
			done++
			bar.count(done, total, fmt.Sprintf("%s%d", row.Test, row.Tokens))
		}()
		if row.Tokens == 0 {
			return nil
		}
		for i := range c.Reps + 1 {
			rate, err := measureRow(ctx, m.runner, row)
			if err != nil {
				return fmt.Errorf("%s%d at depth %d: %w", row.Test, row.Tokens, row.Depth, err)
			}
			if i > 0 { // the first makes plans and warms up
				row.Samples = append(row.Samples, rate)
			}
		}
		row.Rate, row.Deviation = meanAndDeviation(row.Samples)
		if row.Test == "tg" {
			row.Bytes = traffic.step(row.Batch, float64(row.Depth)+float64(row.Tokens)/2)
			row.Rated = row.Bytes * row.Rate / float64(row.Batch)
			if r.Bandwidth > 0 {
				row.Share = row.Rated / r.Bandwidth
			}
		}
		r.Rows = append(r.Rows, row)
		return nil
	}
	for _, d := range c.Depth {
		for _, n := range c.PP {
			if err := bench(benchRow{Test: "pp", Tokens: n, Depth: d, Batch: 1}); err != nil {
				return err
			}
		}
		for _, n := range c.TG {
			for _, b := range c.Batch {
				if err := bench(benchRow{Test: "tg", Tokens: n, Depth: d, Batch: b}); err != nil {
					return err
				}
			}
		}
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

// measureRow runs one measurement and returns tokens per second. Sequences are filled up to the depth first.
func measureRow(ctx context.Context, r *runner.Runner, row benchRow) (float64, error) {
	l := r.Limits()
	random := rand.New(rand.NewPCG(1, 2))
	tokens := func(n int) []int32 {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = random.Int32N(int32(l.Vocab))
		}
		return ids
	}
	ids := make([]runner.SeqID, row.Batch)
	feed := func(id runner.SeqID, n int) error {
		for n > 0 {
			k := min(n, l.Batch)
			n -= k
			rows := 0
			if n == 0 {
				rows = 1
			}
			if _, err := r.Step(ctx, []runner.Work{{Seq: id, Tokens: tokens(k), Rows: rows}}); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range ids {
		id, err := r.Open()
		if err != nil {
			return 0, err
		}
		defer r.Release(id)
		ids[i] = id
		if err := feed(id, row.Depth); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	if row.Test == "pp" {
		if err := feed(ids[0], row.Tokens); err != nil {
			return 0, err
		}
	} else {
		work := make([]runner.Work, len(ids))
		for range row.Tokens {
			for i, id := range ids {
				work[i] = runner.Work{Seq: id, Tokens: tokens(1), Rows: 1}
			}
			if _, err := r.Step(ctx, work); err != nil {
				return 0, err
			}
		}
	}
	return float64(row.Tokens*row.Batch) / time.Since(start).Seconds(), nil
}

// meanAndDeviation returns the mean of x and its standard deviation, 0 for a single one.
func meanAndDeviation(x []float64) (mean, deviation float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	if len(x) < 2 {
		return mean, 0
	}
	for _, v := range x {
		deviation += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, math.Sqrt(deviation)
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
		if x.Test == "tg" {
			rated = fmt.Sprintf("%.2f", x.Rated/1e9)
		}
		if x.Share > 0 {
			share = fmt.Sprintf("%.1f %%", 100*x.Share)
		}
		fmt.Fprintf(w, "%s%d\t%d\t%d\t%.2f ± %.2f\t%s\t%s\n", x.Test, x.Tokens, x.Depth, x.Batch, x.Rate, x.Deviation, rated, share)
	}
	return w.Flush()
}

func (r *benchReport) writeCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	w.Write([]string{"model", "architecture", "device", "test", "tokens", "depth", "batch", "tokens_per_second", "standard_deviation", "bytes_per_second", "bandwidth_share"})
	f := func(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
	for _, x := range r.Rows {
		w.Write([]string{r.Model, r.Arch, r.Device, x.Test, strconv.Itoa(x.Tokens), strconv.Itoa(x.Depth), strconv.Itoa(x.Batch),
			f(x.Rate), f(x.Deviation), f(x.Rated), f(x.Share)})
	}
	w.Flush()
	return w.Error()
}
