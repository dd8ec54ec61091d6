package sample

import "fmt"

// window counts the tokens that the penalties look back on.
type window struct {
	size   int     // negative is all
	last   []int32 // oldest first from start when full
	start  int     // index of the oldest token of a full window
	counts map[int32]int
}

// newWindow returns an empty window of n tokens: 0 is DefaultRepeatLastN, negative is all.
func newWindow(n int) *window {
	if n == 0 {
		n = DefaultRepeatLastN
	}
	return &window{size: n, counts: make(map[int32]int)}
}

func (w *window) add(id int32) {
	w.counts[id]++
	switch {
	case w.size < 0:
	case len(w.last) < w.size:
		w.last = append(w.last, id)
	default:
		old := w.last[w.start]
		if w.counts[old]--; w.counts[old] == 0 {
			delete(w.counts, old)
		}
		w.last[w.start] = id
		w.start = (w.start + 1) % len(w.last)
	}
}

// penalty returns the logit l, which stands for l/temperature, of a token that the window has n times.
func (p *Params) penalty(l float32, n int, temperature float64) float32 {
	if r := p.RepeatPenalty; r != 0 {
		if l > 0 {
			l /= r
		} else {
			l *= r
		}
	}
	less := float32(n)*p.FrequencyPenalty + p.PresencePenalty
	if temperature != 1 {
		less = float32(float64(less) * temperature)
	}
	return l - less
}

// apply gives a row of logits its penalties.
func (w *window) apply(p *Params, logits []float32) error {
	for id, n := range w.counts {
		if id < 0 || int(id) >= len(logits) || never(logits[id]) {
			continue // a prompt may hold ids that no logit stands for
		}
		l := p.penalty(logits[id], n, 1)
		if !finite(l) {
			return fmt.Errorf("sample: token %d: logit %v is not finite after penalties", id, logits[id])
		}
		logits[id] = l
	}
	return nil
}

// applyTo gives candidates their penalties.
func (w *window) applyTo(p *Params, c []candidate, temperature float64) {
	for i := range c {
		if n := w.counts[c[i].id]; n > 0 {
			c[i].logit = bounded(p.penalty(c[i].logit, n, temperature))
		}
	}
}
