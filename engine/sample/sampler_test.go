package sample

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/logits"
)

func paramCases() map[string]Params {
	return map[string]Params{
		"plain":             {Temperature: 1},
		"cold":              {Temperature: 0.3},
		"hot":               {Temperature: 3},
		"top-k 1":           {Temperature: 1, TopK: 1},
		"top-k off":         {Temperature: 1, TopK: -1},
		"top-k 7":           {Temperature: 1, TopK: 7},
		"top-k all":         {Temperature: 1, TopK: 64},
		"top-p small":       {Temperature: 1, TopP: 1e-30},
		"top-p half":        {Temperature: 1, TopP: 0.5},
		"top-p most":        {Temperature: 1.5, TopP: 0.97},
		"min-p":             {Temperature: 1, MinP: 0.1},
		"min-p 1":           {Temperature: 2, MinP: 1},
		"defaults":          Defaults(),
		"repeat":            {Temperature: 1, RepeatPenalty: 1.5},
		"repeat encourages": {Temperature: 1, RepeatPenalty: 0.8},
		"presence":          {Temperature: 1, PresencePenalty: 0.7, RepeatLastN: 5},
		"frequency":         {Temperature: 1, FrequencyPenalty: 0.4, RepeatLastN: -1},
		"bias":              {Temperature: 1, LogitBias: map[int32]float32{3: 4, 5: -4}},
		"min keep":          {Temperature: 1, TopP: 0.01, MinP: 0.9, MinKeep: 5},
		"never": {Temperature: 1,
			LogitBias: map[int32]float32{3: float32(math.Inf(-1)), 40: float32(math.Inf(-1))}},
		"typical":           {Temperature: 1, TypicalP: 0.5},
		"typical greedy":    {TypicalP: 0.3},
		"typical kept":      {Temperature: 1.2, TypicalP: 0.05, MinKeep: 9, TopK: 30},
		"sigma":             {Temperature: 1, TopNSigma: 1},
		"sigma and top-k":   {Temperature: 2, TopNSigma: 1.5, TopK: 10},
		"xtc":               {Temperature: 1, XTCProbability: 1, XTCThreshold: 0.03},
		"xtc greedy":        {XTCProbability: 1, XTCThreshold: 0.01},
		"xtc half":          {Temperature: 1, XTCProbability: 0.5, XTCThreshold: 0.05},
		"xtc kept":          {Temperature: 1, XTCProbability: 1, XTCThreshold: 0.01, MinKeep: 60},
		"xtc off":           {Temperature: 1, XTCProbability: 1, XTCThreshold: 0.51},
		"dynamic":           {Temperature: 1, DynatempRange: 0.5, DynatempExponent: 1},
		"dynamic, steep":    {Temperature: 0.4, DynatempRange: 1.5, DynatempExponent: 3, TopK: 12},
		"dynamic of 0":      {DynatempRange: 2, DynatempExponent: 1},
		"dry":               {Temperature: 1, DRYMultiplier: 0.8, DRYBase: 1.75, DRYAllowedLength: 2},
		"dry, long":         {Temperature: 1, DRYMultiplier: 0.3, DRYBase: 1, DRYAllowedLength: 1, DRYLastN: 30},
		"dry, no room":      {Temperature: 1, DRYMultiplier: 5, DRYBase: 2, DRYAllowedLength: 1, DRYLastN: 1},
		"bad words":         {Temperature: 1, BadWords: [][]int32{{7}, {1, 9}}},
		"min tokens":        {Temperature: 1, MinTokens: 3, Ends: []int32{0, 5}},
		"no stages":         {Temperature: 0.2, TopK: 3, Order: []Stage{}},
		"temperature first": {Temperature: 0.4, TopP: 0.8, MinP: 0.2, Order: []Stage{Temperature, MinP, TopP}},
		"top-p, then k":     {Temperature: 1, TopP: 0.7, TopK: 9, Order: []Stage{TopP, TopK}},
		"cold, then sorted": {Temperature: 0, TopK: 5, Order: []Stage{TopK, Temperature, XTC}, XTCProbability: 1},
		"late penalties": {Temperature: 0.5, TopK: 20, RepeatPenalty: 1.3, PresencePenalty: 0.5, DRYMultiplier: 1,
			DRYBase:          1.5,
			DRYAllowedLength: 1, Order: []Stage{TopK, Temperature, Penalties, DRY, TopP}, TopP: 0.9},
		"late penalties, greedy": {TopK: 20, PresencePenalty: 5, Order: []Stage{TopK, Penalties, Temperature}},
		"twice":                  {Temperature: 1.5, TopP: 0.9, Order: []Stage{TopP, Temperature, TopP, Temperature}},
		"every stage": {Temperature: 1.1, TopK: 40, TopP: 0.95, MinP: 0.01, TypicalP: 0.9, TopNSigma: 2,
			XTCProbability: 1, XTCThreshold: 0.1,
			DynatempRange: 0.3, DynatempExponent: 1, RepeatPenalty: 1.1, DRYMultiplier: 0.8, DRYBase: 1.75,
			DRYAllowedLength: 2, MinKeep: 2},
		"everything": {Temperature: 1.3, TopK: 20, TopP: 0.9, MinP: 0.02, RepeatPenalty: 1.1, PresencePenalty: 0.2,
			FrequencyPenalty: 0.1, RepeatLastN: 12, LogitBias: map[int32]float32{0: 2, 63: 3}},
	}
}

