package sample

import (
	"math"
	"testing"
)

// TestDrawn: what a draw says of itself is the definition's distribution, in the order of its probabilities.
func TestDrawn(t *testing.T) {
	row := []float32{1, 3, 2, 3, -5, 0}
	for _, c := range []struct {
		name string
		p    Params
		n    int
		want map[int32]float64 // weights
	}{
		{"temperature", Params{Temperature: 2, Seed: 1}, 6, map[int32]float64{0: math.Exp(.5), 1: math.Exp(1.5), 2: math.E,
			3: math.Exp(1.5), 4: math.Exp(-2.5), 5: 1}},
		{"top-k", Params{Temperature: 1, TopK: 3, Seed: 1}, 6, map[int32]float64{1: math.Exp(3), 2: math.Exp(2), 3: math.Exp(3)}},
		{"some", Params{Temperature: 1, TopK: 3, Seed: 1}, 2, map[int32]float64{1: math.Exp(3), 2: math.Exp(2), 3: math.Exp(3)}},
		{"bias", Params{Temperature: 1, TopK: 2, LogitBias: map[int32]float32{0: 5}}, 6,
			map[int32]float64{0: math.Exp(6), 1: math.Exp(3)}},
		{"greedy", Params{}, 6, map[int32]float64{1: 1}},
		{"one", Params{Temperature: 1, TopK: 1}, 6, map[int32]float64{1: 1}},
		{"none asked for", Params{Temperature: 1, TopK: 2}, 0, map[int32]float64{1: 1, 3: 1}},
	} {
		s, err := NewSampler(c.p, len(row))
		if err != nil {
			t.Fatal(err)
		}
		var total float64
		for _, w := range c.want {
			total += w
		}
		id, err := s.Next(row)
		if err != nil {
			t.Fatal(err)
		}
		chosen, top := s.Drawn(id, c.n)
		near := func(p Logprob) bool { return math.Abs(math.Exp(float64(p.Logprob))-c.want[p.ID]/total) < 1e-6 }
		if chosen.ID != id || !near(chosen) || len(top) != min(c.n, len(c.want)) {
			t.Errorf("%s: %d with %+v of %+v", c.name, id, chosen, top)
		}
		for i, p := range top {
			if !near(p) || i > 0 && p.Logprob > top[i-1].Logprob {
				t.Errorf("%s: %+v", c.name, top)
			}
		}
	}
}
