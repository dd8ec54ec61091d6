package roofline

import (
	"fmt"
	"io"
	"regexp"
	"text/tabwriter"

	"github.com/hipengine/hipengine/ops_hip/limits"
)

// contexts are the lengths for which the speed of whole models is bounded.
var contexts = []int{0, 4096, 32768}

// modelLimits prints the bounds of whole models on g that follow from the sheet alone, whatever kernels do.
func modelLimits(out io.Writer, g limits.GPU, match *regexp.Regexp) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, m := range limits.Models {
		if !match.MatchString("model/" + m.Name) {
			continue
		}
		fmt.Fprintf(w, "%s\tmodel/%s\t%.2f GB/token", g.Name, m.Name, m.TokenBytes(0)/1e9)
		for _, n := range contexts {
			if m.Fits(g, n) {
				fmt.Fprintf(w, "\tdecode at %d ≤ %.1f token/s (%.1f achievable)", n, m.Decode(g, n),
					g.Efficiency*m.Decode(g, n))
			} else {
				fmt.Fprintf(w, "\tdecode at %d does not fit", n)
			}
		}
		if m.Fits(g, 0) {
			fmt.Fprintf(w, "\tprefill ≤ %.0f token/s\t[%s]\n", m.Prefill(g), limits.Label)
		} else {
			fmt.Fprintf(w, "\tprefill does not fit\t[%s]\n", limits.Label)
		}
	}
	return w.Flush()
}

// Of two cards, the prompt is read in steps of rankTokens, and matrix instructions reach reachedFlops of their rate, as
// the best products that are known do on the first card of the sheet.
const (
	rankTokens   = 512
	reachedFlops = 0.8
)

// rankLimits prints what two cards of g give of one that holds the model too, each with half of every matrix.
func rankLimits(out io.Writer, g limits.GPU, match *regexp.Regexp) error {
	if !g.Card {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, m := range limits.Models {
		if !match.MatchString("ranks/" + m.Name) {
			continue
		}
		two := g
		two.GiB *= 2
		if !m.Fits(two, contexts[1]) {
			fmt.Fprintf(w, "2x %s\tranks/%s\tdoes not fit\t[%s]\n", g.Name, m.Name, limits.Label)
			continue
		}
		decode, prefill := g.Efficiency*m.Decode(g, contexts[1]), reachedFlops*m.Prefill(g)
		of := "of one"
		if !m.Fits(g, contexts[1]) {
			of = "of one, were it large enough"
		}
		for _, l := range limits.Links {
			d, p := m.DecodeOnTwo(g, l, contexts[1]), m.PrefillOnTwo(g, l, rankTokens, reachedFlops)
			fmt.Fprintf(w, "2x %s\tranks/%s\t%s\tdecode at %d %.1f token/s (%.2fx %s)\tprefill %.0f token/s (%.2fx)\t"+
				"all-reduce of a token %.1f µs; %.0f %% of memory's and %.0f %% of matrix rate, nothing overlaps\t[%s]\n",
				g.Name, m.Name, l.Name, contexts[1], d, d/decode, of, p, p/prefill, 1e6*l.AllReduceSeconds(4*m.Embd),
				100*g.Efficiency, 100*reachedFlops, limits.Label)
			fmt.Fprintf(w, "2x %s\tranks/%s\t%s\twere half of a step's tokens added beside products of the other\tprefill "+
				"%.2fx, in 16 bits %.2fx\t\t[%s]\n", g.Name, m.Name, l.Name,
				m.PrefillOverlapped(g, l, rankTokens, reachedFlops, 4)/prefill,
				m.PrefillOverlapped(g, l, rankTokens, reachedFlops, 2)/prefill, limits.Label)
		}
	}
	return w.Flush()
}
