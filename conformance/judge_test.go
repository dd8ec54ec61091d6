package conformance

import (
	"math"
	"regexp"
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

// TestExceptions keeps the table honest, and checks how it is read.
func TestExceptions(t *testing.T) {
	for _, e := range Exceptions() {
		if e.Reason == "" || !(e.Measured > 0) || e.NMSE > 4*e.Measured {
			t.Errorf("%v on %v: an exception needs a reason and a bound of at most four times what was measured: %+v",
				e.Check, e.Target, e)
		}
	}
	es := []Exception{
		{Check: regexp.MustCompile("^Ops/mul_mat/"), Target: regexp.MustCompile("^gfx"), NMSE: 1e-5},
		{Check: regexp.MustCompile("/Q8_0/"), Target: regexp.MustCompile(""), NMSE: 1e-6},
	}
	for _, c := range []struct {
		check, target string
		nmse          float64
	}{
		{"Ops/mul_mat/Q8_0/m1n1k32", "gfx1100", 1e-5},
		{"Ops/mul_mat/Q8_0/m1n1k32", "amd64", 1e-6},
		{"Ops/mul_mat/F16/m1n1k1", "amd64", 0},
		{"Ops/rope/x", "gfx1100", 0},
	} {
		if got := allowed(es, c.check, c.target); got != c.nmse {
			t.Errorf("%s on %s: %g, want %g", c.check, c.target, got, c.nmse)
		}
	}
}

// TestSpread checks that a few errors by chance stay within their bound as often as it says: chi-squared numbers
// exceed it with a probability below e^-10.
func TestSpread(t *testing.T) {
	r := newRand(0, "spread")
	for _, n := range []int{1, 3, 30} {
		over := 0
		for range 100000 {
			var s float64
			for range n {
				x := r.NormFloat64()
				s += x * x
			}
			if s > float64(n)*spread(n) {
				over++
			}
		}
		if over > 20 { // 4.5 are expected at most
			t.Errorf("%d of 100000 sums of %d squares exceed %g times their mean", over, n, spread(n))
		}
	}
	if s := spread(1e6); s > 1.01 {
		t.Errorf("many errors may exceed their mean square by %g", s)
	}
}
