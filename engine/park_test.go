package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/fake"
)

// TestMakingRoom gives many sequences, choices among them, fewer pages than they need, cancels some, and demands of
// the others that they end without an error and say what they say alone. The bubble's end counts slots and
// checkpoints.
func TestMakingRoom(t *testing.T) {
	for _, c := range []struct{ pages, checkpoints int }{{100, 0}, {150, 4}, {240, 2}} {
		bubble(fmt.Sprintf("%d tokens, %d checkpoints", c.pages, c.checkpoints), t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(18, 7))
			r := &fake.Runner{Lim: runner.Limits{Seqs: 6, Batch: 32, Context: 100}, Pages: c.pages,
				Checkpoints: c.checkpoints}
			e := start(t, r, func(o *engine.Config) { o.Checkpoints = c.checkpoints })
			alone := start(t, &fake.Runner{Lim: runner.Limits{Context: 100}}, nil)
			requests, want := make([][]engine.Request, 60), make([][]string, 60)
			for i := range requests {
				prompt := strings.Repeat(fmt.Sprint(i%7), 10+rng.IntN(40))
				for n := 1 + rng.IntN(9)/6*3; len(requests[i]) < n; {
					r := request(prompt, 10+i%30)
					r.Sampling = sample.Params{Temperature: 1, Seed: uint64(len(requests[i]))}
					text, _, err := read(submit(t, alone, r))
					if err != nil {
						t.Fatal(err)
					}
					requests[i], want[i] = append(requests[i], r), append(want[i], text)
				}
			}
			var wait sync.WaitGroup
			for i, rs := range requests { // all at once, so that they always are too many
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				cancelled := rng.IntN(6) == 0
				seqs, err := e.SubmitChoices(ctx, rs...)
				if err != nil {
					t.Fatal(err)
				}
				for j, s := range seqs {
					wait.Go(func() {
						if cancelled {
							cancel()
						}
						got, _, err := read(s)
						if !cancelled && (err != nil || got != want[i][j]) {
							t.Errorf("request %d, choice %d: %q, %v, alone %q", i, j, got, err, want[i][j])
						}
					})
				}
			}
			wait.Wait()
			s := e.Stats()
			t.Logf("made room %d times for %d sequences", s.Preempted, s.Length)
			if s.Preempted < 10 || s.Failed > 0 {
				t.Errorf("made room %d times, %d sequences failed", s.Preempted, s.Failed)
			}
		})
	}
}

// TestMakingRoomBits demands the bits of sequences that never had to make room.
func TestMakingRoomBits(t *testing.T) {
	for _, arch := range reusingModels(t) {
		t.Run(arch, func(t *testing.T) {
			l := loadTiny(t, arch)
			cold, done := l.engine(t, runner.Options{Context: 128, Batch: 64}, 0)
			defer done()
			tight, done := l.engine(t, runner.Options{Context: 128, Batch: 64, Seqs: 4, Pages: 7, Checkpoints: 2}, 0)
			defer done()
			rng := rand.New(rand.NewPCG(18, 8))
			var requests []engine.Request
			var want []result
			for i := range 8 {
				r := engine.Request{Prompt: randomIDs(rng, 20+rng.IntN(40)), MaxTokens: 30,
					Sampling: sample.Params{Temperature: 1, Seed: uint64(i)}}
				requests, want = append(requests, r), append(want, answer(t, cold, r))
			}
			var wait sync.WaitGroup
			for i, r := range requests {
				wait.Go(func() {
					if got := answer(t, tight, r); !l.equal(got, want[i]) {
						t.Errorf("request %d: %d, alone %d", i, got.ids, want[i].ids)
					}
				})
			}
			wait.Wait()
			if n := tight.Stats().Preempted; n == 0 {
				t.Error("no sequence had to make room: the test tests nothing")
			}
		})
	}
}
