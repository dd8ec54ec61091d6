package roofline

import (
	"fmt"

	"github.com/hipengine/hipengine/ops_hip/limits"
)

// describe says what each resource of g needs for w, and what binds.
func describe(w limits.Work, g limits.GPU) string {
	b := w.Bound(g, true)
	issue := fmt.Sprintf("issue %.2f µs", 1e6*b.Issue)
	if w.WMMA > 0 {
		if shared := w.Bound(g, false); shared.Issue > b.Issue {
			issue += fmt.Sprintf(" (%.2f if matrix and vector instructions share the unit)", 1e6*shared.Issue)
		}
		issue += fmt.Sprintf(", %.0f %% of vector clocks in wmma", 100*w.MatrixShare(g))
	}
	return fmt.Sprintf("memory %.2f µs (achievable %.2f)\t%s\tl0 %.2f µs\tlds %.2f µs\tlatency %.2f µs (%.1f trips a wave, %.4g waves a SIMD)\t%s binds",
		1e6*b.Memory, 1e6*b.Memory/g.Efficiency, issue, 1e6*b.L0, 1e6*b.LDS, 1e6*b.Latency, w.Trips/max(1, w.Waves),
		w.Block.SIMDWaves(g.Target), b.Binding())
}
