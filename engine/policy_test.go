package engine_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
)

func TestFair(t *testing.T) {
	decode := engine.Running{Pending: 1, Decode: true}
	prompt := func(n int) engine.Running { return engine.Running{Pending: n} }
	for _, c := range []struct {
		name        string
		seqs, batch int
		stepTokens  int
		running     []engine.Running
		waiting     []int
		admit       int
		feed        []int
	}{
		{name: "nothing", seqs: 2, batch: 8, feed: []int{}},
		{name: "one prompt that fits", seqs: 2, batch: 8, waiting: []int{5}, admit: 1, feed: []int{5}},
		{name: "one prompt in chunks", seqs: 2, batch: 8, waiting: []int{50}, admit: 1, feed: []int{8}},
		{name: "chunk bounded by step tokens", seqs: 2, batch: 8, stepTokens: 3, waiting: []int{50}, admit: 1,
			feed: []int{3}},
		{name: "step tokens above the batch", seqs: 2, batch: 8, stepTokens: 30, waiting: []int{50}, admit: 1,
			feed: []int{8}},
		{name: "decode beside prefill", seqs: 3, batch: 8, running: []engine.Running{decode, prompt(20), decode},
			feed: []int{1, 6, 1}},
		{name: "a long prompt alone", seqs: 2, batch: 2048, waiting: []int{5000}, admit: 1, feed: []int{2048}},
		{name: "a long prompt beside decoding", seqs: 2, batch: 2048, running: []engine.Running{decode},
			waiting: []int{5000}, admit: 1, feed: []int{1, 511}},
		{name: "first come first served", seqs: 2, batch: 8, running: []engine.Running{decode},
			waiting: []int{2, 3, 1}, admit: 1, feed: []int{1, 2}},
		{name: "no free slot", seqs: 1, batch: 8, running: []engine.Running{decode}, waiting: []int{2},
			feed: []int{1}},
		{name: "short prompt beside a long one", seqs: 2, batch: 16, waiting: []int{1000, 4}, admit: 2,
			feed: []int{12, 4}},
		{name: "equal prompts share", seqs: 2, batch: 16, waiting: []int{100, 100}, admit: 2, feed: []int{8, 8}},
		{name: "remainder to the oldest", seqs: 3, batch: 8, waiting: []int{100, 100, 100}, admit: 3,
			feed: []int{3, 3, 2}},
		{name: "decode comes first when short", seqs: 3, batch: 2,
			running: []engine.Running{prompt(9), decode, decode}, feed: []int{0, 1, 1}},
		{
			name: "the idle one comes before", seqs: 3, batch: 2,
			running: []engine.Running{{Pending: 9, Idle: 1}, decode, decode}, feed: []int{1, 1, 0},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := engine.Fair{StepTokens: c.stepTokens}.Next(engine.Snapshot{
				Limits: runner.Limits{Vocab: 1, Context: 1 << 20, Seqs: c.seqs, Batch: c.batch}, Running: c.running,
				Waiting: c.waiting,
			})
			if got.Admit != c.admit || !slices.Equal(got.Feed, c.feed) {
				t.Errorf("got admit %d, feed %v, want %d, %v", got.Admit, got.Feed, c.admit, c.feed)
			}
		})
	}
}

// TestFairKeepsItsPromises simulates random loads: the budget holds and is used, nobody gets more than is pending,
// admission is in order, and nobody waits longer than promised.
func TestFairKeepsItsPromises(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		lim := runner.Limits{Vocab: 1, Context: 1 << 20, Seqs: 1 + r.IntN(12), Batch: 1 + r.IntN(40)}
		policy := engine.Fair{StepTokens: r.IntN(50)}
		budget := lim.Batch
		if policy.StepTokens > 0 {
			budget = min(budget, policy.StepTokens)
		}
		var running []engine.Running
		var waiting []int
		for step := range 300 {
			for range r.IntN(3) {
				waiting = append(waiting, 1+r.IntN(100))
			}
			if len(running)+len(waiting) == 0 {
				continue
			}
			s := policy.Next(engine.Snapshot{Limits: lim, Running: running, Waiting: waiting})
			if want := min(len(waiting), lim.Seqs-len(running)); s.Admit != want {
				t.Fatalf("seed %d step %d: admits %d, want %d", seed, step, s.Admit, want)
			}
			for _, n := range waiting[:s.Admit] {
				running = append(running, engine.Running{Pending: n})
			}
			waiting = waiting[s.Admit:]
			total, pending := 0, 0
			for i, n := range s.Feed {
				if n < 0 || n > running[i].Pending {
					t.Fatalf("seed %d step %d: feeds %d of %d", seed, step, n, running[i].Pending)
				}
				total += n
				pending += running[i].Pending
			}
			if want := min(budget, pending); total != want {
				t.Fatalf("seed %d step %d: %d tokens, want %d", seed, step, total, want)
			}
			next := running[:0]
			for i, q := range running {
				if s.Feed[i] == 0 {
					if q.Idle++; q.Idle > (lim.Seqs+budget-1)/budget {
						t.Fatalf("seed %d step %d: idle for %d steps", seed, step, q.Idle)
					}
				} else {
					q.Idle = 0
					if q.Pending -= s.Feed[i]; q.Pending == 0 {
						q.Pending, q.Decode = 1, true
						if r.IntN(20) == 0 {
							continue
						}
					}
				}
				next = append(next, q)
			}
			running = next
		}
	}
}

// TestWholePrompts lets encoders take prompts as a whole, first come, first served.
func TestWholePrompts(t *testing.T) {
	for _, c := range []struct {
		running []int
		waiting []int
		want    []int
	}{
		{nil, []int{5}, []int{5}},
		{nil, []int{5, 6, 7}, []int{5, 6}},
		{nil, []int{5, 12, 1}, []int{5}}, // nobody is overtaken
		{[]int{12}, []int{1}, []int{12}},
		{[]int{8, 9}, []int{1, 1}, []int{8, 0, 1}}, // the second waits, and there are three slots
	} {
		s := engine.Snapshot{Limits: runner.Limits{Seqs: 3, Batch: 12, Context: 12, Encoder: true}, Waiting: c.waiting}
		for _, n := range c.running {
			s.Running = append(s.Running, engine.Running{Pending: n})
		}
		step := engine.Fair{StepTokens: 4}.Next(s)
		if err := s.Check(step); err != nil || !slices.Equal(step.Feed, c.want) {
			t.Errorf("running %v, waiting %v: %+v, want %v; %v", c.running, c.waiting, step, c.want, err)
		}
	}
}
