package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestSuffixMatches compares with comparing every prefix.
func TestSuffixMatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		past := make([]int32, 1+rng.IntN(30))
		for i := range past {
			past[i] = int32(rng.IntN(1 + rng.IntN(3)))
		}
		got := suffixMatches(past, nil)
		for i := range len(past) - 1 {
			n := 0
			for n <= i && past[i-n] == past[len(past)-1-n] {
				n++
			}
			if got[i] != n {
				t.Fatalf("%v: the prefix up to %d matches %d tokens, want %d", past, i, got[i], n)
			}
		}
	}
}

// TestDRYBreakers compares with looking for the breakers in the whole text behind each token. Tokens are texts of
// several characters, so that breakers are split between them.
func TestDRYBreakers(t *testing.T) {
	texts := []string{"a", "b", "\n", "ab", "x\ny", ":", "<br", ">", "br>", "é", "", "ba<"}
	rng := rand.New(rand.NewPCG(9, 10))
	row := make([]float32, len(texts))
	for range 500 {
		p := Params{Temperature: 1, DRYMultiplier: 0.5, DRYBase: 1.5, DRYAllowedLength: 1 + rng.IntN(3),
			DRYLastN:    rng.IntN(40) - 1,
			DRYBreakers: []string{"\n", "<br>", "", "ab"}, Piece: func(id int32) []byte { return []byte(texts[id]) }}
		s, err := NewSampler(p, len(texts))
		if err != nil {
			t.Fatal(err)
		}
		var history []int32
		var breaks []bool
		text := ""
		for range rng.IntN(120) {
			id := int32(rng.IntN(len(texts)))
			if rng.IntN(3) > 0 && len(history) > 8 {
				id = history[len(history)-6] // so that there are long repetitions
			}
			before := len(text)
			text += texts[id]
			history = append(history, id)
			breaks = append(breaks, slices.ContainsFunc([]string{"\n", "<br>", "ab"}, func(b string) bool {
				return strings.Contains(text[max(0, before-len(b)+1):], b)
			}))
			s.AcceptPrompt(id)
		}
		if _, err := s.adjust(row); err != nil {
			t.Fatal(err)
		}
		want := definition(p, history, row, breaks...)
		got := softmaxOf(s.logits)
		for id := range want {
			if !(math.Abs(got[id]-want[id]) < 1e-6) { // penalties are in float64 here and in float32 there
				t.Fatalf("%+v after %q: token %d has %v, want %v", p, text, id, got[id], want[id])
			}
		}
	}
}

func softmaxOf(logits []float32) []float64 {
	var sum float64
	out := make([]float64, len(logits))
	for i, l := range logits {
		out[i] = math.Exp(float64(l))
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// TestDRYStaysFinite repeats one token for long, where the penalty would overflow.
func TestDRYStaysFinite(t *testing.T) {
	for _, order := range [][]Stage{nil, {TopK, DRY, Temperature}} {
		p := Params{Temperature: 1, TopK: 4, DRYMultiplier: 100, DRYBase: 4, DRYAllowedLength: 1, Order: order}
		s, err := NewSampler(p, 8)
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			s.AcceptPrompt(3)
		}
		row := []float32{0, 0, 0, 50, 0, 0, 0, 0}
		for range 50 {
			if id, err := s.Next(row); err != nil || id == 3 {
				t.Fatalf("token %d, %v", id, err)
			}
		}
	}
}
