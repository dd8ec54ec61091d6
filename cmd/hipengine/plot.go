package main

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// plot is a picture of values over a row of named places, as SVG that takes its colors from the page: the classes s0,
// s1 and so on are those of the series.
type plot struct {
	title  string
	x, y   string // what the axes are
	places []string
	series []plotSeries
	bars   bool // stacked bars in place of lines
	log    bool // a logarithmic axis of values
}

// plotSeries is a row of values. NaN is none, and so is a value that is not positive on a logarithmic axis.
type plotSeries struct {
	name   string
	values []float64
}

// The measures of a plot, in units of the picture.
const (
	plotWidth, plotHeight = 640.0, 260.0
	plotLeft, plotRight   = 64.0, 12.0
	plotTop, plotBottom   = 30.0, 40.0
	plotInner             = plotWidth - plotLeft - plotRight
	plotDeep              = plotHeight - plotTop - plotBottom
)

// at returns where the middle of a place is.
func (p *plot) at(i int) float64 {
	return plotLeft + plotInner*(float64(i)+.5)/float64(len(p.places))
}

// has reports whether a value can be shown.
func (p *plot) has(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && v >= 0 && (v > 0 || !p.log)
}

// scale returns the ticks of the axis of values and where a value is.
func (p *plot) scale() (ticks []float64, y func(float64) float64) {
	low, high := math.Inf(1), 0.0
	sums := make([]float64, len(p.places))
	for _, s := range p.series {
		for i, v := range s.values {
			if !p.has(v) {
				continue
			}
			low, high = min(low, v), max(high, v)
			if sums[i] += v; p.bars {
				high = max(high, sums[i])
			}
		}
	}
	if high == 0 {
		low, high = .1, 1
	}
	if p.log {
		for decade := math.Floor(math.Log10(low)) - 1; decade <= math.Log10(high)+1; decade++ {
			for _, m := range []float64{1, 2, 5} {
				ticks = append(ticks, m*math.Pow(10, decade))
			}
		}
		for len(ticks) > 2 && ticks[1] <= low {
			ticks = ticks[1:]
		}
		for len(ticks) > 2 && ticks[len(ticks)-2] >= high {
			ticks = ticks[:len(ticks)-1]
		}
		bottom, top := math.Log(ticks[0]), math.Log(ticks[len(ticks)-1])
		for len(ticks) > 9 { // room for labels
			for i := len(ticks) - 2; i > 0; i -= 2 {
				ticks = append(ticks[:i], ticks[i+1:]...)
			}
		}
		return ticks, func(v float64) float64 { return plotTop + plotDeep*(top-math.Log(v))/(top-bottom) }
	}
	step := math.Pow(10, math.Floor(math.Log10(high/4)))
	for _, m := range []float64{1, 2, 5, 10} {
		if high/(m*step) <= 5 {
			step *= m
			break
		}
	}
	n := math.Ceil(high/step - 1e-9)
	for i := range int(n) + 1 {
		ticks = append(ticks, float64(i)*step)
	}
	return ticks, func(v float64) float64 { return plotTop + plotDeep*(1-v/(n*step)) }
}

// number formats a value for people.
func number(v float64) string {
	switch {
	case v >= 10_000:
		return strconv.FormatFloat(v/1000, 'f', -1, 64) + "k"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// svg returns the picture.
func (p *plot) svg() template.HTML {
	var b strings.Builder
	text := func(x, y float64, class, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, template.HTMLEscapeString(s))
	}
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`+"\n", plotWidth, plotHeight,
		template.HTMLEscapeString(p.title))
	ticks, y := p.scale()
	for _, t := range ticks {
		fmt.Fprintf(&b, `<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" class="grid"/>`+"\n", plotLeft, plotWidth-plotRight,
			y(t), y(t))
		text(plotLeft-6, y(t)+3.5, "end", number(t))
	}
	skip := 1 + (len(p.places)-1)/24
	for i, name := range p.places {
		if i%skip == 0 {
			text(p.at(i), plotHeight-plotBottom+16, "mid", name)
		}
	}
	text(plotLeft+plotInner/2, plotHeight-6, "mid axis", p.x)
	text(4, 14, "axis", p.y)
	if p.bars {
		p.drawBars(&b, y)
	} else {
		p.drawLines(&b, y)
	}
	if len(p.series) > 1 {
		p.legend(&b, text)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

func (p *plot) drawBars(b *strings.Builder, y func(float64) float64) {
	width := min(plotInner/float64(len(p.places))*.7, 60)
	base := make([]float64, len(p.places))
	for k, s := range p.series {
		for i, v := range s.values {
			if !p.has(v) || v == 0 {
				continue
			}
			top, bottom := y(base[i]+v), y(base[i])
			base[i] += v
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="s%d"><title>%s, %s: %s</title></rect>`+"\n",
				p.at(i)-width/2, top, width, bottom-top, k, template.HTMLEscapeString(p.places[i]),
				template.HTMLEscapeString(s.name), number(v))
		}
	}
	if len(p.series) == 1 && len(p.places) <= 12 {
		for i, v := range base {
			if v > 0 {
				fmt.Fprintf(b, `<text x="%.1f" y="%.1f" class="mid">%s</text>`+"\n", p.at(i), y(v)-4, number(v))
			}
		}
	}
}

func (p *plot) drawLines(b *strings.Builder, y func(float64) float64) {
	for k, s := range p.series {
		var points []string
		for i, v := range s.values {
			if p.has(v) {
				points = append(points, fmt.Sprintf("%.1f,%.1f", p.at(i), y(v)))
			}
		}
		fmt.Fprintf(b, `<polyline points="%s" class="s%d"/>`+"\n", strings.Join(points, " "), k)
		for i, v := range s.values {
			if p.has(v) {
				fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3.5" class="s%d"><title>%s, %s: %s</title></circle>`+
					"\n",
					p.at(i), y(v), k, template.HTMLEscapeString(p.places[i]), template.HTMLEscapeString(s.name),
					number(v))
			}
		}
	}
}

// legend names the series, above the picture and to its right.
func (p *plot) legend(b *strings.Builder, text func(x, y float64, class, s string)) {
	width := func(s plotSeries) float64 { return 6.2*float64(len(s.name)) + 26 } // at most, as letters go
	x := plotWidth - plotRight
	for _, s := range p.series {
		x -= width(s)
	}
	for k, s := range p.series {
		fmt.Fprintf(b, `<rect x="%.1f" y="5" width="10" height="10" class="s%d"/>`+"\n", x, k)
		text(x+14, 14, "", s.name)
		x += width(s)
	}
}
