package check

// Trips is the clock of a wave that counts in trips to memory: vector loads take one each, loads that are in flight
// together take theirs at the same time, and everything else takes none. So it tells how long the chain of loads is
// that wait for each other.
type Trips struct {
	now    Chain
	flight []Chain // when each load in flight will be back, the oldest first
}

// Chain is a length of a chain of loads. Fresh counts those links alone that load a line of memory that nobody has
// loaded before: no cache holds it.
type Chain struct{ Loads, Fresh uint64 }

// later returns the later of two times, each count for itself.
func (c Chain) later(d Chain) Chain { return Chain{max(c.Loads, d.Loads), max(c.Fresh, d.Fresh)} }

// Load counts a vector load. They come back in order.
func (t *Trips) Load(fresh bool) {
	back := Chain{t.now.Loads + 1, t.now.Fresh}
	if fresh {
		back.Fresh++
	}
	if n := len(t.flight); n > 0 {
		back = back.later(t.flight[n-1])
	}
	t.flight = append(t.flight, back)
}

// Pass counts an instruction that waits count like a load and that takes no trip.
func (t *Trips) Pass() {
	back := t.now
	if n := len(t.flight); n > 0 {
		back = back.later(t.flight[n-1])
	}
	t.flight = append(t.flight, back)
}

// Wait lets the wave go on when all but the last n loads are back. With fewer in flight it does nothing.
func (t *Trips) Wait(n uint32) {
	k := len(t.flight) - int(n)
	if k <= 0 {
		return
	}
	t.now = t.now.later(t.flight[k-1])
	t.flight = t.flight[:copy(t.flight, t.flight[k:])]
}

// Now returns the time. Loads that the wave has not waited for do not count.
func (t *Trips) Now() Chain { return t.now }

// Reset starts the clock for another wave.
func (t *Trips) Reset() { t.now, t.flight = Chain{}, t.flight[:0] }