// rows are logits of several shapes, each of 64 ids.
func rows() map[string][]float32 {
	r := rand.New(rand.NewPCG(1, 2))
	normal, ties, flat, peak := make([]float32, 64), make([]float32, 64), make([]float32, 64), make([]float32, 64)
	for i := range normal {
		normal[i] = float32(r.NormFloat64() * 2)
		ties[i] = float32(r.IntN(4))
		flat[i] = -1000
		peak[i] = -30
	}
	peak[40] = 0
	return map[string][]float32{"normal": normal, "ties": ties, "flat": flat, "peak": peak}
}

func history() []int32 {
	r := rand.New(rand.NewPCG(3, 4))
	h := make([]int32, 100)
	for i := range h {
		h[i] = int32(r.IntN(20))
	}
	return h
}

func TestDistributionEqualsDefinition(t *testing.T) {
	for name, p := range paramCases() {
		for rowName, row := range rows() {
			t.Run(name+"/"+rowName, func(t *testing.T) {
				s, err := NewSampler(p, len(row))
				if err != nil {
					t.Fatal(err)
				}
				s.AcceptPrompt(history()...)
				if p.XTCProbability > 0 && p.XTCProbability < 1 {
					return // a mixture, which draws alone show
				}
				late, err := s.adjust(row)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]float64, len(row))
				dist, total := s.distribution(late), 0.0
				for _, c := range dist {
					total += c.weight
				}
				for _, c := range dist {
					got[c.id] = c.weight / total
				}
				for id, want := range definition(p, history(), row) {
					// Both sides sum 64 float64 terms, in different orders: some 64 roundings of 1.1e-16 each.
					if d := math.Abs(got[id] - want); !(d <= 1e-14) {
						t.Errorf("token %d: probability %v, want %v", id, got[id], want)
					}
				}
			})
		}
	}
}

func TestDrawsFollowDefinition(t *testing.T) {
	most := 1_000_000
	if testing.Short() {
		most = 2500
		t.Log("SKIPPED: -short leaves nearly all draws to make long")
	}
	for name, p := range paramCases() {
		for rowName, row := range rows() {
			draws := most
			if rowName != "normal" { // the others are for what is special about them
				draws = min(draws, 8000)
			}
			t.Run(name+"/"+rowName, func(t *testing.T) {
				p.Seed = 42
				s, err := NewSampler(p, len(row))
				if err != nil {
					t.Fatal(err)
				}
				s.AcceptPrompt(history()...)
				counts := make([]int, len(row))
				for range draws {
					id, err := s.Next(row)
					if err != nil {
						t.Fatal(err)
					}
					counts[id]++
				}
				stat, df := logits.ChiSquare(counts, definition(p, history(), row))
				if !(stat <= logits.ChiSquareBound(df)) {
					t.Errorf("chi-square %.1f with %d degrees of freedom, at most %.1f expected", stat, df,
						logits.ChiSquareBound(df))
				}
			})
		}
	}
}

// TestChiSquareSees checks that the comparison above fails for a distribution that is slightly wrong.
func TestChiSquareSees(t *testing.T) {
	row := rows()["normal"]
	s, err := NewSampler(Params{Temperature: 1, Seed: 42}, len(row))
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]int, len(row))
	for range 20000 {
		id, err := s.Next(row)
		if err != nil {
			t.Fatal(err)
		}
		counts[id]++
	}
	for name, p := range map[string]Params{
		"temperature": {Temperature: 1.1}, "top-p": {Temperature: 1, TopP: 0.95}, "top-k": {Temperature: 1, TopK: 63},
		"bias": {Temperature: 1, LogitBias: map[int32]float32{7: 1.5}},
	} {
		if stat, df := logits.ChiSquare(counts, definition(p, nil, row)); stat <= logits.ChiSquareBound(df) {
			t.Errorf("%s: chi-square %.1f with %d degrees of freedom did not notice", name, stat, df)
		}
	}
}

