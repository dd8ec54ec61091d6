package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/cpu"
	"github.com/hipengine/hipengine/tensor"
)

// TestInvariant demands the bits of a request that runs alone, in one step and from nothing, of the same request among
// others, in chunks and from kept states.
func TestInvariant(t *testing.T) {
	for _, arch := range reusingModels(t) {
		for name, dev := range map[string]ops.Device{"cpu": cpu.New(cpu.Options{Threads: 2}),
			"ref": opsref.New(opsref.Options{Threads: 2})} {
			n := 10
			if name == "ref" {
				n = 4 // it is slow
				if testing.Short() {
					t.Logf("SKIPPED: -short leaves half of the requests on the scalar device to make long: %s", arch)
					n = 2
				}
			}
			t.Run(arch+"/"+name, func(t *testing.T) {
				l := loadTinyOn(t, arch, dev)
				alone, done := l.engine(t,
					runner.Options{Context: 256, Batch: 256, KVType: tensor.F16, Invariant: true}, 0)
				defer done()
				crowd, done := l.engine(t,
					runner.Options{Context: 256, Batch: 40, Seqs: 4, Checkpoints: 6, KVType: tensor.F16,
						Invariant: true}, 0)
				defer done()
				rng := rand.New(rand.NewPCG(18, 1))
				system := randomIDs(rng, 60)
				var requests []engine.Request
				for i := range n {
					prompt := append(slices.Clone(system[:20+rng.IntN(40)]), randomIDs(rng, 1+rng.IntN(40))...)
					requests = append(requests,
						engine.Request{Prompt: prompt, MaxTokens: 5,
							Sampling: sample.Params{Temperature: 1, Seed: uint64(i)}})
				}
				var mu sync.Mutex // of cached
				cached := 0
				for range 2 {
					var wait sync.WaitGroup
					for i, r := range requests {
						want := answer(t, alone, r)
						wait.Go(func() {
							got := answer(t, crowd, r)
							if !slices.Equal(got.ids, want.ids) || !slices.Equal(got.logprobs, want.logprobs) {
								t.Errorf("request %d, %d of %d tokens cached: %v, alone %v", i, got.cached,
									len(r.Prompt), got.ids, want.ids)
							}
							mu.Lock()
							cached += got.cached
							mu.Unlock()
						})
					}
					wait.Wait()
				}
				if cached < 20*n {
					t.Errorf("%d tokens were cached: the test tests little", cached)
				}
			})
		}
	}
}

// TestInvariantRefused refuses what a device does not say that it can.
func TestInvariantRefused(t *testing.T) {
	l := loadTinyOn(t, "qwen3", unsure{cpu.New(cpu.Options{Threads: 1})})
	_, err := runner.New(l.dev, l.m, l.w, runner.Options{Invariant: true})
	if want := fmt.Sprintf("%v: cpu", runner.ErrInvariant); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// unsure is a device that does not say that it can.
type unsure struct{ ops.Device }

func (u unsure) Caps() ops.Caps {
	c := u.Device.Caps()
	c.Invariant = false
	return c
}
