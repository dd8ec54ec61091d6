package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var quickBench = []string{"--streams", "1,3", "--requests", "2", "--prompt-words", "8", "--answer-tokens", "6",
	"--shared-words", "40",
	"--shared-streams", "2", "--turns", "4", "--system-words", "30", "--turn-words", "5", "--cold-every", "2"}

// TestBenchServe measures Ember on a server of its own, and on one that runs; the conversation's turns must be found
// in the cache.
func TestBenchServe(t *testing.T) {
	_, url := startServer(t, "ember", q4, "--api-key", "k")
	page := filepath.Join(t.TempDir(), "report.html")
	for _, target := range [][]string{{"ember", "--device", "cpu"}, {url, "--api-key", "k", "--served-model",
		"ember-Q4_K_M", "--html", page}} {
		if testing.Short() && target[0] != url {
			t.Log("SKIPPED: -short leaves the model without a server to make long")
			continue
		}
		r := command(t, "", append(append([]string{"bench", "serve"}, target...), append(quickBench, "--json")...)...)
		var b benchServeReport
		if err := json.Unmarshal([]byte(r.out), &b); r.code != 0 || err != nil {
			t.Fatalf("%v: exit %d, %v, out %s, err %s", target, r.code, err, r.out, r.errOut)
		}
		if len(b.Load) != 2 || b.Shared == nil || b.Agent == nil || len(b.Agent.Turns) != 4 {
			t.Fatalf("%v: %s", target, r.out)
		}
		for _, l := range append(b.Load, *b.Shared) {
			if l.Requests != 2*l.Streams || l.Errors != 0 || l.Generated != 6*l.Requests || l.First.P50 <= 0 ||
				l.Rate <= 0 {
				t.Errorf("%v: %+v", target, l)
			}
		}
		if b.Shared.Cached == 0 { // how much is kept, the cache decides
			t.Errorf("%v: of %d tokens of prompts that begin alike, %d were cached", target, b.Shared.Prompt,
				b.Shared.Cached)
		}
		for i, turn := range b.Agent.Turns {
			if i > 0 && turn.Cached == 0 || (turn.Cold > 0) != (i%2 == 1) {
				t.Errorf("%v: turn %d: %+v after %+v", target, i+1, turn, b.Agent.Turns[max(i-1, 0)])
			}
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	checkPage(t, string(text))
	for _, want := range []string{"ember-Q4_K_M at " + url, "Throughput", "A conversation that grows",
		"prefers-color-scheme:dark"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report has no %q", want)
		}
	}
	r := command(t, "", "bench", "serve", url, "--api-key", "k", "--streams", "2", "--requests", "1",
		"--answer-tokens", "2", "--turns", "0", "--shared-words", "0")
	if r.code != 0 || !strings.Contains(r.out, "ember at "+url) || !strings.Contains(r.out, "STREAMS") ||
		strings.Contains(r.out, "TURN") {
		t.Errorf("exit %d, %s %s", r.code, r.out, r.errOut)
	}
}

// checkPage checks that a page is well-formed, names nothing outside of it, and draws all within its pictures.
func checkPage(t *testing.T, page string) {
	t.Helper()
	for _, bad := range []string{"http://www", "https://", "<script", "src=", "href=", "NaN", "Inf", "%!"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	pictures := 0
	for rest := page; ; pictures++ {
		i := strings.Index(rest, "<svg")
		if i < 0 {
			break
		}
		j := strings.Index(rest, "</svg>") + len("</svg>")
		for d := xml.NewDecoder(strings.NewReader(rest[i:j])); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("picture %d: %v in\n%s", pictures, err, rest[i:j])
			}
			e, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			for _, a := range e.Attr {
				limit := map[string]float64{"x": plotWidth, "x1": plotWidth, "x2": plotWidth, "cx": plotWidth,
					"y": plotHeight, "y1": plotHeight, "y2": plotHeight, "cy": plotHeight,
					"height": plotHeight}[a.Name.Local]
				var v float64
				if _, err := fmt.Sscan(a.Value, &v); limit > 0 && (err != nil || v < 0 || v > limit) {
					t.Errorf("picture %d: %s %s=%s is outside", pictures, e.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
		rest = rest[j:]
	}
	if pictures != 6 {
		t.Errorf("%d pictures, want 6", pictures)
	}
}

func TestBenchServeErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--requests", "0"}, 2, "--requests"}, {[]string{"--streams=-1"}, 2, "--streams"},
		{[]string{"--streams", "0", "--shared-words", "0", "--turns", "0"}, 2, "nothing to measure"},
		{[]string{"--served-model", "x"}, 2, "--served-model"}, {[]string{"http://127.0.0.1:1"}, 1,
			"connection refused"}, {[]string{"ftp://x"}, 1, "no address"},
		{[]string{"no/such.gguf"}, 1, "no/such.gguf"},
		// A context that the requests do not fit into.
		{[]string{"--device", "cpu", "--ctx", "64", "--streams", "1", "--turns", "0", "--shared-words", "0"}, 1,
			"status 400"},
	} {
		if r := command(t, "", append([]string{"bench", "serve"}, c.args...)...); r.code != c.code ||
			!strings.Contains(r.errOut, c.want) {
			t.Errorf("%v: exit %d, %s", c.args, r.code, r.errOut)
		}
	}
}

// TestBenchConfig sets flags of commands below another in a file.
func TestBenchConfig(t *testing.T) {
	text := "reps = 7\n[bench]\npp = ['3']\n[bench.serve]\nturns = 9\n"
	for command, want := range map[string][]string{"bench": {"pp [3]", "reps 7"}, "bench serve": {"turns 9"}} {
		code, file, out, errOut := settings(t, text, append([]string{"config"}, strings.Fields(command)...)...)
		for _, w := range want {
			if line := strings.Fields(w + " " + file); code != 0 || !strings.Contains(strings.Join(strings.Fields(out),
				" "), strings.Join(line, " ")) {
				t.Errorf("%s: %d, no %q in %s %s", command, code, line, out, errOut)
			}
		}
	}
	if code, file, _, errOut := settings(t, "[bench.serve]\nturn = 9\n", "config"); code != exitUsage ||
		!strings.Contains(errOut, file+`:2: unknown key "bench.serve.turn"`) {
		t.Errorf("%d %s", code, errOut)
	}
}

// TestPlotScale puts all values between the first and the last tick, and the ticks in order.
func TestPlotScale(t *testing.T) {
	for _, log := range []bool{false, true} {
		for _, values := range [][]float64{{1}, {0, 0}, {.0003, 7}, {99.9, 100}, {5, 5000, math.NaN()}, {1e-9, 1e9},
			{math.Inf(1), 3}, {2, 5, 10}} {
			p := &plot{log: log, places: make([]string, len(values)), series: []plotSeries{{values: values}}}
			ticks, y := p.scale()
			for i, tick := range ticks {
				if at := y(tick); at < plotTop-1e-6 || at > plotTop+plotDeep+1e-6 || i > 0 && tick <= ticks[i-1] {
					t.Errorf("log %v, %v: tick %v of %v is at %v", log, values, tick, ticks, at)
				}
			}
			for _, v := range values {
				if at := y(v); p.has(v) && (at < plotTop-1e-6 || at > plotTop+plotDeep+1e-6) {
					t.Errorf("log %v, %v: %v is at %v, ticks %v", log, values, v, at, ticks)
				}
			}
			if len(ticks) < 2 || len(ticks) > 9 {
				t.Errorf("log %v, %v: ticks %v", log, values, ticks)
			}
		}
	}
}
