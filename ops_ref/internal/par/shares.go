package par

import "sync/atomic"

// Shares hands out the ranges of a loop that reads long runs of memory: each worker takes the ranges of its own share,
// one after the other, and when it has done them helps with those of others. Which worker takes which range is left
// to chance, as with a Counter.
type Shares []share

// share counts the ranges taken of one worker's part of the loop.
type share struct {
	taken atomic.Int64
	_     [56]byte // shares do not share cache lines
}

// NewShares returns the shares of a loop for the given number of workers.
func NewShares(workers int) Shares { return make(Shares, max(1, workers)) }

// Reset makes s start over. No worker may be using it.
func (s Shares) Reset() {
	for i := range s {
		s[i].taken.Store(0)
	}
}

// Take returns the next range for w of at most grain indexes below n, and whether there was one. All workers must pass
// the same grain and n.
func (s Shares) Take(w *Worker, grain, n int) (lo, hi int, ok bool) {
	ranges := (n + grain - 1) / grain
	for i := range s {
		j := (w.ID + i) % len(s)
		first, end := ranges*j/len(s), ranges*(j+1)/len(s)
		if s[j].taken.Load() >= int64(end-first) {
			continue
		}
		if k := first + int(s[j].taken.Add(1)) - 1; k < end {
			return k * grain, min((k+1)*grain, n), true
		}
	}
	return 0, 0, false
}
