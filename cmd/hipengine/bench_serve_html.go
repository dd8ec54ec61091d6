package main

import (
	"bufio"
	"fmt"
	"html/template"
	"math"
	"time"

	"github.com/hipengine/hipengine/serve/bench"
)

// writeHTML writes the report as one file that needs no other.
func (r *benchServeReport) writeHTML(w *bufio.Writer) error {
	names, loads := r.loads()
	var turns []bench.Turn
	if r.Agent != nil {
		turns = r.Agent.Turns
	}
	return benchServePage.Execute(w, map[string]any{
		"R": r, "Title": r.title(), "Names": names, "Loads": loads, "Turns": turns, "LoadPlots": r.loadPlots(),
		"AgentPlots": agentPlots(turns), "Start": r.Start.UTC().Format(time.RFC1123),
	})
}

// loadPlots are the pictures of load, in milliseconds and tokens per second.
func (r *benchServeReport) loadPlots() []*plot {
	if len(r.Load) == 0 {
		return nil
	}
	rate := &plot{title: "Throughput", x: "streams", y: "tokens per second", bars: true,
		series: []plotSeries{{name: "tokens per second"}}}
	quantiles := func(title string, of func(bench.Load) bench.Times) *plot {
		p := &plot{title: title, x: "streams", y: "milliseconds", log: true, series: []plotSeries{{name: "p50"},
			{name: "p90"}, {name: "p99"}}}
		for _, l := range r.Load {
			t := of(l)
			p.places = append(p.places, fmt.Sprint(l.Streams))
			for i, v := range []float64{t.P50, t.P90, t.P99} {
				p.series[i].values = append(p.series[i].values, 1000*v)
			}
		}
		return p
	}
	first := quantiles("Time to the first token", func(l bench.Load) bench.Times { return l.First })
	between := quantiles("Time between tokens", func(l bench.Load) bench.Times { return l.Between })
	mean := plotSeries{name: "mean"} // where tokens come in bursts, the median says little
	for _, l := range r.Load {
		mean.values = append(mean.values, 1000*l.Between.Mean)
	}
	between.series = append(between.series, mean)
	whole := quantiles("Time of a request", func(l bench.Load) bench.Times { return l.Whole })
	rate.places = first.places
	for _, l := range r.Load {
		rate.series[0].values = append(rate.series[0].values, math.Round(10*l.Rate)/10)
	}
	return []*plot{rate, first, between, whole}
}

// agentPlots are the pictures of a growing conversation.
func agentPlots(turns []bench.Turn) []*plot {
	if len(turns) == 0 {
		return nil
	}
	first := &plot{title: "Time to the first token", x: "turn", y: "milliseconds",
		series: []plotSeries{{name: "growing conversation"}, {name: "with a new beginning"}}}
	tokens := &plot{title: "Tokens of the prompt", x: "turn", y: "tokens", bars: true,
		series: []plotSeries{{name: "kept from before"}, {name: "read"}}}
	for i, t := range turns {
		first.places = append(first.places, fmt.Sprint(i+1))
		cold := math.NaN()
		if t.Cold > 0 {
			cold = 1000 * t.Cold
		}
		for k, v := range []float64{1000 * t.First, cold} {
			first.series[k].values = append(first.series[k].values, v)
		}
		for k, v := range []int{t.Cached, t.Prompt - t.Cached} {
			tokens.series[k].values = append(tokens.series[k].values, float64(v))
		}
	}
	tokens.places = first.places
	return []*plot{first, tokens}
}

