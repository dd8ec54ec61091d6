package sample

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// only allows the ids of a mask.
type only []uint64

func (o only) Mask() ([]uint64, error) { return o, nil }
func (o only) Accept(int32) error      { return nil }
func (o only) Forced() []int32         { return nil }

// TestConstraint draws from every chain, and takes nothing that the mask leaves out, whatever its logit.
func TestConstraint(t *testing.T) {
	const vocab = 200
	rng := rand.New(rand.NewPCG(3, 4))
	row := make([]float32, vocab)
	for _, p := range []Params{
		{}, {Temperature: 1}, {Temperature: 2, TopK: 5}, {Temperature: 1, TopP: 0.9}, {Temperature: 1, MinP: 0.1},
		{Temperature: 0.7, TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1.1},
	} {
		for _, allowed := range [][]int32{{3}, {0, 63, 64, 127}, {1, 5, 150}} {
			mask := make(only, 3) // ids from 192 on are beyond it
			for _, id := range allowed {
				mask[id/64] |= 1 << (id % 64)
			}
			p.Constraint = mask
			s, err := NewSampler(p, vocab)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[int32]bool{}
			for range 200 {
				for i := range row {
					row[i] = float32(rng.NormFloat64()) * 5
				}
				for _, id := range allowed {
					row[id] -= 30 // far below the others
				}
				id, err := s.Next(row)
				if err != nil {
					t.Fatal(err)
				}
				if mask[id/64]>>(id%64)&1 == 0 {
					t.Fatalf("%+v: token %d, allowed are %v", p, id, allowed)
				}
				seen[id] = true
				s.Accept(id)
			}
			if len(seen) != len(allowed) {
				t.Errorf("%+v: drew %d of %d tokens", p, len(seen), len(allowed))
			}
		}
	}
	s, err := NewSampler(Params{Constraint: only{0, 0, 0, 0, 1}}, vocab)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(row); err == nil {
		t.Error("a mask of ids beyond the logits: no error")
	}
}

// TestConstraintIsABan draws with a mask what is drawn where all that it leaves out is banned, over chains, sizes of
// the vocabulary and masks of few, half and nearly all tokens, of which some are shorter than the vocabulary.
func TestConstraintIsABan(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for _, vocab := range []int{1, 63, 64, 65, 200, 1000} {
		row := make([]float32, vocab)
		for i := range row {
			row[i] = float32(rng.IntN(20)) // with ties
		}
		for _, share := range []float64{0.02, 0.5, 0.98} {
			mask := make(only, (vocab+63)/64-rng.IntN(2)*vocab/128)
			banned := map[int32]float32{}
			for id := range vocab {
				if id/64 < len(mask) && (rng.Float64() < share || id == 0) {
					mask[id/64] |= 1 << (id % 64)
				} else {
					banned[int32(id)] = float32(math.Inf(-1))
				}
			}
			if at := vocab / 64; at < len(mask) { // bits beyond the vocabulary mean nothing
				mask[at] |= math.MaxUint64 << (vocab % 64)
			}
			for _, p := range []Params{
				{}, {Temperature: 1}, {Temperature: 1, TopK: 3}, {Temperature: 2, TopK: vocab - 1}, Defaults(),
				{Temperature: 1, TopP: 0.9}, {Temperature: 1, Mirostat: 2, MirostatTau: 3},
				{Temperature: 1, TopK: 8, RepeatPenalty: 1.2, MinTokens: 1000, Ends: []int32{0}},
			} {
				if vocab < p.TopK {
					continue
				}
				p.Seed = rng.Uint64()
				held, ban := p, p
				held.Constraint, ban.LogitBias = mask, banned
				if len(banned) == vocab-1 {
					ban.MinTokens = 0 // a form of the end alone goes before the least number of tokens
				}
				a, err := NewSampler(held, vocab)
				if err != nil {
					t.Fatal(err)
				}
				b, err := NewSampler(ban, vocab)
				if err != nil {
					t.Fatal(err)
				}
				for range 20 {
					got, err := a.Next(row)
					if err != nil {
						t.Fatal(err)
					}
					want, err := b.Next(row)
					if err != nil || got != want {
						t.Fatalf("%d tokens, %.0f%% allowed, %+v: drew %d, with a ban %d, %v", vocab, 100*share, p, got,
							want, err)
					}
					a.Accept(got)
					b.Accept(want)
				}
			}
		}
	}
}

