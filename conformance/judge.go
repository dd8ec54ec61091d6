package conformance

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/tensor"
)

// judgement is the comparison of one result of a node.
type judgement struct {
	Metrics
	bound float64
	err   error
}

// judge applies the rule to one result: the squared error of got, against the oracle's want, is at most
// errorFactor times the reference's plus floor times the energy of want, or of as many elements of size magnitude
// if that is more. The floor is a mean; few elements may exceed it by chance (see spread). No single element may be
// off by more than twice the reference's largest error plus eight times the root of the floor's mean square, which
// for errors that are about normal is never reached.
func judge(want, ref, got []float64, floor, magnitude float64) judgement {
	var j judgement
	var sum, energy, refSum, refMax, peak float64
	worst := 0
	for i, w := range want {
		d := math.Abs(got[i] - w)
		sum += d * d
		if !(d <= j.MaxAbs) && !math.IsNaN(j.MaxAbs) {
			j.MaxAbs, worst = d, i
		}
		energy += w * w
		peak = math.Max(peak, math.Abs(w))
		e := math.Abs(ref[i] - w)
		refSum += e * e
		refMax = math.Max(refMax, e)
	}
	j.NMSE = NMSE(want, got)
	j.MaxULP = MaxULP(want, got)
	n := float64(len(want))
	scale := math.Max(energy, n*magnitude*magnitude)
	floor *= spread(len(want))
	limit := errorFactor*refSum + floor*scale
	j.bound = floor
	if energy > 0 {
		j.bound = limit / energy
	}
	peak = math.Max(peak, math.Sqrt(scale/math.Max(n, 1)))
	maxAbs := 2*refMax + 8*math.Sqrt(floor)*peak
	switch {
	case !(sum <= limit):
		j.err = fmt.Errorf("NMSE %.3g exceeds %.3g; element %d is %v, want %v", j.NMSE, j.bound, worst, at(got, worst),
			at(want, worst))
	case !(j.MaxAbs <= maxAbs):
		j.err = fmt.Errorf("element %d is %v, want %v: off by %.3g, allowed %.3g", worst, at(got, worst),
			at(want, worst), j.MaxAbs, maxAbs)
	}
	return j
}

// spread returns how many times its expectation the mean square of n normal errors stays below with probability
// 1-e^-10 (Laurent and Massart 2000, lemma 1).
func spread(n int) float64 {
	x := 10 / math.Max(float64(n), 1)
	return 1 + 2*math.Sqrt(x) + 2*x
}

func at(x []float64, i int) float64 {
	if i >= len(x) {
		return math.NaN()
	}
	return x[i]
}

// judgeInts demands equality.
func judgeInts(want, got []float64) judgement {
	j := judgement{Metrics: Metrics{MaxAbs: MaxAbs(want, got)}}
	for i := range want {
		if got[i] != want[i] {
			j.err = fmt.Errorf("element %d is %v, want %v", i, got[i], want[i])
			break
		}
	}
	return j
}

// owned returns the elements of a result that the run had to write: of a state, the rows that u lists.
func owned(x []float64, u use) []float64 {
	if u.write == nil {
		return x
	}
	var out []float64
	n := len(x) / len(u.write)
	for row, w := range u.write {
		if w {
			out = append(out, x[row*n:(row+1)*n]...)
		}
	}
	return out
}

// verdict judges all results of a run against reference and oracle. scaleFloor multiplies the floor, for runs that
// take several nodes.
func (s *suite) verdict(name string, in *input, runs *runs, got *outcome, scaleFloor float64) Result {
	r := Result{Verdict: Pass}
	n := runs.node
	floor := scaleFloor * deviceFloor(s.dev, n, in.floats)
	size := magnitude(n, in)
	for i := range n.Out {
		want, ref, x := runs.oracle.exact[i], runs.ref.exact[i], got.exact[i]
		f := floor
		var j judgement
		if n.Out[i].DType == tensor.I32 {
			j = judgeInts(want, x)
		} else {
			if k := n.Op.Storage(i); k >= 0 && !n.Op.View {
				u := in.uses[k]
				want, ref, x = owned(want, u), owned(ref, u), owned(x, u)
				f += storeFloor(n.Out[i].DType, 0)
			}
			j = judge(want, ref, x, math.Max(f, allowed(exceptions, name, s.dev.Info().Target)), size)
		}
		r.Metrics = worse(r.Metrics, j.Metrics)
		r.Bound = math.Max(r.Bound, j.bound)
		if j.err != nil && r.Verdict == Pass {
			r.Verdict, r.Detail = Fail, fmt.Sprintf("%v: result %d: %v", n, i, j.err)
		}
	}
	return r
}

// worse returns the worse of each metric; NaN is worse than all. The zero Metrics has measured nothing.
func worse(a, b Metrics) Metrics {
	if a == (Metrics{}) {
		return b
	}
	return Metrics{NMSE: math.Max(a.NMSE, b.NMSE), MaxAbs: math.Max(a.MaxAbs, b.MaxAbs),
		MaxULP: math.Max(a.MaxULP, b.MaxULP),
		KL:     math.Max(a.KL, b.KL), Top1: math.Min(a.Top1, b.Top1)}
}
