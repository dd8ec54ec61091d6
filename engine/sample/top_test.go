package sample

import (
	"slices"
	"testing"
)

// TestNextTop draws from whole rows and from no more of them than Top says, with ties at every cut.
func TestNextTop(t *testing.T) {
	var rowsOf [][]float32
	for _, row := range rows() {
		rowsOf = append(rowsOf, row)
	}
	for _, p := range []Params{
		{}, {TopK: 7, Seed: 1}, {Temperature: 1, TopK: 1},
		{Temperature: 0.8, TopK: 5, TopP: 0.95, MinP: 0.05, Seed: 2}, Defaults(),
		{Temperature: 1, TopK: 30, TypicalP: 0.6, TopP: 0.9, MinKeep: 3, Seed: 5}, {TopK: 9, TypicalP: 0.5, Seed: 6},
		{Temperature: 1, TopK: 25, XTCProbability: 0.5, XTCThreshold: 0.05, Seed: 7},
		{TopP: 0.5, MinP: 0.2, TopNSigma: 1},
		{Temperature: 1, DynatempRange: 0.5, DynatempExponent: 1, TopK: 20, Seed: 8},
		{Temperature: 0.5, TopK: 8, TopP: 0.9, Order: []Stage{TopK, Temperature, TopP}, Seed: 9},
		{Temperature: 1.5, TopK: 12, TopP: 0.5, Seed: 3},
		{Temperature: 3, TopK: 3, MinP: 0.5, RepeatPenalty: 1, Seed: 4},
	} {
		n := p.Top()
		if want := max(1, p.TopK); n != want && (p.Temperature != 0 || p.TypicalP != 0) || p.Temperature == 0 &&
			p.TypicalP == 0 && n != 1 {
			t.Fatalf("%+v needs %d logits, want %d", p, n, want)
		}
		for _, row := range rowsOf {
			if n > len(row) {
				continue
			}
			var ranked []Logit
			for i, l := range row {
				ranked = append(ranked, Logit{int32(i), l})
			}
			slices.SortStableFunc(ranked, func(a, b Logit) int {
				switch {
				case a.Logit > b.Logit:
					return -1
				case a.Logit < b.Logit:
					return 1
				}
				return 0
			})
			all, err := NewSampler(p, len(row))
			if err != nil {
				t.Fatal(err)
			}
			few, _ := NewSampler(p, len(row))
			for i := range 200 {
				want, err := all.Next(row)
				if err != nil {
					t.Fatal(err)
				}
				got, err := few.NextTop(ranked[:min(len(row), n+i%3)])
				if err != nil || got != want {
					t.Fatalf("%+v: draw %d is %d, %v, from the whole row %d", p, i, got, err, want)
				}
			}
		}
	}
}

// TestTopNeedsAll names the parameters for which no part of a row suffices.
func TestTopNeedsAll(t *testing.T) {
	for name, p := range map[string]Params{
		"no top-k":           {Temperature: 1, TopP: 0.9, MinP: 0.1},
		"bias":               {LogitBias: map[int32]float32{3: 1}},
		"repeat penalty":     {RepeatPenalty: 1.1},
		"presence penalty":   {Temperature: 1, TopK: 4, PresencePenalty: 0.5},
		"frequency penalty":  {Temperature: 1, TopK: 4, FrequencyPenalty: -0.5},
		"bias beside top-k":  {Temperature: 1, TopK: 4, LogitBias: map[int32]float32{3: -1}},
		"penalty and greedy": {FrequencyPenalty: 1},
		"sigma before top-k": {Temperature: 1, TopK: 4, TopNSigma: 1},
		"top-p before top-k": {Temperature: 1, TopK: 4, TopP: 0.5, Order: []Stage{TopP, TopK}},
		"temperature first":  {Temperature: 2, TopK: 4, Order: []Stage{Temperature, TopK}},
		"no top-k in order":  {Temperature: 1, TopK: 4, Order: []Stage{TopP}},
		"greedy not in it":   {Order: []Stage{TopP}},
		"dry":                {TopK: 4, DRYMultiplier: 1, DRYBase: 1, DRYAllowedLength: 1},
		"xtc and greedy":     {XTCProbability: 0.5},
		"typical and greedy": {TypicalP: 0.5},
		"dynamic":            {DynatempRange: 1},
		"mirostat":           {Temperature: 1, TopK: 4, Mirostat: 2},
		"bad words":          {TopK: 4, BadWords: [][]int32{{1}}},
		"min tokens":         {TopK: 4, MinTokens: 1, Ends: []int32{1}},
	} {
		if n := p.Top(); n != 0 {
			t.Errorf("%s: %d logits suffice", name, n)
		}
		s, err := NewSampler(p, 8)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.NextTop(make([]Logit, 8)); err == nil {
			t.Errorf("%s: drawn from a part of the row", name)
		}
	}
	s, _ := NewSampler(Params{Temperature: 1, TopK: 4}, 8)
	if _, err := s.NextTop(make([]Logit, 3)); err == nil {
		t.Error("drawn from 3 logits where 4 are needed")
	}
}
