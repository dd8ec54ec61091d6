package engine

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
)

// row is what a token is drawn from: all logits, or those of highest rank where they suffice.
type row struct {
	logits []float32
	top    []sample.Logit // used if logits is nil
}

// clone returns a copy that outlives the step.
func (r row) clone() row { return row{slices.Clone(r.logits), slices.Clone(r.top)} }

// next draws a token of s.
func (r row) next(s *sample.Sampler) (int32, error) {
	if r.logits == nil {
		return s.NextTop(r.top)
	}
	return s.Next(r.logits)
}

// needs returns how many logits of highest rank suffice for all that draw from a step, or 0 if one needs all. Of a
// step without rows it is what the sequences will need, so that the step that ends their prompts finds its plan.
func needs(seqs []*Sequence, work []runner.Work) int {
	drawing := slices.ContainsFunc(work, func(w runner.Work) bool { return w.Rows > 0 })
	most := 0
	for i, s := range seqs {
		if drawing && work[i].Rows == 0 {
			continue
		}
		n := s.top
		if c := s.choices; c != nil && c.reader == s { // the others go on from its row
			for _, o := range c.rest {
				n = wider(n, o.top)
			}
		}
		if n == 0 {
			return 0
		}
		most = max(most, n)
	}
	return most
}

// wider returns the larger of two needs, of which 0 is the largest.
func wider(a, b int) int {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

// rows runs the work, each item of which has a row at most, and returns the rows, which are valid until the next call.
func (e *Engine) rows(seqs []*Sequence, work []runner.Work) ([]row, error) {
	e.rowBuf = slices.Grow(e.rowBuf[:0], len(work))[:len(work)]
	out, want := e.rowBuf, 0
	clear(out)
	if k := needs(seqs, work); k > 0 {
		top, err := e.runner.StepTop(e.ctx, work, k)
		if err != nil {
			return nil, err
		}
		for i := range min(len(top), len(out)) {
			out[i].top = top[i]
		}
		want = k
	} else {
		logits, err := e.runner.Step(e.ctx, work)
		if err != nil {
			return nil, err
		}
		for i := range min(len(logits), len(out)) {
			out[i].logits = logits[i]
		}
		want = e.limits.Vocab
	}
	for i, w := range work {
		if n := len(out[i].logits) + len(out[i].top); n != w.Rows*want {
			return nil, fmt.Errorf("it returned %d logits of sequence %d, %d expected", n, i, w.Rows*want)
		}
	}
	return out, nil
}
