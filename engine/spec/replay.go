package spec

import (
	"context"
	"math/rand/v2"
	"slices"
)

// Replay proposes what is known to follow, but for a share of tokens at random that are wrong: to measure what
// speculation is worth at a given rate of acceptance.
type Replay struct {
	texts [][]int32
	share float64
	vocab int32
	like  Drafter // that does the work; nil if nobody
	rng   *rand.Rand
}

// NewReplay returns a drafter that knows texts, prompts and answers, and of whose tokens a share is right. With like,
// which it owns then, making drafts takes what it takes that one for common text, and they have its name too. Texts
// must not change.
func NewReplay(texts [][]int32, share float64, vocab int, seed uint64, like Drafter) *Replay {
	return &Replay{texts: texts, share: share, vocab: int32(vocab), like: like, rng: rand.New(rand.NewPCG(seed, 1))}
}

// Info implements Drafter.
func (r *Replay) Info() Info {
	if r.like != nil {
		i := r.like.Info()
		i.Classes = 1
		return i
	}
	return Info{Name: "replay", Classes: 1}
}

// Draft implements Drafter.
func (r *Replay) Draft(ctx context.Context, asks []Ask) ([]Draft, error) {
	out := make([]Draft, len(asks))
	if r.like != nil {
		like := slices.Clone(asks)
		for i := range like {
			like[i].NoText = true
		}
		drafts, err := r.like.Draft(ctx, like)
		if err != nil {
			return nil, err
		}
		for i, d := range drafts {
			out[i].Fresh = d.Fresh
		}
	}
	for i, a := range asks {
		at := len(a.Tokens)
		for _, text := range r.texts {
			if len(text) <= at || !slices.Equal(text[:at], a.Tokens) {
				continue
			}
			for _, id := range text[at:min(len(text), at+a.Max)] {
				if r.rng.Float64() >= r.share {
					id = (id + 1) % r.vocab
				}
				out[i].Tokens = append(out[i].Tokens, id)
			}
			break
		}
	}
	return out, nil
}

// Drafted implements Drafter.
func (r *Replay) Drafted(key uint64, verified, taken int) {
	if r.like != nil {
		r.like.Drafted(key, verified, taken)
	}
}

// Forget implements Drafter.
func (r *Replay) Forget(key uint64) {
	if r.like != nil {
		r.like.Forget(key)
	}
}

// Close implements Drafter.
func (r *Replay) Close() error {
	if r.like != nil {
		return r.like.Close()
	}
	return nil
}
