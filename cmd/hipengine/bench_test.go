package main

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/bench"
)

func TestBench(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plots.svg")
	args := []string{"bench", "ember", "--device", "cpu", "--pp", "16", "--tg", "4", "--depth", "0,8", "--batch",
		"1,2", "--reps", "2"}
	r := command(t, "", append(args, "--json", "--svg", file)...)
	var b benchReport
	if err := json.Unmarshal([]byte(r.out), &b); r.code != 0 || err != nil {
		t.Fatalf("exit %d, %v, out %q, err %q", r.code, err, r.out, r.errOut)
	}
	if len(b.Rows) != 6 || !(b.Bandwidth > 0) || b.Weights == 0 || b.Reps != 2 || b.KVType != "auto" {
		t.Fatalf("report %+v", b)
	}
	for _, row := range b.Rows {
		if !(row.Rate > 0) || len(row.Samples) != 2 || (row.Kind == bench.Decode) != (row.Share > 0) {
			t.Errorf("row %+v", row)
		}
		if !(row.Min <= row.Median && row.Median <= row.Max) || row.Min != min(row.Samples[0], row.Samples[1]) {
			t.Errorf("spread of %+v", row)
		}
	}
	svg, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	checkSVG(t, string(svg), 3)

	// The reference has no rate of memory.
	r = command(t, "", "bench", "ember", "--device", "ref", "--pp", "2", "--tg", "1", "--batch", "1,2", "--reps", "1",
		"--csv")
	if rows, err := csv.NewReader(strings.NewReader(r.out)).ReadAll(); r.code != 0 || err != nil || len(rows) != 4 {
		t.Errorf("exit %d, %v, out %q, err %q", r.code, err, r.out, r.errOut)
	}
	testGuesses(t, args)
	for _, c := range []struct {
		flag, value string
	}{{"--pp", "-1"}, {"--batch", "0"}, {"--reps", "0"}, {"--ctx", "8"}} {
		if r := command(t, "", "bench", "ember", "--device", "cpu", c.flag+"="+c.value); r.code != exitUsage ||
			!strings.Contains(r.errOut, c.flag) {
			t.Errorf("%s %s: exit %d, err %q", c.flag, c.value, r.code, r.errOut)
		}
	}
}

// testGuesses checks what bench says of guesses, as JSON and as a table.
func testGuesses(t *testing.T, args []string) {
	for _, wrong := range [][]string{{"--spec-depth", "2"}, {"--spec", "ngram", "--spec-depth", "9"},
		{"--spec", "ngram", "--spec-accept", "1.5"}, {"--spec", "ngram", "--csv"}, {"--spec", "ngrams"}} {
		r := command(t, "", append([]string{"bench", "ember", "--device", "cpu"}, wrong...)...)
		if r.code != exitUsage || !strings.Contains(r.errOut, "--spec") {
			t.Errorf("%s: exit %d, err %q", wrong, r.code, r.errOut)
		}
	}
	if testing.Short() {
		t.Log("SKIPPED: -short leaves measuring guesses to make long")
		return
	}
	args = append(args[:len(args):len(args)], "--spec", "mtp", "--spec-depth", "2", "--spec-accept", "0.5")
	r := command(t, "", append(args, "--json")...)
	var b benchReport
	if err := json.Unmarshal([]byte(r.out), &b); r.code != 0 || err != nil || len(b.Rows) != 6 || len(b.Spec) != 4 {
		t.Fatalf("exit %d, %v, out %q, err %q", r.code, err, r.out, r.errOut)
	}
	for _, x := range b.Spec {
		if x.Spec != "mtp" || len(x.Plain) != 2 || len(x.Guessed) != 2 || !(x.Ratio > 0) || !(x.PerStep >= 1) ||
			!(x.Depth >= 1 && x.Depth <= 2) || !(x.Right >= 0 && x.Right <= 1) {
			t.Errorf("guesses %+v", x)
		}
	}
	if r := command(t, "", args...); r.code != 0 || strings.Count(r.out, "with guesses (mtp)") != 4 {
		t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
}

// TestBenchTune refuses to tune what has no kernels to choose from, or whose times say nothing.
func TestBenchTune(t *testing.T) {
	file := filepath.Join(t.TempDir(), "choices")
	r := command(t, "", "bench", "ember", "--device", "cpu", "--tune", file)
	if _, err := os.Stat(file); r.code != exitFailed || !strings.Contains(r.errOut, "nothing to tune on cpu") || err == nil {
		t.Errorf("exit %d, err %q, file: %v", r.code, r.errOut, err)
	}
}

// checkSVG checks that a picture is well-formed XML of so many plots, each with marks inside it.
func checkSVG(t *testing.T, text string, plots int) {
	t.Helper()
	count := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if e, ok := token.(xml.StartElement); ok {
			count[e.Name.Local]++
		}
	}
	if count["svg"] != plots+1 || count["circle"]+count["rect"] < plots+1 || strings.Contains(text, "NaN") {
		t.Errorf("%v in\n%s", count, text)
	}
}

// benchRows are results of three prompts, and of batches at two depths.
func benchRows() *benchReport {
	r := &benchReport{Model: "a|b<c", Arch: "x", Device: "hip:0", Chip: "card", Weights: 2e9, Bandwidth: 9e11,
		KVType: "f16", Reps: 3, Version: "v1"}
	for i, n := range []int{128, 512, 2048} {
		r.Rows = append(r.Rows, bench.Result{Test: bench.Test{Kind: bench.Prefill, Tokens: n, Batch: 1}, Rate: 1000 +
			float64(i),
			Median: 1001, Min: 990, Max: 1100, Deviation: 5})
	}
	for _, depth := range []int{0, 4096} {
		for _, batch := range []int{1, 2, 4} {
			r.Rows = append(r.Rows, bench.Result{Test: bench.Test{Kind: bench.Decode, Tokens: 64, Depth: depth,
				Batch: batch},
				Rate: 50, Median: 51, Min: 40, Max: 60, Rated: 1e11, Share: .11})
		}
	}
	return r
}

// TestBenchPlots: lines are over what has most values, one for each combination of the rest.
func TestBenchPlots(t *testing.T) {
	r := benchRows()
	plots := r.plots()
	if len(plots) != 3 || plots[0].x != "tokens" || len(plots[0].series) != 1 || len(plots[0].places) != 3 {
		t.Fatalf("%+v", plots)
	}
	p := plots[1]
	if p.x != "batch" || len(p.series) != 2 || p.series[0].name != "depth 0" || p.series[1].name != "depth 4096" ||
		p.series[1].values[2] != 51 {
		t.Errorf("%+v", p)
	}
	if v := plots[2].series[0].values[0]; v < 11.2 || v > 11.3 {
		t.Errorf("a share of %v %%", v)
	}
	checkSVG(t, svgFile(r.title(), plots), 3)
}

func TestBenchMarkdown(t *testing.T) {
	var b strings.Builder
	if err := benchRows().writeMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 13 || !strings.HasPrefix(lines[0], `a\|b<c (x, 2.00 GB) on hip:0 card, memory 900.0 GB/s`) {
		t.Errorf("%s", b.String())
	}
	for _, l := range lines[2:] {
		if strings.Count(l, "|") != len(benchColumns)+1 {
			t.Errorf("columns of %q", l)
		}
	}
	if want := "| tg64 | 4096 | 4 | 50.00 ± 0.00 | 51.00 | 40.00 | 60.00 | 100.00 | 11.0 % |"; lines[12] != want {
		t.Errorf("%q, want %q", lines[12], want)
	}
}
