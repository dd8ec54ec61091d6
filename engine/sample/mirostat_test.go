package sample

import (
	"math"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/internal/logits"
)

// mirostatDefinition returns the distribution of the next token at mu.
func mirostatDefinition(p Params, mu float64, row []float32) []float64 {
	var c []one
	for id, l := range row {
		c = append(c, one{id, l})
	}
	slices.SortStableFunc(c, func(a, b one) int {
		if a.logit > b.logit {
			return -1
		}
		if a.logit < b.logit {
			return 1
		}
		return 0
	})
	prob := softmax(c, float64(p.Temperature))
	n := 1
	if p.Mirostat == 2 {
		for n < len(c) && -math.Log2(prob[n]) <= mu {
			n++
		}
	} else {
		var tb, tt float64
		for i := 0; i < min(100, len(c))-1; i++ {
			ti := math.Log(float64(i+2) / float64(i+1))
			tb += ti * math.Log(prob[i]/prob[i+1])
			tt += ti * ti
		}
		e := tb/tt - 1
		k := math.Pow(e*math.Exp2(mu)/(1-math.Pow(float64(len(row)), -e)), 1/(tb/tt))
		if math.IsNaN(k) || k > float64(len(c)) {
			k = float64(len(c))
		}
		n = max(1, int(k))
	}
	out := make([]float64, len(row))
	for i, q := range softmax(c[:n], float64(p.Temperature)) {
		out[c[i].id] = q
	}
	return out
}

// TestMirostat draws at several targets of surprise, and follows how they move.
func TestMirostat(t *testing.T) {
	for _, p := range []Params{
		{Temperature: 1, Mirostat: 1}, {Temperature: 1, Mirostat: 2}, {Temperature: 1.5, Mirostat: 1},
		{Temperature: 0.7, Mirostat: 2},
	} {
		p.MirostatTau, p.MirostatEta = 3, 0.1
		for name, row := range rows() {
			s, err := NewSampler(p, len(row))
			if err != nil {
				t.Fatal(err)
			}
			if s.mu != 6 {
				t.Fatalf("mu begins at %v, want twice tau", s.mu)
			}
			for _, mu := range []float64{-1, 0.5, 2, 4, 9} {
				want := mirostatDefinition(p, mu, row)
				counts := make([]int, len(row))
				for range 4000 {
					s.mu = mu
					id, err := s.Next(row)
					if err != nil {
						t.Fatal(err)
					}
					counts[id]++
					if next := mu - float64(p.MirostatEta)*(-math.Log2(want[id])-3); !(math.Abs(s.mu-next) < 1e-9) {
						t.Fatalf("%+v, %s: mu went from %v to %v, want %v", p, name, mu, s.mu, next)
					}
				}
				if stat, df := logits.ChiSquare(counts, want); !(stat <= logits.ChiSquareBound(df)) {
					t.Errorf("version %d, %s, mu %v: chi-square %.1f with %d degrees of freedom", p.Mirostat, name, mu,
						stat, df)
				}
			}
		}
	}
}

// TestMirostatReachesItsTarget draws long texts from a flat distribution, whose surprise then is what was asked for.
func TestMirostatReachesItsTarget(t *testing.T) {
	row := make([]float32, 5000)
	for i := range row {
		row[i] = -float32(math.Log(float64(i + 1))) // Zipf's law
	}
	p := Params{Temperature: 1, Mirostat: 2, MirostatTau: 4, MirostatEta: 0.1}
	s, err := NewSampler(p, len(row))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	const draws = 2000
	for range draws {
		before := s.mu
		if _, err := s.Next(row); err != nil {
			t.Fatal(err)
		}
		sum += (before-s.mu)/float64(p.MirostatEta) + 4 // the surprise
	}
	if mean := sum / draws; math.Abs(mean-4) > 0.1 {
		t.Errorf("mean surprise of %.2f bits, want 4", mean)
	}
}
