package main

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/engine/bench"
)

// title says what was measured, and on what.
func (r *benchReport) title() string {
	s := fmt.Sprintf("%s (%s, %.2f GB) on %s %s", r.Model, r.Arch, float64(r.Weights)/1e9, r.Device, r.Chip)
	if r.Bandwidth > 0 {
		s += fmt.Sprintf(", memory %.1f GB/s as measured", r.Bandwidth/1e9)
	}
	return s
}

// benchColumns are the headings of tables for people.
var benchColumns = []string{"TEST", "DEPTH", "BATCH", "TOK/S", "MEDIAN", "MIN", "MAX", "GB/S", "OF MEMORY"}

// cells are a row below benchColumns.
func cells(x bench.Result) []string {
	rated, share := "", ""
	if x.Kind == bench.Decode {
		rated = fmt.Sprintf("%.2f", x.Rated/1e9)
	}
	if x.Share > 0 {
		share = fmt.Sprintf("%.1f %%", 100*x.Share)
	}
	return []string{x.String(), strconv.Itoa(x.Depth), strconv.Itoa(x.Batch), fmt.Sprintf("%.2f ± %.2f", x.Rate,
		x.Deviation),
		fmt.Sprintf("%.2f", x.Median), fmt.Sprintf("%.2f", x.Min), fmt.Sprintf("%.2f", x.Max), rated, share}
}

func (r *benchReport) print(out io.Writer) error {
	fmt.Fprintln(out, r.title())
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(benchColumns, "\t"))
	for _, x := range r.Rows {
		fmt.Fprintln(w, strings.Join(cells(x), "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, x := range r.Spec {
		fmt.Fprintln(out, specLine(x))
	}
	if r.Experts != nil {
		fmt.Fprintln(out, r.Experts.text)
	}
	return nil
}

// specLine says what guesses are worth.
func specLine(x hipengine.SpecResult) string {
	return fmt.Sprintf("%v at depth %d, %d at once, with guesses (%s): %.3f times as fast (median of %d pairs), %.2f "+
		"tokens a step, %.0f %% of the guesses right, %.1f at once", x.Test, x.Test.Depth, x.Batch, x.Spec, x.Ratio,
		len(x.Plain), x.PerStep, 100*x.Right, x.Depth)
}

func (r *benchReport) writeMarkdown(out io.Writer) error {
	var b strings.Builder
	row := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	fmt.Fprintf(&b, "%s; hipengine %s, KV %s, %d repetitions\n\n", strings.ReplaceAll(r.title(), "|", `\|`), r.Version,
		r.KVType, r.Reps)
	var heads, rules []string
	for i, c := range benchColumns {
		heads = append(heads, strings.ToLower(c))
		rules = append(rules, "---:")
		if i == 0 {
			rules[0] = "---"
		}
	}
	row(heads)
	row(rules)
	for _, x := range r.Rows {
		row(cells(x))
	}
	for _, x := range r.Spec {
		fmt.Fprintf(&b, "\n%s\n", specLine(x))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (r *benchReport) writeCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	w.Write([]string{"model", "architecture", "device", "test", "tokens", "depth", "batch", "tokens_per_second",
		"standard_deviation", "bytes_per_second", "bandwidth_share", "median", "min", "max"})
	f := func(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
	for _, x := range r.Rows {
		w.Write([]string{r.Model, r.Arch, r.Device, x.Kind, strconv.Itoa(x.Tokens), strconv.Itoa(x.Depth),
			strconv.Itoa(x.Batch),
			f(x.Rate), f(x.Deviation), f(x.Rated), f(x.Share), f(x.Median), f(x.Min), f(x.Max)})
	}
	w.Flush()
	return w.Error()
}

// writeSVG draws the medians.
func (r *benchReport) writeSVG(w *bufio.Writer) error {
	_, err := w.WriteString(svgFile(r.title(), r.plots()))
	return err
}

// plots are the pictures of the rows: of reading, of writing, and of the share of the memory's speed that writing
// takes.
func (r *benchReport) plots() (plots []*plot) {
	median := func(x bench.Result) float64 { return x.Median }
	share := func(x bench.Result) float64 {
		if x.Share == 0 {
			return math.NaN()
		}
		return 100 * x.Share * x.Median / x.Rate
	}
	for _, p := range []struct {
		kind, title, y string
		value          func(bench.Result) float64
	}{
		{bench.Prefill, "Reading prompts", "tokens per second", median},
		{bench.Decode, "Generating", "tokens per second, all sequences", median},
		{bench.Decode, "Generating: share of the memory's speed", "percent", share},
	} {
		var rows []bench.Result
		for _, x := range r.Rows {
			if x.Kind == p.kind && !math.IsNaN(p.value(x)) {
				rows = append(rows, x)
			}
		}
		if len(rows) > 0 {
			plots = append(plots, rowsPlot(p.title, p.y, rows, p.value))
		}
	}
	return plots
}

// sizes are what tests differ in.
var sizes = []struct {
	name string
	of   func(bench.Result) int
}{
	{"tokens", func(x bench.Result) int { return x.Tokens }},
	{"depth", func(x bench.Result) int { return x.Depth }},
	{"batch", func(x bench.Result) int { return x.Batch }},
}

// rowsPlot draws a value of rows over that of their sizes that has the most values; each combination of the others is
// a line.
func rowsPlot(title, y string, rows []bench.Result, value func(bench.Result) float64) *plot {
	values := make([][]int, len(sizes))
	for i, s := range sizes {
		for _, x := range rows {
			values[i] = append(values[i], s.of(x))
		}
		slices.Sort(values[i])
		values[i] = slices.Compact(values[i])
	}
	over := 0
	for i := range sizes {
		if len(values[i]) > len(values[over]) {
			over = i
		}
	}
	p := &plot{title: title, x: sizes[over].name, y: y}
	for _, v := range values[over] {
		p.places = append(p.places, strconv.Itoa(v))
	}
	for _, x := range rows {
		var names []string
		for i, s := range sizes {
			if i != over && len(values[i]) > 1 {
				names = append(names, fmt.Sprintf("%s %d", s.name, s.of(x)))
			}
		}
		name := strings.Join(names, ", ")
		k := slices.IndexFunc(p.series, func(s plotSeries) bool { return s.name == name })
		if k < 0 {
			k = len(p.series)
			p.series = append(p.series, plotSeries{name: name, values: make([]float64, len(p.places))})
			for i := range p.series[k].values {
				p.series[k].values[i] = math.NaN()
			}
		}
		p.series[k].values[slices.Index(values[over], sizes[over].of(x))] = value(x)
	}
	p.bars = len(p.places) == 1 && len(p.series) == 1
	return p
}