func TestSeedDecidesDraws(t *testing.T) {
	row := rows()["normal"]
	tokens := func(seed uint64) []int32 {
		p := Defaults()
		p.Seed, p.RepeatPenalty = seed, 1.1
		s, err := NewSampler(p, len(row))
		if err != nil {
			t.Fatal(err)
		}
		var out []int32
		for range 50 {
			id, err := s.Next(row)
			if err != nil {
				t.Fatal(err)
			}
			s.Accept(id)
			out = append(out, id)
		}
		return out
	}
	if a, b := tokens(1), tokens(1); !slices.Equal(a, b) {
		t.Errorf("seed 1 gave %v, then %v", a, b)
	}
	if a, b := tokens(1), tokens(2); slices.Equal(a, b) {
		t.Errorf("seeds 1 and 2 both gave %v", a)
	}
}

func TestGreedyTakesLowestIDOfTies(t *testing.T) {
	s, err := NewSampler(Params{}, 5)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := s.Next([]float32{-1, 3, 2, 3, 3}); err != nil || id != 1 {
		t.Errorf("Next = %d, %v, want 1", id, err)
	}
}

func TestNotFiniteLogitsAreErrors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, bad := range map[string]float32{"NaN": nan, "+Inf": inf, "-Inf": -inf} {
		for _, p := range []Params{{}, {Temperature: 1}, Defaults()} {
			row := make([]float32, 64)
			row[17] = bad
			s, err := NewSampler(p, len(row))
			if err != nil {
				t.Fatal(err)
			}
			if id, err := s.Next(row); err == nil || !strings.Contains(err.Error(), "token 17") {
				t.Errorf("%s, temperature %v: Next = %d, %v, want an error that names token 17", name, p.Temperature,
					id, err)
			}
			if _, _, err := Logprobs(row, 0, 3); err == nil || !strings.Contains(err.Error(), "token 17") {
				t.Errorf("%s: Logprobs error %v, want one that names token 17", name, err)
			}
		}
	}
	s, err := NewSampler(Params{LogitBias: map[int32]float32{2: math.MaxFloat32}}, 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next([]float32{0, 0, math.MaxFloat32, 0}); err == nil {
		t.Error("a bias that overflows gave no error")
	}
}

func TestNextRejectsWrongRow(t *testing.T) {
	s, err := NewSampler(Params{}, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 3, 5} {
		if _, err := s.Next(make([]float32, n)); err == nil {
			t.Errorf("row of %d logits for a vocabulary of 4: no error", n)
		}
	}
}

