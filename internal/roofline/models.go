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
