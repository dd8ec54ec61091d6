package engine_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/disk"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/cpu"
	"github.com/hipengine/hipengine/tensor"
)

// reusing are models whose states can be cut anywhere, within a window, and nowhere.
var reusing = []string{"qwen3", "gemma3", "qwen35moe"}

// reusingModels are those of them that tests run; with -short the last alone.
func reusingModels(t *testing.T) []string {
	if testing.Short() {
		t.Log("SKIPPED: -short leaves most models to make long")
		return reusing[2:]
	}
	return reusing
}

// tinyModel is a model with a context for conversations and a window of more than a page.
type tinyModel struct {
	dev  ops.Device
	m    models.Model
	w    models.Weights
	near float64 // how far from each other logits may be that were read in different steps
}

func loadTiny(t *testing.T, arch string) *tinyModel {
	t.Helper()
	var dev ops.Device = cpu.New(cpu.Options{Threads: 2})
	var near float64
	if strings.HasSuffix(dev.Info().Model, "amx") {
		// There the bits of a token depend on how many are in a step. On the reference they do not, but in delta nets.
		dev.Close()
		dev = opsref.New(opsref.Options{Threads: 2})
		if arch == "qwen35moe" {
			near = 1e-3
		}
	}
	l := loadTinyOn(t, arch, dev)
	l.near = near
	return l
}