func TestValidateNamesParameter(t *testing.T) {
	nan := float32(math.NaN())
	for name, p := range map[string]Params{
		"temperature":        {Temperature: -1},
		"top_p":              {TopP: 1.5},
		"min_p":              {MinP: nan},
		"repeat_penalty":     {RepeatPenalty: -0.5},
		"presence_penalty":   {PresencePenalty: nan},
		"frequency_penalty":  {FrequencyPenalty: float32(math.Inf(1))},
		"typical_p":          {TypicalP: 1.1},
		"top_n_sigma":        {TopNSigma: -1},
		"dynatemp_range":     {DynatempRange: -1},
		"dynatemp_exponent":  {DynatempExponent: -1},
		"xtc_probability":    {XTCProbability: 1.5},
		"xtc_threshold":      {XTCThreshold: -0.5},
		"dry_multiplier":     {DRYMultiplier: -1},
		"dry_base":           {DRYMultiplier: 1, DRYBase: 0.5, DRYAllowedLength: 1},
		"dry_allowed_length": {DRYMultiplier: 1, DRYBase: 1},
		"dry_sequence":       {DRYMultiplier: 1, DRYBase: 1, DRYAllowedLength: 1, DRYBreakers: []string{"x"}},
		"mirostat 3":         {Mirostat: 3},
		"mirostat_tau":       {MirostatTau: -1},
		"mirostat_eta":       {MirostatEta: nan},
		"min_keep":           {MinKeep: -1},
		"min_tokens":         {MinTokens: -1},
		"samplers 33":        {Order: make([]Stage, 33)},
		"no stage 9":         {Order: []Stage{9}},
		"bad_words":          {BadWords: [][]int32{{1, 9}}},
		"ends of token -2":   {Ends: []int32{-2}},
		"token 9":            {LogitBias: map[int32]float32{9: 1}},
		"token -1":           {LogitBias: map[int32]float32{-1: 1}},
		"token 2":            {LogitBias: map[int32]float32{2: nan}},
	} {
		if _, err := NewSampler(p, 9); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := NewSampler(Params{}, 0); err == nil {
		t.Error("an empty vocabulary gave no error")
	}
}

func TestLogprobs(t *testing.T) {
	row := rows()["normal"]
	prob := definition(Params{Temperature: 1}, nil, row)
	for _, n := range []int{0, 1, 5, 64, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			chosen, top, err := Logprobs(row, 11, n)
			if err != nil {
				t.Fatal(err)
			}
			if want := float32(math.Log(prob[11])); chosen.ID != 11 || math.Abs(float64(chosen.Logprob-want)) > 1e-6 {
				t.Errorf("chosen = %+v, want token 11 with %v", chosen, want)
			}
			if len(top) != min(n, len(row)) {
				t.Fatalf("%d top tokens, want %d", len(top), min(n, len(row)))
			}
			for i, c := range top {
				if want := float32(math.Log(prob[c.ID])); math.Abs(float64(c.Logprob-want)) > 1e-6 {
					t.Errorf("top %d = %+v, want %v", i, c, want)
				}
				if i > 0 && c.Logprob > top[i-1].Logprob {
					t.Errorf("top %d is more likely than top %d", i, i-1)
				}
			}
		})
	}
	if _, _, err := Logprobs(row, 64, 0); err == nil {
		t.Error("an id beyond the row gave no error")
	}
	if _, _, err := Logprobs(nil, 0, 0); err == nil {
		t.Error("an empty row gave no error")
	}
}

func TestOverridesApplyInOrder(t *testing.T) {
	model := Overrides{Temperature: new(float32(0)), TopK: new(20)}
	request := Overrides{TopK: new(5), Seed: new(uint64(7)), LogitBias: map[int32]float32{1: 2}}
	got := request.Apply(model.Apply(Defaults()))
	if got.Temperature != 0 || got.TopK != 5 || got.TopP != 0.95 || got.MinP != 0.05 || got.Seed != 7 ||
		got.LogitBias[1] != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	row := bigRow()
	all := Defaults()
	all.TopNSigma, all.TypicalP, all.XTCProbability, all.DynatempRange, all.RepeatPenalty, all.MinKeep = 3, 0.9, 0.5,
		0.2, 1.1, 2
	all.DRYMultiplier, all.DRYLastN, all.LogitBias = 0.8, 200, map[int32]float32{3: 1, 4: float32(math.Inf(-1))}
	newline := []byte("\n")
	all.Piece = func(int32) []byte { return newline }
	all.BadWords, all.MinTokens, all.Ends = [][]int32{{1, 2, 3}}, 1000, []int32{7}
	mirostat := Defaults()
	mirostat.Mirostat = 1
	for name, p := range map[string]Params{"every stage": all, "mirostat 1": mirostat} {
		s, err := NewSampler(p, len(row))
		if err != nil {
			t.Fatal(err)
		}
		step := func() {
			id, err := s.Next(row)
			if err != nil {
				t.Fatal(err)
			}
			s.Accept(id)
		}
		for range 2 * max(all.DRYLastN, DefaultRepeatLastN) {
			s.Accept(int32(1 + len(name)))
		}
		for range 3 {
			step()
		}
		if n := testing.AllocsPerRun(10, step); n != 0 {
			t.Errorf("%s: %v allocations per token", name, n)
		}
	}
}

func bigRow() []float32 {
	r := rand.New(rand.NewPCG(5, 6))
	row := make([]float32, 151936) // Qwen3's vocabulary
	for i := range row {
		row[i] = float32(r.NormFloat64() * 3)
	}
	return row
}

func BenchmarkNext(b *testing.B) {
	row := bigRow()
	for name, p := range map[string]Params{
		"greedy": {}, "defaults": Defaults(), "top-p alone": {Temperature: 1, TopP: 0.95}, "plain": {Temperature: 1},
		"typical alone": {Temperature: 1, TypicalP: 0.9}, "sigma": {Temperature: 1, TopNSigma: 1},
		"mirostat": {Temperature: 1, Mirostat: 2, MirostatTau: 5},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := NewSampler(p, len(row))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Next(row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
