package spec

import (
	"math"
	"slices"
	"time"
)

// How fast times follow what is measured.
const (
	levelRate = 0.25
	ratioRate = 0.3
	firstFew  = 3   // samples of a size of which the least counts: the first ones may include preparing it
	outlier   = 1.5 // a sample counts as at most so many times what was expected, or so small a part of it
)

// times are what steps of one number of sequences take, by their size. All times are multiples of a level, which
// follows what drives them all, such as the length of the sequences.
type times struct {
	level float64 // seconds
	sizes []size  // ascending
	last  int     // size of the last sample
}

// size is a size and what is known of it.
type size struct {
	n     int
	ratio float64
	seen  int
	round int // of the last sample
}

// find returns the index of size n, or where it would be.
func (t *times) find(n int) (int, bool) {
	return slices.BinarySearchFunc(t.sizes, n, func(s size, n int) int { return s.n - n })
}

// add takes a sample.
func (t *times) add(n int, took time.Duration, round int) {
	x := took.Seconds()
	if !(x > 0) {
		return
	}
	if t.level == 0 {
		t.level = x
	}
	i, ok := t.find(n)
	if !ok {
		t.sizes = slices.Insert(t.sizes, i, size{n: n, ratio: x / t.level})
	}
	s := &t.sizes[i]
	ratio := x / t.level
	switch {
	case s.seen < firstFew:
		s.ratio = min(s.ratio, ratio)
	case t.last == n:
		t.level *= math.Pow(bounded(ratio/s.ratio), levelRate)
	default:
		s.ratio *= math.Pow(bounded(ratio/s.ratio), ratioRate)
	}
	s.seen++
	s.round, t.last = round, n
}

func bounded(x float64) float64 { return min(max(x, 1/outlier), outlier) }

// covers reports whether a step of size n, or a larger one, was measured.
func (t *times) covers(n int) bool {
	return t != nil && len(t.sizes) > 0 && t.sizes[len(t.sizes)-1].n >= n
}

// proven reports whether a step of size n was measured often enough not to be the one that prepared it.
func (t *times) proven(n int) bool {
	if t == nil {
		return false
	}
	i, ok := t.find(n)
	return ok && t.sizes[i].seen > 1
}

// bound returns the seconds that a step of size n takes at most in reason: each unit beyond the largest size that is
// proven takes so many seconds. It is as long as what was measured, or less.
func (t *times) bound(n int, unit float64) float64 {
	if t.proven(n) {
		return t.at(n)
	}
	s, from := 0.0, 0
	if t != nil {
		for _, x := range t.sizes {
			if x.n < n && x.seen > 1 {
				s, from = t.level*x.ratio, x.n
			}
		}
	}
	if s += unit * float64(n-from); t.covers(n) {
		s = min(s, t.at(n))
	}
	return s
}

// at returns the seconds of a step of size n; 0 if nothing was measured. Between sizes it is a line. Beyond the
// largest each further unit is taken to cost as much as the first ones.
func (t *times) at(n int) float64 {
	if t == nil || len(t.sizes) == 0 {
		return 0
	}
	i, ok := t.find(n)
	switch {
	case ok:
		return t.level * t.sizes[i].ratio
	case i == 0:
		return t.level * t.sizes[0].ratio
	case i == len(t.sizes):
		first, last := t.sizes[0], t.sizes[i-1]
		return t.level * (last.ratio + first.ratio*float64(n-last.n)/float64(max(1, first.n)))
	}
	a, b := t.sizes[i-1], t.sizes[i]
	return t.level * (a.ratio + (b.ratio-a.ratio)*float64(n-a.n)/float64(b.n-a.n))
}
