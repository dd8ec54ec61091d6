package sample

import (
	"math"
	"strings"
	"testing"
)

func TestMinTokens(t *testing.T) {
	row := []float32{0, 5, 0, 6}
	s, err := NewSampler(Params{MinTokens: 2, Ends: []int32{1, 3}}, 4)
	if err != nil {
		t.Fatal(err)
	}
	s.AcceptPrompt(0, 0, 0) // which does not count
	for i, want := range []int32{0, 0, 3} {
		id, err := s.Next(row)
		if err != nil || id != want {
			t.Fatalf("token %d is %d, %v, want %d", i, id, err, want)
		}
		s.Accept(id)
	}
	// A constraint that leaves only the end goes before the number of tokens, and one that leaves more does not.
	for mask, want := range map[uint64]int32{0b1010: 3, 0b1110: 2} {
		s, err := NewSampler(Params{MinTokens: 2, Ends: []int32{1, 3}, Constraint: only{mask}}, 4)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := s.Next(row); err != nil || id != want {
			t.Errorf("mask %b: token %d, %v, want %d", mask, id, err, want)
		}
	}
}

func TestBadWords(t *testing.T) {
	s, err := NewSampler(Params{BadWords: [][]int32{{1, 2, 3}, {2, 2}, {}}}, 4)
	if err != nil {
		t.Fatal(err)
	}
	row := []float32{0, 1, 2, 3}
	s.AcceptPrompt(1, 2) // words are those of the answer
	for _, c := range []struct{ accept, want int32 }{{0, 3}, {1, 3}, {2, 1}, {2, 3}, {1, 3}, {2, 1}} {
		s.Accept(c.accept)
		if id, err := s.Next(row); err != nil || id != c.want {
			t.Fatalf("after %d: token %d, %v, want %d", c.accept, id, err, c.want)
		}
	}
}

// TestNothingLeft reports a chain that forbids all tokens, and never draws one that must not come.
func TestNothingLeft(t *testing.T) {
	ban := float32(math.Inf(-1))
	for name, p := range map[string]Params{
		"bias":       {LogitBias: map[int32]float32{0: ban, 1: ban}},
		"words":      {Temperature: 1, BadWords: [][]int32{{0}, {1}}},
		"min tokens": {Temperature: 1, MinTokens: 1, Ends: []int32{0, 1}},
		"both":       {TopK: 1, Temperature: 1, BadWords: [][]int32{{0}}, Constraint: only{1}},
		"mirostat":   {Mirostat: 2, Temperature: 1, LogitBias: map[int32]float32{0: ban, 1: ban}},
	} {
		s, err := NewSampler(p, 2)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := s.Next([]float32{0, 0}); err == nil || !strings.Contains(err.Error(), "no token is left") {
			t.Errorf("%s: token %d, %v", name, id, err)
		}
	}
	for name, p := range paramCases() {
		p.LogitBias = map[int32]float32{}
		for id := range int32(64) {
			if id%2 == 0 {
				p.LogitBias[id] = ban
			}
		}
		s, err := NewSampler(p, 64)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			if id, err := s.Next(rows()["normal"]); err != nil || id%2 == 0 {
				t.Fatalf("%s: token %d, %v", name, id, err)
			}
		}
	}
}
