package conformance

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/internal/logits"
)

// NMSE returns Σ(got-want)² / Σwant², computed in float64. Two vectors of zeros give 0; any difference from a zero
// reference gives +Inf; NaN or an infinity in got, where want has none, gives NaN or +Inf.
func NMSE(want, got []float64) float64 {
	var e, s float64
	for i, w := range want {
		d := got[i] - w
		e += d * d
		s += w * w
	}
	switch {
	case e == 0:
		return 0
	case s == 0 && !math.IsNaN(e):
		return math.Inf(1)
	}
	return e / s
}

// MaxAbs returns the largest |got-want|, NaN if any difference is NaN.
func MaxAbs(want, got []float64) float64 {
	var m float64
	for i, w := range want {
		m = math.Max(m, math.Abs(got[i]-w)) // Max propagates NaN
	}
	return m
}

// Logits is how far one distribution over the vocabulary is from another.
type Logits struct {
	MeanKL, WorstKL float64 // nats, over positions
	WorstAt         int     // position of WorstKL
	Top1            float64 // share of positions with the same most likely token
	Positions       int
}

// String formats l for a report.
func (l Logits) String() string {
	return fmt.Sprintf("mean KL %.3g, worst KL %.3g at position %d, top-1 %.2f %% of %d", l.MeanKL, l.WorstKL,
		l.WorstAt, 100*l.Top1, l.Positions)
}

// CompareLogits compares rows of vocab logits position by position: KL(softmax(want) || softmax(got)) in float64,
// and whether the most likely token is the same (the lower id wins a tie). NaN in either makes the KL values NaN.
func CompareLogits(want, got []float32, vocab int) (Logits, error) {
	if len(want) != len(got) || vocab <= 0 || len(want) == 0 || len(want)%vocab != 0 {
		return Logits{}, fmt.Errorf("conformance: %d and %d logits in rows of %d", len(want), len(got), vocab)
	}
	l := Logits{Positions: len(want) / vocab}
	for i := range l.Positions {
		w, g := want[i*vocab:(i+1)*vocab], got[i*vocab:(i+1)*vocab]
		kl := logits.KL(w, g)
		l.MeanKL += kl / float64(l.Positions)
		if !(kl <= l.WorstKL) {
			if !math.IsNaN(l.WorstKL) {
				l.WorstKL, l.WorstAt = kl, i
			}
		}
		if logits.Argmax(w) == logits.Argmax(g) {
			l.Top1 += 1 / float64(l.Positions)
		}
	}
	return l, nil
}

// MaxULP returns the largest distance between the elements of want and got, both rounded to float32, in units in the
// last place: how many float32 numbers lie between them, plus one. Zeros of either sign are the same number; NaN
// against a number gives NaN; equal infinities and NaN against NaN are 0 apart.
func MaxULP(want, got []float64) float64 {
	var m float64
	for i, w := range want {
		m = math.Max(m, ulps(float32(w), float32(got[i])))
	}
	return m
}

func ulps(a, b float32) float64 {
	if a != a || b != b {
		if a != a && b != b {
			return 0
		}
		return math.NaN()
	}
	return math.Abs(float64(ordinal(a)) - float64(ordinal(b)))
}

// ordinal numbers the float32 values in rising order; both zeros are 0.
func ordinal(x float32) int64 {
	b := int64(math.Float32bits(x))
	if b >= 1<<31 {
		return 1<<31 - b
	}
	return b
}
