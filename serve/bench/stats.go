package bench

import (
	"math"
	"slices"
	"time"
)

// Times are statistics of a set of durations, in seconds. Of an empty set, all are 0.
type Times struct {
	Count int     `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// times sorts d and describes it.
func times(d []time.Duration) Times {
	if len(d) == 0 {
		return Times{}
	}
	slices.Sort(d)
	var sum time.Duration
	for _, x := range d {
		sum += x
	}
	return Times{Count: len(d), Mean: sum.Seconds() / float64(len(d)), P50: quantile(d, .5), P90: quantile(d, .9),
		P99: quantile(d, .99), Max: d[len(d)-1].Seconds()}
}

// quantile returns the smallest of the sorted durations that a share q of them does not exceed.
func quantile(sorted []time.Duration, q float64) float64 {
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[max(i, 0)].Seconds()
}

// median returns the middle of a set of numbers, or 0 of none.
func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}
