package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// pooled is the definition: what the hidden states of ids come to.
func pooled(p engine.Pooling, ids []int32) (v []float32) {
	switch p {
	case engine.PoolLast:
		return fake.Hidden(ids)
	case engine.PoolCLS:
		return fake.Hidden(ids[:1])
	}
	sum := make([]float64, fake.Embd)
	for n := range ids {
		h := fake.Hidden(ids[:n+1])
		v = append(v, h...)
		for i, x := range h {
			sum[i] += float64(x)
		}
	}
	if p == engine.PoolMean {
		v = v[:0]
		for _, x := range sum {
			v = append(v, float32(x/float64(len(ids))))
		}
	}
	return v
}

// TestEmbed reads prompts of many lengths beside sequences that draw, in steps that are smaller than most of them, and
// expects what the definition of each pooling says; the answers are those that they would have been alone.
func TestEmbed(t *testing.T) {
	bubble("", t, func(t *testing.T) {
		r := &fake.Runner{Lim: runner.Limits{Seqs: 3, Batch: 16}}
		e := start(t, r, nil)
		alone, _, err := read(submit(t, start(t, &fake.Runner{}, nil), request("Tell me", 40)))
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() {
				if text, _, err := read(submit(t, e, request("Tell me", 40))); err != nil || text != alone {
					t.Errorf("%q, %v, alone %q", text, err, alone)
				}
			})
		}
		prompts := uint64(0)
		for _, p := range []engine.Pooling{engine.PoolLast, engine.PoolMean, engine.PoolCLS, engine.PoolNone} {
			var rs []engine.EmbedRequest
			for n := 1; n < 60; n += 7 {
				rs = append(rs, engine.EmbedRequest{Prompt: fake.Tokenizer{}.Encode(strings.Repeat("ab", n)[:n]),
					Pooling: p})
			}
			prompts += uint64(len(rs))
			wait.Go(func() {
				got, err := e.EmbedAll(t.Context(), rs)
				if err != nil {
					t.Errorf("%v: %v", p, err)
					return
				}
				for i, r := range rs {
					if want := pooled(p, r.Prompt); !slices.Equal(got[i], want) {
						t.Errorf("%v of %d tokens: %v, want %v", p, len(r.Prompt), got[i], want)
					}
				}
			})
		}
		wait.Wait()
		if s := e.Stats(); s.Embedded != prompts || s.Length != 2 || s.Stopped+s.Failed+s.Cancelled != 0 ||
			s.GeneratedTokens != 80 {
			t.Errorf("%+v", s)
		}
	})
}

