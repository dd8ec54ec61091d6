package logits

import "math"

// ChiSquare returns the statistic of counts of draws against the probabilities of what is drawn, and its degrees of
// freedom. What is expected less than 5 times is pooled, as the approximation demands; a draw of probability 0 gives
// +Inf.
func ChiSquare(counts []int, prob []float64) (stat float64, df int) {
	n := 0
	for _, c := range counts {
		n += c
	}
	var pooled, pooledWant float64
	add := func(got, want float64) {
		stat += (got - want) * (got - want) / want
		df++
	}
	for i, p := range prob {
		switch want := p * float64(n); {
		case p == 0 && counts[i] > 0:
			return math.Inf(1), 1
		case want < 5:
			pooled += float64(counts[i])
			pooledWant += want
		default:
			add(float64(counts[i]), want)
		}
	}
	if pooledWant > 0 {
		add(pooled, max(pooledWant, 1e-9))
	}
	return stat, df - 1
}

// ChiSquareBound returns what a chi-square variable with df degrees of freedom exceeds with a probability of about
// 1e-6: the cube approximation of Wilson and Hilferty, where 4.753 is that quantile of the normal distribution.
func ChiSquareBound(df int) float64 {
	if df <= 0 {
		return 1e-6
	}
	v := 2 / (9 * float64(df))
	return float64(df) * math.Pow(1-v+4.753*math.Sqrt(v), 3)
}