// loadTinyOn loads a tiny model on a device, which the end of the test closes.
func loadTinyOn(t *testing.T, arch string, dev ops.Device) *tinyModel {
	t.Helper()
	t.Cleanup(func() { dev.Close() })
	meta := tiny.Meta(arch)
	keys := map[string]uint32{arch + ".context_length": 2048}
	if arch == "gemma3" {
		keys[arch+".attention.sliding_window"] = 40
	}
	for k, v := range keys {
		if err := meta.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	m, err := models.New(meta)
	if err != nil {
		t.Fatal(err)
	}
	w, err := models.LoadWeights(t.Context(), m, tiny.Weights(m, tensor.F32, 1), dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &tinyModel{dev: dev, m: m, w: w}
}

// engine returns an engine of its own, and a function that closes it and checks that nothing is left of what it kept.
func (l *tinyModel) engine(t *testing.T, o runner.Options, hostBytes int64,
	change ...func(*engine.Config)) (*engine.Engine, func()) {
	t.Helper()
	r, err := runner.New(l.dev, l.m, l.w, o)
	if err != nil {
		t.Fatal(err)
	}
	free := r.FreePages()
	c := engine.Config{Runner: r, Checkpoints: o.Checkpoints, HostBytes: hostBytes}
	for _, f := range change {
		f(&c)
	}
	e, err := engine.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return e, func() {
		t.Helper()
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if got := r.FreePages(); !slices.Equal(got, free) {
			t.Errorf("%d pages free at the end, %d at the start", got, free)
		}
		for range o.Checkpoints { // they have room for states of nothing
			id, err := r.Open()
			if err == nil {
				_, err = r.Checkpoint(id)
			}
			if err != nil {
				t.Errorf("a checkpoint is left: %v", err)
			}
			r.Release(id)
		}
		r.Close()
	}
}

// result is what a request came to. The logarithms of probabilities tell logits apart that differ in any bit that
// counts.
type result struct {
	ids      []int32
	logprobs []float32
	cached   int
	read     int // tokens of the prompt
}

// equal reports whether two results are the same, bit for bit where the device's bits do not depend on steps.
func (l *tinyModel) equal(a, b result) bool {
	return slices.Equal(a.ids, b.ids) && slices.EqualFunc(a.logprobs, b.logprobs, func(x, y float32) bool {
		return math.Abs(float64(x)-float64(y)) <= l.near
	})
}

func answer(t *testing.T, e *engine.Engine, r engine.Request) (out result) {
	t.Helper()
	before := e.Stats().PromptTokens
	r.Logprobs, r.TopLogprobs = true, 5
	s, err := e.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for tok, err := range s.Tokens() {
		if err != nil {
			t.Fatal(err)
		}
		out.ids = append(out.ids, tok.ID)
		for _, p := range append(tok.Top, sample.Logprob{Logprob: tok.Logprob}) {
			out.logprobs = append(out.logprobs, p.Logprob)
		}
	}
	out.cached, out.read = s.Cached(), int(e.Stats().PromptTokens-before)
	return out
}

func randomIDs(rng *rand.Rand, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = rng.Int32N(tiny.Vocab)
	}
	return ids
}

// TestAgentTrace lets a conversation grow over 20 turns, and expects of each the bits that reading it from the start
// gives, and that only what is new is read. With a tail, each prompt ends in tokens that the next one lacks, and loses
// the beginning of the answer, as templates do that strip thoughts. The states move through the host where the device
// has room for one alone.
func TestAgentTrace(t *testing.T) {
	for _, arch := range reusingModels(t) {
		l := loadTiny(t, arch)
		cold, done := l.engine(t, runner.Options{Batch: 128}, 0)
		defer done()
		for _, c := range []struct {
			tail, checkpoints int
			hostBytes         int64
		}{{0, 4, 0}, {7, 4, 0}, {7, 1, 64 << 20}} {
			t.Run(fmt.Sprintf("%s/tail of %d in %d checkpoints", arch, c.tail, c.checkpoints), func(t *testing.T) {
				hot, done := l.engine(t, runner.Options{Batch: 128, Checkpoints: c.checkpoints}, c.hostBytes)
				defer done()
				rng := rand.New(rand.NewPCG(18, uint64(c.tail)))
				history, known := randomIDs(rng, 100), 0
				tail := randomIDs(rng, c.tail)
				turns := 20
				if testing.Short() {
					turns = 6
				}
				for turn := range turns {
					history = append(history, randomIDs(rng, 10+rng.IntN(30))...)
					r := engine.Request{
						Prompt: slices.Concat(history, tail), MaxTokens: 12,
						Sampling: sample.Params{Temperature: 1, Seed: uint64(turn)},
					}
					want, got := answer(t, cold, r), answer(t, hot, r)
					if !l.equal(got, want) {
						t.Fatalf("turn %d: %d of %d cached tokens, cold %d", turn, got.ids, got.cached, want.ids)
					}
					if got.read+got.cached != len(r.Prompt) || want.read != len(r.Prompt) {
						t.Fatalf("turn %d: %d tokens read and %d cached of %d, cold %d", turn, got.read, got.cached,
							len(r.Prompt), want.read)
					}
					// known tokens are those that an earlier sequence began with.
					most := len(r.Prompt) - known
					if c.tail > 0 && arch != "qwen3" {
						most += 16 + runner.PageSize // a page border well before the end of the prompt
					}
					if turn > 0 && got.read > most {
						t.Errorf("turn %d: %d of %d tokens read, want at most %d", turn, got.read, len(r.Prompt), most)
					}
					known = len(history)
					if c.tail == 0 {
						known += len(got.ids) - 1 // the last one drawn was not read
					}
					history = append(history, got.ids[min(c.tail, 5):]...)
				}
			})
		}
	}
}

// TestPrefixTrees asks for the nodes of random trees of prompts in random order, each twice, some at the same time.
func TestPrefixTrees(t *testing.T) {
	for _, arch := range reusingModels(t) {
		t.Run(arch, func(t *testing.T) {
			l := loadTiny(t, arch)
			cold, done := l.engine(t, runner.Options{Batch: 64}, 0)
			defer done()
			trees, cached, total := 50, 0, 0
			if testing.Short() {
				trees = 5
			}
			for tree := range trees {
				rng := rand.New(rand.NewPCG(uint64(tree), 50))
				// Pages for two sequences, so that what is kept has to go.
				o := runner.Options{Context: 256, Batch: 64, Seqs: 2, Checkpoints: 1 + rng.IntN(6), Pages: 16}
				hot, done := l.engine(t, o, []int64{0, 1 << 20}[rng.IntN(2)])
				prompts := [][]int32{randomIDs(rng, 40+rng.IntN(40))}
				for range 4 {
					from := prompts[rng.IntN(len(prompts))]
					shared := from[:1+rng.IntN(len(from))]
					prompts = append(prompts, append(slices.Clone(shared), randomIDs(rng, 1+rng.IntN(50))...))
				}
				for _, i := range append(rng.Perm(len(prompts)), rng.Perm(len(prompts))...) {
					r := engine.Request{Prompt: prompts[i], MaxTokens: 3,
						Sampling: sample.Params{Temperature: 1, Seed: uint64(i)}}
					if rng.IntN(4) == 0 { // beside another that is cancelled at some time
						ctx, cancel := context.WithCancel(t.Context())
						s, err := hot.Submit(ctx,
							engine.Request{Prompt: prompts[rng.IntN(len(prompts))], MaxTokens: 12})
						if err != nil {
							t.Fatal(err)
						}
						for range s.Tokens() {
							if rng.IntN(4) == 0 {
								cancel()
							}
						}
						cancel()
					}
					want, got := answer(t, cold, r), answer(t, hot, r)
					if !l.equal(got, want) {
						t.Fatalf("tree %d, prompt %d: %d with %d cached, cold %d", tree, i, got.ids, got.cached,
							want.ids)
					}
					cached, total = cached+got.cached, total+len(r.Prompt)
				}
				done()
			}
			t.Logf("%d of %d tokens were not read", cached, total)
			if cached < total/10 {
				t.Errorf("%d of %d tokens were not read: the trees test little", cached, total)
			}
		})
	}
}

// TestTurns lets clients repeat a conversation without what the model thought, and lets another conversation begin
// with the same system message. Both find the state at the turn where they part.
func TestTurns(t *testing.T) {
	const turn = 7
	for _, arch := range reusingModels(t) {
		t.Run(arch, func(t *testing.T) {
			l := loadTiny(t, arch)
			hot, done := l.engine(t, runner.Options{Batch: 128, Checkpoints: 12}, 0,
				func(c *engine.Config) { c.TurnStart = turn })
			defer done()
			cold, done := l.engine(t, runner.Options{Batch: 128}, 0)
			defer done()
			rng := rand.New(rand.NewPCG(18, 3))
			text := func(n int) []int32 {
				ids := randomIDs(rng, n)
				for i := range ids {
					if ids[i] == turn {
						ids[i]++
					}
				}
				return append([]int32{turn}, ids...)
			}
			ask := func(ids []int32, known int) result {
				t.Helper()
				r := engine.Request{Prompt: ids, MaxTokens: 50,
					Sampling: sample.Params{Temperature: 1, LogitBias: map[int32]float32{turn: -100}}}
				want, got := answer(t, cold, r), answer(t, hot, r)
				if !l.equal(got, want) {
					t.Fatalf("after %d cached tokens: %d, cold %d", got.cached, got.ids, want.ids)
				}
				// A model that can be cut back parts within the turn.
				if got.cached < known || got.cached > known && !hot.Limits().CutsAnywhere() && arch != "gemma3" {
					t.Errorf("%d of %d tokens cached, want %d", got.cached, len(ids), known)
				}
				return got
			}
			system := text(70)
			history, known := slices.Clone(system), 0
			header := []int32{turn, 9, 10} // begins the model's turn
			for range 4 {
				history = append(history, text(20+rng.IntN(20))...)
				got := ask(slices.Concat(history, header), known)
				known = len(history)
				// The next prompt lacks the beginning of the answer.
				history = slices.Concat(history, header, got.ids[20:])
			}
			ask(slices.Concat(system, text(30), header), len(system))
		})
	}
}

// TestRestart lets a conversation go on in an engine that has but its folder, and expects the bits of reading it all.
// One file is damaged: then its state is read again.
func TestRestart(t *testing.T) {
	for _, arch := range reusingModels(t) {
		t.Run(arch, func(t *testing.T) {
			l := loadTiny(t, arch)
			cold, done := l.engine(t, runner.Options{Batch: 128}, 0)
			defer done()
			dir := t.TempDir()
			rng := rand.New(rand.NewPCG(18, 6))
			history, known := randomIDs(rng, 100), 0
			for turn := range 6 {
				said := 0
				store, err := disk.Open(dir, arch, 64<<20, func(string) { said++ })
				if err != nil {
					t.Fatal(err)
				}
				hot, done := l.engine(t, runner.Options{Batch: 128, Checkpoints: 1 + turn%3}, 0,
					func(c *engine.Config) { c.Disk = store })
				if files, _ := store.Len(); files == 0 && turn > 0 {
					t.Error("the folder is empty")
				}
				history = append(history, randomIDs(rng, 10+rng.IntN(30))...)
				r := engine.Request{Prompt: history, MaxTokens: 12,
					Sampling: sample.Params{Temperature: 1, Seed: uint64(turn)}}
				want, got := answer(t, cold, r), answer(t, hot, r)
				if !l.equal(got, want) {
					t.Fatalf("turn %d: %d with %d cached, cold %d", turn, got.ids, got.cached, want.ids)
				}
				if turn == 4 {
					known = 0 // every file is damaged
				}
				if got.cached < known || turn == 4 && (got.cached != 0 || said == 0) {
					t.Errorf("turn %d: %d tokens cached, want %d, %d warnings", turn, got.cached, known, said)
				}
				other := answer(t, hot, engine.Request{Prompt: history, Space: fmt.Sprint("key ", turn), MaxTokens: 1})
				if other.cached > 0 {
					t.Errorf("turn %d: %d tokens of another key's cached", turn, other.cached)
				}
				done()
				if err := store.Close(); err != nil {
					t.Error(err)
				}
				known = len(history) + len(got.ids) - 1 // the last one drawn was not read
				history = append(history, got.ids...)
				if turn == 3 {
					damageAll(t, dir)
				}
			}
		})
	}
}

// damageAll changes the last byte of every file of states.
func damageAll(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.state"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files of states, %v", len(paths), err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)-1] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
