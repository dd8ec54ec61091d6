package main

import (
	"fmt"
	"html/template"
	"io"
	"math"

	"github.com/hipengine/hipengine/models/eval"
)

// The plot of a comparison: a histogram of divergences by powers of ten.
const (
	klLow, klHigh  = -8, 2 // decades of nats
	klPerDecade    = 5
	klWidth        = 700.0
	klHeight       = 160.0
	klBars         = (klHigh - klLow) * klPerDecade
	klBar          = klWidth / klBars
	klDecade       = klBar * klPerDecade
	klLabelPadding = 14.0
)

// klColumn is one bar of the histogram.
type klColumn struct{ X, Y, W, H float64 }

// klHistogram counts divergences; those outside of the decades join the first and the last bar.
func klHistogram(c *eval.Comparison) []klColumn {
	var n [klBars]int
	most := 1
	for _, t := range c.Tokens {
		i := 0
		if x := math.Log10(t.KL); x > klLow {
			i = min(int((x-klLow)*klPerDecade), klBars-1)
		}
		n[i]++
		most = max(most, n[i])
	}
	bars := make([]klColumn, klBars)
	for i, k := range n {
		h := klHeight * float64(k) / float64(most)
		bars[i] = klColumn{X: float64(i) * klBar, Y: klHeight - h, W: klBar - 1, H: h}
	}
	return bars
}

// klTick is a label of the axis.
type klTick struct {
	X    float64
	Text string
}

// writeHTML writes the report as one file that needs no other.
func (r *klReport) writeHTML(w io.Writer, c *eval.Comparison) error {
	var ticks []klTick
	for d := klLow; d < klHigh; d++ {
		ticks = append(ticks, klTick{float64(d-klLow) * klDecade, fmt.Sprintf("1e%d", d)})
	}
	return klPage.Execute(w, map[string]any{"R": r, "Bars": klHistogram(c), "Ticks": ticks, "Width": klWidth,
		"Height": klHeight, "Full": klHeight + klLabelPadding})
}

var klPage = template.Must(template.New("kl").Funcs(template.FuncMap{
	"g":       func(x float64) string { return fmt.Sprintf("%.4g", x) },
	"percent": func(x float64) string { return fmt.Sprintf("%.3f %%", 100*x) },
	"quote":   func(s string) string { return fmt.Sprintf("%q", s) },
}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.R.Model.Model}} against {{.R.Base.Model}}</title>
<style>
body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse}td,th{padding:.15em .8em;text-align:left;vertical-align:top;border-top:1px solid #ddd}
td.n{text-align:right;font-variant-numeric:tabular-nums}rect{fill:#27a}text{font-size:10px;fill:#555}svg{background:#f6f6f6}
</style></head><body>
<h1>{{.R.Model.Model}} against {{.R.Base.Model}}</h1>
<table>
<tr><td>tokens</td><td class="n">{{.R.Base.Tokens}}</td></tr>
<tr><td>perplexity of {{.R.Base.Model}}</td><td class="n">{{g .R.Base.Perplexity}}</td></tr>
<tr><td>perplexity of {{.R.Model.Model}}</td><td class="n">{{g .R.Model.Perplexity}}</td></tr>
<tr><td>mean KL, nats</td><td class="n">{{g .R.KL}} ± {{g .R.KLErr}}</td></tr>
{{range .R.Quantiles}}<tr><td>{{percent .Share}} of KL are at most</td><td class="n">{{g .KL}}</td></tr>
{{end}}<tr><td>same top token</td><td class="n">{{percent .R.Top1}}</td></tr>
<tr><td>mean Δp, RMS</td><td class="n">{{percent .R.DeltaP}}, {{percent .R.RMSDeltaP}}</td></tr>
</table>
<h2>Divergences</h2>
<p>Tokens by their KL in nats, from 1e-8 or less on the left to 100 on the right.</p>
<svg width="{{.Width}}" height="{{.Full}}" role="img" aria-label="histogram of divergences">
{{range .Bars}}{{if .H}}<rect x="{{.X}}" y="{{.Y}}" width="{{.W}}" height="{{.H}}"/>{{end}}{{end}}
{{range .Ticks}}<text x="{{.X}}" y="{{$.Full}}">{{.Text}}</text>{{end}}</svg>
{{with .R.Worst}}<h2>Worst tokens</h2>
<table><tr><th>KL</th><th>token</th><th>p base</th><th>p model</th><th>top of base</th><th>top of model</th><th>after</th></tr>
{{range .}}<tr><td class="n">{{g .KL}}</td><td>{{quote .Token}}</td><td class="n">{{g .PBase}}</td><td class="n">{{g .PModel}}</td><td>{{quote .TopBase}}</td><td>{{quote .TopModel}}</td><td>{{quote .Context}}</td></tr>
{{end}}</table>{{end}}
</body></html>
`))