// TestConstraintOfTop draws from the logits of highest rank what is drawn from all, or says that too few of them may
// come.
func TestConstraintOfTop(t *testing.T) {
	const vocab = 300
	rng := rand.New(rand.NewPCG(4, 4))
	row := make([]float32, vocab)
	few, drawn := 0, 0
	for range 300 {
		var ids []int32
		for i := range row {
			row[i] = float32(rng.IntN(40))
			ids = append(ids, int32(i))
		}
		slices.SortStableFunc(ids, func(a, b int32) int { return int(row[b] - row[a]) })
		var top []Logit
		for _, id := range ids[:64] {
			top = append(top, Logit{id, row[id]})
		}
		mask := make(only, 5)
		mask[rng.IntN(4)] |= 1 << rng.IntN(64)
		for share := []float64{0, 0.01, 0.1, 0.5, 1}[rng.IntN(5)]; share > 0; share = 0 {
			for id := range vocab {
				if rng.Float64() < share {
					mask[id/64] |= 1 << (id % 64)
				}
			}
		}
		for _, p := range []Params{{}, {Temperature: 1, TopK: 5}, Defaults(), {Temperature: 1, TopK: 40, TopP: 0.8}} {
			p.Constraint, p.Seed = mask, rng.Uint64()
			all, err := NewSampler(p, vocab)
			if err != nil {
				t.Fatal(err)
			}
			some, err := NewSampler(p, vocab)
			if err != nil {
				t.Fatal(err)
			}
			want, err := all.Next(row)
			if err != nil {
				t.Fatal(err)
			}
			got, err := some.NextTop(top)
			if errors.Is(err, ErrFewAllowed) {
				few++
				got, err = some.Next(row) // as if nobody had asked before
			} else {
				drawn++
			}
			if err != nil || got != want {
				t.Fatalf("%+v, mask %x: drew %d, %v, from all logits %d", p, mask, got, err, want)
			}
		}
	}
	if few < 100 || drawn < 300 {
		t.Errorf("%d draws from the top, and %d times it held too few", drawn, few)
	}
}

// BenchmarkConstrain measures what a mask costs a draw from 152 thousand logits, with the chain of the defaults and
// greedily: one of few tokens, as for JSON's punctuation, one of half of them in every word, and one of nearly all, as
// within a string. "none" is a draw without a mask; "mask-µs" is the median beyond its, taken in turns.
func BenchmarkConstrain(b *testing.B) {
	row := bigRow()
	few, half, most := make(only, len(row)/64+1), make(only, len(row)/64+1), make(only, len(row)/64+1)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range most {
		half[i], most[i] = rng.Uint64(), ^uint64(1<<(i%64))
	}
	few[100], few[2000] = 6, 1
	for name, p := range map[string]Params{"defaults": Defaults(), "greedy": {}} {
		for kind, mask := range map[string]Constraint{"none": nil, "few": few, "half": half, "most": most} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				held := p
				held.Constraint = mask
				s, err := NewSampler(held, len(row))
				if err != nil {
					b.Fatal(err)
				}
				free, err := NewSampler(p, len(row))
				if err != nil {
					b.Fatal(err)
				}
				took, without := make([]time.Duration, 0, 1<<12), make([]time.Duration, 0, 1<<12)
				for b.Loop() {
					took = append(took, timeNext(b, s, row))
					b.StopTimer()
					without = append(without, timeNext(b, free, row))
					b.StartTimer()
				}
				slices.Sort(took)
				slices.Sort(without)
				at := func(d []time.Duration, share float64) float64 {
					return float64(d[int(share*float64(len(d)-1))].Nanoseconds()) / 1000
				}
				b.ReportMetric(at(took, 0.5), "p50-µs")
				b.ReportMetric(at(took, 0.99), "p99-µs")
				b.ReportMetric(at(took, 0), "least-µs")
				b.ReportMetric(at(took, 0.5)-at(without, 0.5), "mask-µs")
			})
		}
	}
}

func timeNext(tb testing.TB, s *Sampler, row []float32) time.Duration {
	start := time.Now()
	if _, err := s.Next(row); err != nil {
		tb.Fatal(err)
	}
	return time.Since(start)
}