var benchServePage = template.Must(template.New("bench serve").Funcs(template.FuncMap{
	"ms": milliseconds, "share": share, "svg": (*plot).svg, "title": func(p *plot) string { return p.title },
	"one": func(i int) int { return i + 1 },
	"f":   func(x float64) string { return fmt.Sprintf("%.1f", x) },
	"f2":  func(x float64) string { return fmt.Sprintf("%.2f", x) },
}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}: bench serve</title>
<style>
:root{color-scheme:light dark;--text:#222;--soft:#666;--page:#fff;--panel:#f6f7f8;--rule:#d8dadd;--s0:#0072b2;--s1:#d55e00;--s2:#2a9d6f;--s3:#8a6fb0}
@media(prefers-color-scheme:dark){:root{--text:#e4e6e8;--soft:#9aa0a6;--page:#15171a;--panel:#1d2024;--rule:#383c42;--s0:#5ab4e8;--s1:#f08a4b;--s2:#5fcf9e;--s3:#b79be0}}
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:var(--text);background:var(--page)}
h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em}h3{font-size:1em;font-weight:600;margin:.2em 0 .4em}.soft{color:var(--soft)}
table{border-collapse:collapse;display:block;font-size:.93em;overflow-x:auto}td,th{padding:.2em .65em;text-align:right;border-top:1px solid var(--rule);font-variant-numeric:tabular-nums;white-space:nowrap}
th{font-weight:600;border-top:0}td:first-child,th:first-child{text-align:left;padding-left:0}.group{text-align:center}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(26em,1fr));gap:1em;margin:1em 0}figure{margin:0;padding:.8em;background:var(--panel);border-radius:6px}
svg{width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:var(--text)}text.axis{fill:var(--soft)}
text.mid{text-anchor:middle}text.end{text-anchor:end}.grid{stroke:var(--rule);stroke-width:1}polyline{fill:none;stroke-width:2;stroke-linejoin:round}
rect.s0,circle.s0{fill:var(--s0)}rect.s1,circle.s1{fill:var(--s1)}rect.s2,circle.s2{fill:var(--s2)}rect.s3,circle.s3{fill:var(--s3)}
polyline.s0{stroke:var(--s0)}polyline.s1{stroke:var(--s1)}polyline.s2{stroke:var(--s2)}polyline.s3{stroke:var(--s3)}
@media(max-width:30em){.plots{grid-template-columns:1fr}}
</style></head><body>
<h1>{{.Title}}</h1>
<p class="soft">hipengine bench serve {{.R.Version}},
	{{.Start}}. Times are a client's, from sending a request to reading a piece of the answer.</p>
{{if .Loads}}<h2>Load</h2>
{{with .R.Options}}<p>Each stream sent {{.Requests}} requests of {{.Words}} words, one after the other,
	and read answers of up to {{.Tokens}} tokens.
{{if .SharedWords}}In the row “shared”, all prompts begin with the same {{.SharedWords}} words.{{end}}</p>{{end}}
<div class="plots">{{range .LoadPlots}}<figure><h3>{{title .}}</h3>{{svg .}}</figure>
{{end}}</div>
<table><tr><th rowspan="2">streams</th><th rowspan="2">requests</th><th rowspan="2">failed</th><th rowspan="2">tokens/s</th><th colspan="3" class="group">first token, ms</th><th colspan="4" class="group">between tokens, ms</th><th rowspan="2">slowest<br>/ median</th><th rowspan="2">prompt tokens</th><th rowspan="2">kept</th></tr>
<tr><th style="text-align:right;padding-left:.65em">p50</th><th>p90</th><th>p99</th><th>mean</th><th>p50</th><th>p90</th><th>p99</th></tr>
{{range $i,
	$l := .Loads}}<tr><td>{{index $.Names $i}}</td><td>{{.Requests}}</td><td>{{.Errors}}</td><td>{{f .Rate}}</td><td>{{ms .First.P50}}</td><td>{{ms .First.P90}}</td><td>{{ms .First.P99}}</td><td>{{ms .Between.Mean}}</td><td>{{ms .Between.P50}}</td><td>{{ms .Between.P90}}</td><td>{{ms .Between.P99}}</td><td>{{f2 .Slowest}}</td><td>{{.Prompt}}</td><td>{{share .Cached .Prompt}}</td></tr>
{{if .FirstError}}<tr><td colspan="14">first error: {{.FirstError}}</td></tr>{{end}}{{end}}</table>{{end}}
{{if .Turns}}<h2>A conversation that grows</h2>
{{with .R.Options}}<p>As agents do, each of {{.Turns}} turns sends all messages before it again,
	and {{.AgentWords}} words more; the first begins with {{.AgentSystem}} words.
“With a new beginning” is a conversation of the same length whose first words the server has not seen,
	so that nothing of it is kept.</p>{{end}}
<div class="plots">{{range .AgentPlots}}<figure><h3>{{title .}}</h3>{{svg .}}</figure>
{{end}}</div>
<table><tr><th>turn</th><th>prompt tokens</th><th>kept</th><th>answer tokens</th><th>first token,
	ms</th><th>new beginning, ms</th></tr>
{{range $i,
	$t := .Turns}}<tr><td>{{one $i}}</td><td>{{.Prompt}}</td><td>{{.Cached}}</td><td>{{.Generated}}</td><td>{{ms .First}}</td><td>{{if .Cold}}{{ms .Cold}}{{end}}</td></tr>
{{end}}</table>{{end}}
</body></html>
`))
