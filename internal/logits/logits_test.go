package logits_test

import (
	"math"
	"testing"

	"github.com/hipengine/hipengine/internal/logits"
)

var (
	nan   = math.NaN()
	inf   = math.Inf(1)
	nan32 = float32(nan)
	inf32 = float32(inf)
)

// near is equality within a tolerance, with NaN and infinities equal to themselves.
func near(a, b, tol float64) bool { return a == b || a != a && b != b || math.Abs(a-b) <= tol }

func TestArgmax(t *testing.T) {
	for _, c := range []struct {
		x    []float32
		want int32
	}{
		{[]float32{5}, 0}, {[]float32{1, 3, 2}, 1}, {[]float32{1, 3, 3}, 1}, {[]float32{-inf32, -inf32}, 0},
		{[]float32{1, nan32, 2}, 2},
	} {
		if got := logits.Argmax(c.x); got != c.want {
			t.Errorf("%v: %d, want %d", c.x, got, c.want)
		}
	}
}

func TestLogSumExp(t *testing.T) {
	for _, c := range []struct {
		x    []float32
		want float64
	}{
		{[]float32{7}, 7}, {[]float32{0, 0}, math.Ln2}, {[]float32{1000, 1000}, 1000 + math.Ln2},
		{[]float32{-3e38, 3e38}, float64(float32(3e38))},
		{[]float32{0, -inf32}, 0}, {[]float32{0, nan32}, nan}, {[]float32{nan32, 0}, nan},
		{[]float32{-inf32, -inf32}, nan}, {[]float32{inf32, 0}, nan},
	} {
		if got := logits.LogSumExp(c.x); !near(got, c.want, 1e-12) {
			t.Errorf("%v: %v, want %v", c.x, got, c.want)
		}
	}
}

func TestKL(t *testing.T) {
	ln := func(p float64) float32 { return float32(math.Log(p)) }
	for _, c := range []struct {
		name      string
		want, got []float32
		kl, tol   float64
	}{
		{"equal", []float32{1, 2, 3}, []float32{1, 2, 3}, 0, 0},
		{"shifted", []float32{1, 2, 3}, []float32{11, 12, 13}, 0, 1e-15},
		{"known", []float32{ln(0.5), ln(0.5)}, []float32{ln(0.75), ln(0.25)},
			0.5*math.Log(0.5/0.75) + 0.5*math.Log(0.5/0.25), 1e-7},
		// δ²/8 to first order, far below the rounding of 1
		{"tiny", []float32{0, 0}, []float32{0x1p-20, 0}, 0x1p-40 / 8, 0x1p-60},
		{"impossible both", []float32{0, -inf32}, []float32{0, -inf32}, 0, 0},
		{"NaN in got", []float32{0, 0}, []float32{0, nan32}, nan, 0},
		{"NaN where impossible", []float32{0, -inf32}, []float32{0, nan32}, nan, 0},
		{"NaN in want", []float32{0, nan32}, []float32{0, 0}, nan, 0},
		{"possible made impossible", []float32{0, 0}, []float32{0, -inf32}, inf, 0},
		{"impossible made possible", []float32{0, -inf32}, []float32{0, 0}, math.Ln2, 1e-15},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := logits.KL(c.want, c.got); !near(got, c.kl, c.tol) {
				t.Errorf("got %v, want %v", got, c.kl)
			}
		})
	}
}

func TestRelativeRMS(t *testing.T) {
	for _, c := range []struct {
		want, got []float32
		rms       float64
	}{
		{[]float32{3, 4}, []float32{3, 4}, 0}, {[]float32{3, 4}, []float32{3, 9}, 1},
		{[]float32{1}, []float32{1, 1}, inf},
		{[]float32{0}, []float32{1}, inf}, {[]float32{1}, []float32{nan32}, nan}, {[]float32{0}, []float32{0}, nan},
	} {
		if got := logits.RelativeRMS(c.want, c.got); !near(got, c.rms, 1e-12) {
			t.Errorf("%v, %v: %v, want %v", c.want, c.got, got, c.rms)
		}
	}
}

// TestChiSquare compares bounds with quantiles, of which they may be somewhat above for few degrees of freedom, and
// statistics with sums by hand.
func TestChiSquare(t *testing.T) {
	for df, want := range map[int]float64{1: 23.93, 5: 35.89, 20: 65.42, 100: 182.13} {
		if got := logits.ChiSquareBound(df); !(got >= want && got <= 1.15*want) {
			t.Errorf("%d degrees of freedom: at most %v, want %v", df, got, want)
		}
	}
	for _, c := range []struct {
		counts []int
		prob   []float64
		stat   float64
		df     int
	}{
		{[]int{60, 40}, []float64{0.5, 0.5}, 4, 1},
		{[]int{50, 50, 0}, []float64{0.5, 0.5, 0}, 0, 1},
		{[]int{50, 49, 1}, []float64{0.5, 0.5, 0}, inf, 1},
		{[]int{90, 6, 4}, []float64{0.92, 0.04, 0.04}, 4.0/92 + 4.0/8, 1}, // the last two are one
	} {
		if stat, df := logits.ChiSquare(c.counts, c.prob); !near(stat, c.stat, 1e-12) || df != c.df {
			t.Errorf("%v of %v: %v with %d degrees of freedom, want %v with %d", c.counts, c.prob, stat, df, c.stat, c.df)
		}
	}
}