// TestEmbedTypes gives the runner the types of tokens, whatever steps these are in, and refuses types that the model
// does not have.
func TestEmbedTypes(t *testing.T) {
	bubble("", t, func(t *testing.T) {
		r := &fake.Runner{Lim: runner.Limits{Batch: 16, TokenTypes: 2}}
		e := start(t, r, nil)
		ids := fake.Tokenizer{}.Encode(strings.Repeat("ab", 20))
		types := make([]int32, len(ids))
		for i := range types[17:] {
			types[17+i] = 1
		}
		for _, want := range [][]int32{types, nil} {
			before := len(r.Steps())
			if _, err := e.Embed(t.Context(), engine.EmbedRequest{Prompt: ids, Types: want}); err != nil {
				t.Fatal(err)
			}
			var got []int32
			for _, step := range r.Steps()[before:] {
				for _, w := range step {
					got = append(got, w.Types...)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("types %v, want %v", got, want)
			}
		}
		for _, wrong := range [][]int32{{0}, append(slices.Clone(types[1:]), 2), append(slices.Clone(types[1:]), -1)} {
			_, err := e.Embed(t.Context(), engine.EmbedRequest{Prompt: ids, Types: wrong})
			if !errors.Is(err, engine.ErrBadRequest) {
				t.Errorf("types %v: error %v", wrong, err)
			}
		}
	})
}

// TestEmbedKeepsNothing reads a prompt twice with states kept: neither reading uses them or leaves one.
func TestEmbedKeepsNothing(t *testing.T) {
	for _, rewinds := range []int{0, fake.Anywhere} {
		bubble(fmt.Sprint(rewinds), t, func(t *testing.T) {
			r := &fake.Runner{Lim: runner.Limits{Rewinds: rewinds}, Checkpoints: 4}
			e := start(t, r, func(c *engine.Config) { c.Checkpoints, c.HostBytes = 4, 1<<20 })
			ids := fake.Tokenizer{}.Encode(strings.Repeat("states ", 30))
			for range 2 {
				if _, err := e.Embed(t.Context(),
					engine.EmbedRequest{Prompt: ids, Pooling: engine.PoolMean}); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, err := read(submit(t, e, engine.Request{Prompt: ids, MaxTokens: 1})); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Embed(t.Context(), engine.EmbedRequest{Prompt: ids}); err != nil {
				t.Fatal(err)
			}
			if s := e.Stats(); s.CachedTokens != 0 || s.PromptTokens != uint64(4*len(ids)) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestEmbedErrors checks what is refused before anything is read, and how the end of a context and of the engine end
// the reading.
func TestEmbedErrors(t *testing.T) {
	bubble("", t, func(t *testing.T) {
		var failing atomic.Bool // steps may be under way
		r := &fake.Runner{Lim: runner.Limits{Context: 8, Seqs: 2}, Delay: time.Second}
		r.Fail = func([]runner.Work) error {
			if failing.Load() {
				return errors.New("the step failed")
			}
			return nil
		}
		e := start(t, r, nil)
		for _, c := range []struct {
			r    engine.EmbedRequest
			want string
		}{
			{engine.EmbedRequest{}, "the prompt is empty"},
			{engine.EmbedRequest{Prompt: []int32{1, fake.Vocab}}, "token 258 at index 1"},
			{engine.EmbedRequest{Prompt: []int32{-1}}, "token -1 at index 0"},
			{engine.EmbedRequest{Prompt: []int32{1}, Pooling: 9}, "pooling 9 is not known"},
		} {
			_, err := e.EmbedAll(t.Context(), []engine.EmbedRequest{{Prompt: []int32{1}}, c.r})
			if !errors.Is(err, engine.ErrBadRequest) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		}
		var length *engine.ContextLengthError
		if _, err := e.Embed(t.Context(), engine.EmbedRequest{Prompt: make([]int32, 9)}); !errors.As(err, &length) ||
			length.Prompt != 9 || length.Limit != 8 {
			t.Errorf("error %v", err)
		}
		if n := len(r.Steps()); n != 0 {
			t.Errorf("%d steps for requests that are refused", n)
		}
		// exactly the context
		if _, err := e.Embed(t.Context(), engine.EmbedRequest{Prompt: make([]int32, 8)}); err != nil {
			t.Error(err)
		}

		ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, errors.New("enough"))
		defer cancel()
		many := slices.Repeat([]engine.EmbedRequest{{Prompt: []int32{1}}}, 50)
		if _, err := e.EmbedAll(ctx, many); err == nil || err.Error() != "enough" {
			t.Errorf("error %v", err)
		}
		failing.Store(true)
		if _, err := e.EmbedAll(t.Context(), many); err == nil || !strings.Contains(err.Error(), "the step failed") {
			t.Errorf("error %v", err)
		}
		failing.Store(false)
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := e.Embed(t.Context(), engine.EmbedRequest{Prompt: []int32{1}}); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("error %v", err)
		}
	})
}

// TestEmbedManyPrompts: a request of more prompts than the queue holds is done, and takes no more of it than there
// are slots.
func TestEmbedManyPrompts(t *testing.T) {
	bubble("", t, func(t *testing.T) {
		r := &fake.Runner{Lim: runner.Limits{Seqs: 2}, Delay: time.Second}
		e := start(t, r, func(c *engine.Config) { c.MaxQueue = 3 })
		done := make(chan error)
		go func() {
			_, err := e.EmbedAll(t.Context(), slices.Repeat([]engine.EmbedRequest{{Prompt: []int32{1, 2}}}, 20))
			done <- err
		}()
		time.Sleep(1500 * time.Millisecond)
		if _, _, err := read(submit(t, e, request("x", 1))); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestEmbedMakesRoom reads prompts beside answers with too few pages for all, so that both make room for each other.
func TestEmbedMakesRoom(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))) // what asks is to overlap
	bubble("", t, func(t *testing.T) {
		r := &fake.Runner{Lim: runner.Limits{Seqs: 6, Batch: 16, Context: 100}, Pages: 120}
		e := start(t, r, nil)
		want, _, err := read(submit(t, start(t, &fake.Runner{}, nil), request("Tell me", 60)))
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(3, 4))
		var wait sync.WaitGroup
		for range 30 {
			wait.Go(func() {
				if text, _, err := read(submit(t, e, request("Tell me", 60))); err != nil || text != want {
					t.Errorf("%q, %v, alone %q", text, err, want)
				}
			})
			p := engine.Pooling(rng.IntN(4))
			ids := fake.Tokenizer{}.Encode(strings.Repeat("x", 1+rng.IntN(99)))
			wait.Go(func() {
				if got, err := e.Embed(t.Context(), engine.EmbedRequest{Prompt: ids, Pooling: p}); err != nil ||
					!slices.Equal(got, pooled(p, ids)) {
					t.Errorf("%v of %d tokens: %v, %v", p, len(ids), got, err)
				}
			})
		}
		wait.Wait()
		if s := e.Stats(); s.Preempted < 5 || s.Embedded != 30 {
			t.Errorf("made room %d times for %d prompts and %d answers", s.Preempted, s.Embedded, s.Length)
		}
	})
}

// TestEmbedModels embeds with models of attention, windows and recurrent state. In batches beside answers and cut into
// steps of 24 tokens, the vectors are those of each prompt alone in one step; so are the answers.
func TestEmbedModels(t *testing.T) {
	for _, arch := range []string{"llama", "gemma3", "qwen35"} {
		l := loadTinyOn(t, arch, ops.Device(opsref.New(opsref.Options{Threads: 2})))
		rng := rand.New(rand.NewPCG(1, 2))
		var rs []engine.EmbedRequest
		for i := range 6 {
			rs = append(rs, engine.EmbedRequest{Prompt: randomIDs(rng, 1+i*17), Pooling: engine.Pooling(i % 4)})
		}
		question := engine.Request{Prompt: randomIDs(rng, 50), MaxTokens: 20, Sampling: sample.Params{Temperature: 0}}
		one, end := l.engine(t, runner.Options{Batch: 256}, 0)
		var want [][]float32
		for _, r := range rs {
			v, err := one.Embed(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, v)
		}
		wantIDs := answer(t, one, question).ids
		end()
		many, end := l.engine(t, runner.Options{Batch: 24, Seqs: 4, Checkpoints: 3},
			0, func(c *engine.Config) { c.Checkpoints = 3 })
		var wait sync.WaitGroup
		wait.Go(func() {
			if ids := answer(t, many, question).ids; !slices.Equal(ids, wantIDs) {
				t.Errorf("%s: the answer is %v, alone %v", arch, ids, wantIDs)
			}
		})
		got, err := many.EmbedAll(t.Context(), rs)
		wait.Wait()
		end()
		if err != nil {
			t.Fatal(err)
		}
		for i := range rs {
			worst := 0.0
			for j := range want[i] {
				worst = max(worst, math.Abs(float64(want[i][j]-got[i][j])))
			}
			if len(got[i]) != len(want[i]) || !(worst < 1e-4) {
				t.Errorf("%s, %v of %d tokens: %d numbers, the worst is off by %v", arch, rs[i].Pooling,
					len(rs[i].Prompt), len(got[i]), worst)
			}
		}
	}
}

func TestPoolingNames(t *testing.T) {
	for _, p := range []engine.Pooling{engine.PoolLast, engine.PoolMean, engine.PoolCLS, engine.PoolNone} {
		if got, err := engine.ParsePooling(p.String()); err != nil || got != p {
			t.Errorf("%v: %v, %v", p, got, err)
		}
	}
	for _, name := range []string{"", "max", "rank", "LAST"} {
		if _, err := engine.ParsePooling(name); err == nil ||
			!strings.Contains(err.Error(), "want none, mean, cls or last") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNormalize(t *testing.T) {
	v := []float32{3, 0, -4}
	if engine.Normalize(v); !slices.Equal(v, []float32{0.6, 0, -0.8}) {
		t.Errorf("%v", v)
	}
	v = []float32{0, 0}
	if engine.Normalize(v); !slices.Equal(v, []float32{0, 0}) {
		t.Errorf("%v", v)
	}
	v = []float32{math.MaxFloat32, math.MaxFloat32} // the square is no float32
	if engine.Normalize(v); math.Abs(float64(v[0])-math.Sqrt(0.5)) > 1e-7 {
		t.Errorf("%v", v)
	}
}
