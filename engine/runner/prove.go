package runner

import "fmt"

// Prove compiles the largest prefill and the decoding of all sequences at a full context, which allocates the memory
// that steps share: after it, no step needs more than there is. It changes no sequence. The error wraps
// ops.ErrOutOfMemory if the device has too little.
func (r *Runner) Prove() error {
	if r.closed {
		return ErrClosed
	}
	o := Options{Context: r.limits.Context, Seqs: r.limits.Seqs, Batch: r.limits.Batch, Rewind: r.rewind,
		RewindTokens: r.rewinds, kept: r.kept}
	for _, k := range largestPlans(o, r.buckets, r.limits.Top, r.drafts) {
		if _, err := r.plan(k); err != nil {
			return fmt.Errorf("runner: the largest step: %w", err)
		}
	}
	return nil
}
