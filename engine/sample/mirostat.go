package sample

import (
	"math"
	"slices"
)

// mirostatTop is how many of the most likely tokens version 1 estimates the shape of the distribution from, as in
// llama.cpp.
const mirostatTop = 100

// mirostat draws a token and corrects how much surprise the next one may bring.
func (s *Sampler) mirostat() int32 {
	s.keepAll()
	s.temperature = float64(s.p.Temperature)
	highest := s.highest()
	total := weigh(s.kept, highest, s.temperature)
	if s.p.Mirostat == 1 {
		s.keepBest(s.mirostatK(total))
	} else {
		// In rank order, the first whose surprise is above mu and all behind it go; never the first of all.
		least := math.Exp2(-s.mu) * total
		s.keep(func(c candidate) bool { return c.weight >= least || c.logit == highest })
		if s.kept[0].weight < least {
			s.keepBest(1)
		}
	}
	total = weigh(s.kept, highest, s.temperature)
	id := s.pick(s.kept)
	at, _ := slices.BinarySearchFunc(s.kept, id, func(c candidate, id int32) int { return int(c.id) - int(id) })
	surprise := -math.Log2(s.kept[at].weight / total)
	s.mu -= float64(s.p.MirostatEta) * (surprise - float64(s.p.MirostatTau))
	return id
}

// mirostatK estimates how many of the most likely tokens have at most mu bits of surprise on average, if probabilities
// follow Zipf's law. The weights of those kept add up to total.
func (s *Sampler) mirostatK(total float64) int {
	n := min(mirostatTop, len(s.kept))
	s.scratch = append(s.scratch[:0], s.kept...)
	if n < len(s.scratch) {
		best(s.scratch, n) // leaves the best n in front, in no order, and without weights
		s.scratch = s.scratch[:n]
	}
	slices.SortFunc(s.scratch, func(a, b candidate) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	var tb, tt float64
	for i := range n - 1 {
		t := math.Log(float64(i+2) / float64(i+1))
		b := float64(s.scratch[i].logit-s.scratch[i+1].logit) / s.temperature // of the logarithm of probabilities
		tb += t * b
		tt += t * t
	}
	zipf := tb / tt
	e := zipf - 1
	k := math.Pow(e*math.Exp2(s.mu)/(1-math.Pow(float64(s.vocab), -e)), 1/zipf)
	if !(k < float64(len(s.kept))) { // also if it is no number
		return len(s.kept)
	}
	return max(1, int(k))
}
