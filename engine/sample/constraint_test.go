package sample

import (
	"math/rand/v2"
	"testing"
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
	for _, p := range []Params{{}, {Temperature: 1, TopK: 5}} {
		if p.Constraint = (only{1}); p.Top() != 0 {
			t.Errorf("%+v needs %d logits, and the constraint may allow any", p, p.Top())
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

// BenchmarkConstrain measures what a mask costs a draw: one of few tokens, as for JSON's punctuation, and one of
// nearly all, as within a string.
func BenchmarkConstrain(b *testing.B) {
	row := bigRow()
	few, most := make(only, len(row)/64+1), make(only, len(row)/64+1)
	for i := range most {
		most[i] = ^uint64(1 << (i % 64))
	}
	few[100], few[2000] = 6, 1
	for name, mask := range map[string]Constraint{"none": nil, "few": few, "most": most} {
		b.Run(name, func(b *testing.B) {
			p := Defaults()
			p.Constraint = mask
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
