package spec

import (
	"math"
	"slices"
)

// How times follow what is measured.
const (
	ringSize    = 5 // samples of a size that count, the newest: of those the median
	firstFew    = 3 // of fewer samples the least counts
	recentSteps = 8 // steps that a sample is compared with
	fewestSteps = 3 // of those, so many at least must be of other sizes
	levelSteps  = 5 // steps that the level is the median of
	calmRate    = 1. / 128
)

// times are what something takes by its size, in a unit that is not theirs.
type times struct {
	sizes []size // ascending
}

// size is a size and what is known of it.
type size struct {
	n     int
	value float64
	ring  [ringSize]float64
	taken int // samples that were put into ring
	seen  int // samples in all
	round int // of the last
}

// find returns the index of size n, or where it would be.
func (t *times) find(n int) (int, bool) {
	return slices.BinarySearchFunc(t.sizes, n, func(s size, n int) int { return s.n - n })
}

// add takes a sample.
func (t *times) add(n int, x float64, round int) {
	i, ok := t.find(n)
	if !ok {
		t.sizes = slices.Insert(t.sizes, i, size{n: n})
	}
	s := &t.sizes[i]
	s.ring[s.taken%ringSize] = x
	s.taken++
	s.seen, s.round = s.seen+1, round
	if few := s.ring[:min(s.taken, ringSize)]; len(few) < firstFew {
		s.value = slices.Min(few)
	} else {
		s.value = median(few)
	}
}

// median returns the middle of some numbers: of an even number of them, the lower one.
func median(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x[(len(x)-1)/2]
}

// doubt returns by which share the value of size n may be wrong: the range of the samples that count of it, or of the
// nearest size, and less the more they are.
func (t *times) doubt(n int) float64 {
	if len(t.sizes) == 0 {
		return 0
	}
	i, ok := t.find(n)
	if !ok && (i == len(t.sizes) || i > 0 && n-t.sizes[i-1].n < t.sizes[i].n-n) {
		i--
	}
	s := &t.sizes[i]
	few := s.ring[:min(s.taken, ringSize)]
	return (slices.Max(few) - slices.Min(few)) / s.value / math.Sqrt(float64(len(few)))
}

// covers reports whether size n, or a larger one, was measured.
func (t *times) covers(n int) bool {
	return t != nil && len(t.sizes) > 0 && t.sizes[len(t.sizes)-1].n >= n
}

// bound returns what size n takes at most in reason, where a unit takes no more than the given time: what was measured
// once may be more, since something else may have made it slow.
func (t *times) bound(n int, unit float64) float64 {
	s, from := 0.0, 0 // of the largest size so far
	if t != nil {
		for _, x := range t.sizes {
			if x.n > n {
				break
			}
			if s += unit * float64(x.n-from); x.seen > 1 || x.value < s {
				s = x.value
			}
			from = x.n
		}
	}
	if s += unit * float64(n-from); t.covers(n) {
		s = min(s, t.at(n))
	}
	return s
}

// at returns what size n takes; 0 if nothing was measured. Between sizes it is a line. Beyond the largest each further
// unit is taken to cost as much as the first ones.
func (t *times) at(n int) float64 {
	if t == nil || len(t.sizes) == 0 {
		return 0
	}
	i, ok := t.find(n)
	switch {
	case ok:
		return t.sizes[i].value
	case i == 0:
		return t.sizes[0].value
	case i == len(t.sizes):
		first, last := t.sizes[0], t.sizes[i-1]
		return last.value + first.value*float64(n-last.n)/float64(max(1, first.n))
	}
	a, b := t.sizes[i-1], t.sizes[i]
	return a.value + (b.value-a.value)*float64(n-a.n)/float64(b.n-a.n)
}

// stepTimes are what steps of one number of sequences take by their tokens, as multiples of a level. The level follows
// what drives them all, such as the length of the sequences and what else the machine does, within a few steps; so a
// size is measured against the steps round it, and not against what was long ago.
type stepTimes struct {
	times
	recent []timing // the newest steps, the last one last
	level  float64  // seconds
	calm   float64  // the level over a long time
}

// timing is what a step of a size took.
type timing struct {
	n       int
	seconds float64
}

// sample takes one.
func (t *stepTimes) sample(n int, seconds float64, round int) {
	if !(seconds > 0) {
		return
	}
	var others []float64 // levels that steps of other sizes show
	for _, s := range t.recent {
		if s.n != n {
			others = append(others, s.seconds/t.at(s.n))
		}
	}
	i, known := t.find(n)
	switch {
	case len(t.sizes) == 0:
		t.add(n, 1, round)
	case known && len(others) < fewestSteps: // it shows the level alone
		t.sizes[i].seen, t.sizes[i].round = t.sizes[i].seen+1, round
	default:
		t.add(n, seconds/median(others), round)
	}
	if len(t.recent) == recentSteps {
		t.recent = slices.Delete(t.recent, 0, 1)
	}
	t.recent = append(t.recent, timing{n, seconds})
	var levels []float64
	for _, s := range t.recent[max(0, len(t.recent)-levelSteps):] {
		levels = append(levels, s.seconds/t.at(s.n))
	}
	t.level = median(levels)
	if t.calm == 0 {
		t.calm = t.level
	}
	t.calm *= math.Pow(t.level/t.calm, calmRate)
}

// seconds returns what a step of size n takes now; 0 if nothing was measured.
func (t *stepTimes) seconds(n int) float64 {
	if t == nil {
		return 0
	}
	return t.level * t.at(n)
}

// slower returns how many times as long as over a long time everything takes now.
func (t *stepTimes) slower() float64 {
	if t == nil || t.calm == 0 {
		return 1
	}
	return t.level / t.calm
}
