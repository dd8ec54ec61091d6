package conformance

import (
	"math"
	"testing"
)

// TestJudge states the rule by example, on a reference that is off by 1e-4.
func TestJudge(t *testing.T) {
	want := []float64{1, -1, 2, 0}
	shift := func(d float64) []float64 {
		x := make([]float64, len(want))
		for i, w := range want {
			x[i] = w + d
		}
		return x
	}
	one := func(i int, v float64) []float64 {
		x := shift(0)
		x[i] = v
		return x
	}
	for _, c := range []struct {
		name             string
		got              []float64
		floor, magnitude float64
		ok               bool
	}{
		{"as good as the reference", shift(1e-4), 0, 0, true},
		{"twice as far", shift(1.99e-4), 0, 0, true},
		{"farther", shift(2.1e-4), 0, 0, false},
		{"farther within the floor", shift(1e-3), 1e-6, 0, true},
		{"beyond the floor", shift(1e-3), 1e-8, 0, false},
		{"judged against the terms", shift(1e-3), 1e-8, 100, true},
		{"one element", one(3, 0.01), 1e-6, 0, false},
		{"NaN", one(0, math.NaN()), 1, 1, false},
		{"last NaN", one(3, math.NaN()), 1, 1, false},
		{"infinity", one(1, math.Inf(-1)), 1, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judge(want, shift(1e-4), c.got, c.floor, c.magnitude)
			if (j.err == nil) != c.ok {
				t.Errorf("verdict %v (bound %g, %+v)", j.err, j.bound, j.Metrics)
			}
		})
	}
	zero := make([]float64, 4)
	if j := judge(zero, zero, zero, 0, 0); j.err != nil {
		t.Errorf("zeros against zeros: %v", j.err)
	}
	if j := judge(zero, zero, one(0, 1e-30), 1e-6, 0); j.err == nil {
		t.Error("a number passed for zero")
	}
	if j := judge(nil, nil, nil, 0, 0); j.err != nil {
		t.Errorf("empty: %v", j.err)
	}
}
