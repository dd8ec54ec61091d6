package main

import (
	"fmt"
	"html/template"
	"strings"
)

// plotColors are those of series, on light pages and on dark ones. More series than colors begin anew.
var plotColors = [][2]string{{"#0072b2", "#5ab4e8"}, {"#d55e00", "#f08a4b"}, {"#2a9d6f", "#5fcf9e"}, {"#8a6fb0",
	"#b79be0"},
	{"#b08900", "#e0c050"}, {"#c2417a", "#f08ab8"}}

// svgFile returns plots below each other, as a file that needs no page around it.
func svgFile(title string, plots []*plot) string {
	const head, between = 34.0, 26.0
	var b strings.Builder
	height := head + float64(len(plots))*(plotHeight+between)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g">`+"\n",
		plotWidth, height,
		plotWidth, height)
	b.WriteString("<style>\ntext{font:11px system-ui,sans-serif;fill:#222}.title{font-weight:600;font-size:13px}.axis{fill:#666}" +
		".mid{text-anchor:middle}.end{text-anchor:end}.grid{stroke:#d8dadd;stroke-width:1}.page{fill:#fff}" +
		"polyline{fill:none;stroke-width:2;stroke-linejoin:round}\n")
	series := 0
	for _, p := range plots {
		series = max(series, len(p.series))
	}
	for dark := range 2 {
		if dark == 1 {
			b.WriteString("@media(prefers-color-scheme:dark){text{fill:#e4e6e8}.axis{fill:#9aa0a6}.grid{stroke:#383c42}.page{fill:#15171a}\n")
		}
		for k := range series {
			color := plotColors[k%len(plotColors)][dark]
			fmt.Fprintf(&b, "rect.s%d,circle.s%d{fill:%s}polyline.s%d{stroke:%s}\n", k, k, color, k, color)
		}
	}
	b.WriteString("}</style>\n")
	fmt.Fprintf(&b, `<rect class="page" width="100%%" height="100%%"/><text x="4" y="20" class="title">%s</text>`+"\n",
		template.HTMLEscapeString(title))
	for i, p := range plots {
		top := head + float64(i)*(plotHeight+between)
		fmt.Fprintf(&b, `<text x="4" y="%g" class="title">%s</text>`+"\n", top+12, template.HTMLEscapeString(p.title))
		fmt.Fprintf(&b, `<svg y="%g" width="%g" height="%g"%s`+"\n", top+between-6, plotWidth, plotHeight,
			strings.TrimPrefix(string(p.svg()), "<svg"))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
