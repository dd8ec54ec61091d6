package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
)

// row is what a token is drawn from: all logits, or those of highest rank where they suffice.
type row struct {
	logits []float32
	top    []sample.Logit // used if logits is nil

	engine *Engine // that fetches all logits until the next step, where the top may not suffice; nil if none can
	at     int     // place among the rows of the step
}

// all fetches all logits.
func (r row) all() ([]float32, error) { return r.engine.runner.Logits(r.engine.ctx, r.at) }

// clone returns a copy that outlives the step.
func (r row) clone() (row, error) {
	if r.engine != nil {
		all, err := r.all()
		return row{logits: slices.Clone(all)}, err
	}
	return row{logits: slices.Clone(r.logits), top: slices.Clone(r.top)}, nil
}

// behind returns the i-th of n rows that lie one behind the other.
func (r row) behind(i, n int) row {
	part := func(length int) (lo, hi int) { return i * length / n, (i + 1) * length / n }
	if r.logits != nil {
		lo, hi := part(len(r.logits))
		r.logits = r.logits[lo:hi:hi]
	} else {
		lo, hi := part(len(r.top))
		r.top = r.top[lo:hi:hi]
	}
	r.at += i
	return r
}

// next draws a token of s.
func (r row) next(s *sample.Sampler) (int32, error) {
	if r.logits != nil {
		return s.Next(r.logits)
	}
	id, err := s.NextTop(r.top)
	if !errors.Is(err, sample.ErrFewAllowed) || r.engine == nil {
		return id, err
	}
	all, err := r.all()
	if err != nil {
		return 0, err
	}
	return s.Next(all)
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

// rows runs the work and returns what each item of it has: no row, one, or those of a piece of a prompt one behind the
// other. They are valid until the next call.
func (e *Engine) rows(seqs []*Sequence, work []runner.Work) ([]row, error) {
	e.rowBuf = slices.Grow(e.rowBuf[:0], len(work))[:len(work)]
	out, want := e.rowBuf, 0
	clear(out)
	if k := needs(seqs, work); k > 0 {
		top, err := e.runner.StepTop(e.ctx, work, k)
		if err != nil {
			return nil, err
		}
		at := 0
		for i := range min(len(top), len(out)) {
			if out[i].top = top[i]; k > 1 {
				out[i].engine, out[i].at = e, at
			}
			at += work[i].Rows
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
