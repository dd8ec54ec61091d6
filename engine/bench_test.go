package engine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
)

// instant is a runner that computes nothing, so that the engine's own cost shows.
type instant struct {
	engine.Runner // nil: nobody forks
	next          int
	logits        [][]float32
}

func (r *instant) Limits() runner.Limits {
	return runner.Limits{Vocab: 32, Context: 1 << 30, Seqs: 256, Batch: 512}
}
func (r *instant) Open() (runner.SeqID, error) { r.next++; return runner.SeqID(r.next), nil }
func (r *instant) Release(runner.SeqID)        {}
func (r *instant) Step(_ context.Context, work []runner.Work) ([][]float32, error) {
	r.logits = r.logits[:0]
	row := [32]float32{7: 1}
	for _, w := range work {
		r.logits = append(r.logits, row[:32*w.Rows])
	}
	return r.logits, nil
}

// BenchmarkStep measures a token of each of n sequences that decode, without text.
func BenchmarkStep(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("%d sequences", n), func(b *testing.B) {
			e, err := engine.New(engine.Config{Runner: &instant{}})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			seqs := make([]*engine.Sequence, n)
			for i := range seqs {
				if seqs[i], err = e.Submit(context.Background(),
					engine.Request{Prompt: []int32{1}, MaxTokens: b.N}); err != nil {
					b.Fatal(err)
				}
			}
			for _, s := range seqs {
				for _, err := range s.Tokens() {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			if err := e.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
