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

// First returns the indexes of w's own share, which it takes first.
func (s Shares) First(w *Worker, grain, n int) (lo, hi int) {
	ranges := (n + grain - 1) / grain
	return ranges * w.ID / len(s) * grain, min(ranges*(w.ID+1)/len(s)*grain, n)
}

// Take returns the next range for w of at most grain indexes below n, and whether there was one. All workers must pass
// the same grain and n.
func (s Shares) Take(w *Worker, grain, n int) (lo, hi int, ok bool) {
	return s.TakeMany(w, grain, 1, n)
}

// TakeMany is Take for several ranges that follow one another: at most the given number, and fewer towards the end of a
// share. Taking holds up what a processor has under way, so that it pays to take rarely.
func (s Shares) TakeMany(w *Worker, grain, most, n int) (lo, hi int, ok bool) {
	ranges := (n + grain - 1) / grain
	for i := range s {
		j := (w.ID + i) % len(s)
		first, end := ranges*j/len(s), ranges*(j+1)/len(s)
		for {
			taken := s[j].taken.Load()
			left := end - first - int(taken)
			if left <= 0 {
				break
			}
			k := max(1, min(most, left/takenPart))
			if s[j].taken.CompareAndSwap(taken, taken+int64(k)) {
				lo = first + int(taken)
				return lo * grain, min((lo+k)*grain, n), true
			}
		}
	}
	return 0, 0, false
}

// takenPart is the part of what is left of a share that TakeMany takes at most, so that all workers end together.
const takenPart = 4
