// Package logits holds the arithmetic on rows of logits that judges, samplers and tests share. A row is one position:
// a float32 for each token of the vocabulary, at least one. Sums are in float64.
package logits

import "math"

// Argmax returns the id with the largest logit, the lowest of equals. NaN is never larger.
func Argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

// LogSumExp returns the logarithm of the sum of e to each of x, in nats: what is to be subtracted from a logit to get
// the logarithm of its probability. It is NaN if one is NaN, and of rows whose largest is infinite.
func LogSumExp(x []float32) float64 {
	top := x[0]
	for _, v := range x {
		top = max(top, v) // NaN stays
	}
	m := float64(top)
	var s float64
	for _, v := range x {
		s += math.Exp(float64(v) - m)
	}
	return m + math.Log(s)
}

// KL returns the Kullback-Leibler divergence of softmax(got) from softmax(want) in nats, NaN if a logit is NaN, +Inf
// where got makes impossible what is possible. The rows are of the same length.
func KL(want, got []float32) float64 {
	return KLNormalized(want, got, LogSumExp(want), LogSumExp(got))
}

// KLNormalized is KL for rows whose LogSumExp is known. It sums p·(e^δ-1-δ) with δ = log q - log p, whose terms are
// never negative and cannot cancel: divergences far below the rounding of 1 stay exact.
func KLNormalized(want, got []float32, lseWant, lseGot float64) float64 {
	var kl float64
	for i, w := range want {
		logP, logQ := float64(w)-lseWant, float64(got[i])-lseGot
		p := math.Exp(logP)
		if p == 0 { // also where both logits are -Inf
			kl += math.Exp(logQ)
			continue
		}
		d := logQ - logP
		kl += p * (math.Expm1(d) - d)
	}
	return kl
}

// RelativeRMS returns the root mean square of got-want over that of want: infinity if the lengths differ, NaN if an
// element is NaN or all of want is zero.
func RelativeRMS(want, got []float32) float64 {
	if len(want) != len(got) {
		return math.Inf(1)
	}
	var d, s float64
	for i, w := range want {
		e := float64(got[i]) - float64(w)
		d, s = d+e*e, s+float64(w)*float64(w)
	}
	return math.Sqrt(d / s)
}
