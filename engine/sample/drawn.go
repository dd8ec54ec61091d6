package sample

import (
	"cmp"
	"math"
	"slices"
)

// Drawn returns the logarithm of the probability with which the last draw took id, and those of the n tokens that it
// could most likely take, best first: of what bias, penalties, constraint and chain have left. There are fewer where
// no others could come.
func (s *Sampler) Drawn(id int32, n int) (chosen Logprob, top []Logprob) {
	if s.greedy || len(s.kept) == 1 {
		chosen = Logprob{ID: id}
		return chosen, []Logprob{chosen}[:min(n, 1)]
	}
	var total float64
	for _, c := range s.kept {
		total += c.weight
	}
	s.scratch = append(s.scratch[:0], s.kept...)
	slices.SortFunc(s.scratch, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.id, b.id))
	})
	for _, c := range s.scratch {
		if c.weight == 0 {
			break // it underflows, and is never drawn
		}
		p := Logprob{ID: c.id, Logprob: float32(math.Log(c.weight / total))}
		if len(top) < n {
			top = append(top, p)
		}
		if c.id == id {
			chosen = p
		}
	}
	return chosen, top
}
