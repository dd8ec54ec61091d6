package conformance

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

// The plots' horizontal axis: powers of ten of the error over its bound.
const (
	plotLow, plotHigh = -8, 2
	plotWidth         = 400.0
)

// htmlGroup is the results of one op, type or architecture of one layer.
type htmlGroup struct {
	Name    string
	Dots    []htmlDot
	Results []Result
	OK      bool
	Worst   string // the largest error over its bound
}

// htmlDot is one result in a plot.
type htmlDot struct {
	X, Y    float64
	Verdict Verdict
	Title   string
}

// groups collects results by the first two parts of their names, in order.
func (r *Report) groups() []*htmlGroup {
	var gs []*htmlGroup
	byName := map[string]*htmlGroup{}
	worst := map[string]float64{}
	for _, x := range r.Results {
		parts := strings.SplitN(x.Name, "/", 3)
		name := strings.Join(parts[:min(2, len(parts))], "/")
		g := byName[name]
		if g == nil {
			g = &htmlGroup{Name: name, OK: true}
			byName[name] = g
			gs = append(gs, g)
		}
		g.OK = g.OK && x.OK(r.NoSkip)
		g.Results = append(g.Results, x)
		if x.Bound > 0 {
			ratio := x.Metrics.NMSE / x.Bound
			if !(ratio <= worst[name]) {
				worst[name] = ratio
			}
			g.Dots = append(g.Dots, htmlDot{X: plotX(ratio), Y: 6 + 2*float64(len(g.Dots)%5), Verdict: x.Verdict,
				Title: fmt.Sprintf("%s: NMSE %.3g, bound %.3g", x.Name, x.Metrics.NMSE, x.Bound)})
			g.Worst = fmt.Sprintf("%.2g", worst[name])
		}
	}
	return gs
}

// plotX places an error over its bound; none at all is at the left end, NaN at the right.
func plotX(ratio float64) float64 {
	l := math.Log10(ratio)
	if math.IsNaN(l) {
		l = plotHigh
	}
	return (min(max(l, plotLow), plotHigh) - plotLow) / (plotHigh - plotLow) * plotWidth
}

// WriteHTML writes the report as one file that needs no other: for each op a plot of errors relative to their bounds,
// and the table of results behind it.
func (r *Report) WriteHTML(w io.Writer) error {
	if err := htmlReport.Execute(w,
		map[string]any{"Report": r, "Leg": r.leg(), "Summary": r.summary(), "Groups": r.groups(),
			"Failures": r.Failures(),
			"Width":    plotWidth, "Bound": plotX(1)}); err != nil {
		return fmt.Errorf("conformance: %w", err)
	}
	return nil
}

var htmlReport = template.Must(template.New("report").Funcs(template.FuncMap{
	"g": func(x float64) string { return fmt.Sprintf("%.3g", x) },
}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Conformance of {{.Report.Device.Name}}</title>
<style>
body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;width:100%}td,th{padding:.15em .6em;text-align:left;vertical-align:top;border-top:1px solid #ddd}
td.n{text-align:right;font-variant-numeric:tabular-nums}summary{cursor:pointer;display:flex;gap:1em;align-items:center}
summary b{width:18em;overflow:hidden}summary span{width:9em}svg{background:#f6f6f6;flex:none}
.pass{fill:#2a7;color:#175}.fail{fill:#c22;color:#c22}.unsupported{fill:#c80;color:#a60}.skip{fill:#888;color:#666}
</style></head><body>
<h1>Conformance of {{.Report.Device.Name}}</h1>
<p>{{.Leg}}<br>suite {{.Report.Suite}}, seed {{.Report.Seed}}{{with .Report.Commit}}, commit {{.}}{{end}}<br><b>{{.Summary}}</b></p>
{{with .Failures}}<h2>Failures</h2><table>{{range .}}<tr><td class="{{.Verdict}}">{{.Verdict}}</td><td>{{.Name}}</td><td>{{.Detail}}</td></tr>{{end}}</table>{{end}}
<h2>Errors relative to their bounds</h2>
<p>One dot for each check: its squared error over what it may be, from 10<sup>-8</sup> (or none) on the left to 100 on the right; the line is the bound.</p>
{{$w := .Width}}{{$b := .Bound}}{{range .Groups}}<details{{if not .OK}} open{{end}}><summary><b class="{{if .OK}}pass{{else}}fail{{end}}">{{.Name}}</b><span>{{len .Results}} checks</span>
{{if .Dots}}<svg width="{{$w}}" height="20" role="img" aria-label="errors over bounds"><line x1="{{$b}}" x2="{{$b}}" y1="0" y2="20" stroke="#555"/>
{{range .Dots}}<circle class="{{.Verdict}}" cx="{{.X}}" cy="{{.Y}}" r="3" fill-opacity=".6"><title>{{.Title}}</title></circle>{{end}}</svg><span>worst {{.Worst}}</span>{{end}}</summary>
<table><tr><th>verdict</th><th>check</th><th>NMSE</th><th>bound</th><th>max abs</th><th>ULP</th><th>KL</th><th>s</th><th></th></tr>
{{range .Results}}<tr><td class="{{.Verdict}}">{{.Verdict}}</td><td>{{.Name}}</td><td class="n">{{g .Metrics.NMSE}}</td><td class="n">{{g .Bound}}</td><td class="n">{{g .Metrics.MaxAbs}}</td><td class="n">{{g .Metrics.MaxULP}}</td><td class="n">{{g .Metrics.KL}}</td><td class="n">{{g .Seconds}}</td><td>{{.Detail}}</td></tr>
{{end}}</table></details>
{{end}}</body></html>
`))
