package runner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// loaded is a model on the reference device, which several runners can share.
type loaded struct {
	dev *opsref.Device
	m   models.Model
	w   models.Weights
}

func load(t *testing.T, arch string) *loaded {
	t.Helper()
	return loadMeta(t, tiny.Meta(arch))
}

func loadMeta(t *testing.T, meta *gguf.Meta) *loaded {
	t.Helper()
	m, err := models.New(meta)
	if err != nil {
		t.Fatal(err)
	}
	l := &loaded{dev: opsref.New(opsref.Options{Threads: 1}), m: m}
	t.Cleanup(func() { l.dev.Close() })
	if l.w, err = models.LoadWeights(t.Context(), m, tiny.Weights(m, tensor.F32, 1), l.dev, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *loaded) runner(t *testing.T, o Options) *Runner {
	t.Helper()
	r, err := New(l.dev, l.m, l.w, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func open(t *testing.T, r *Runner) SeqID {
	t.Helper()
	id, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// step appends tokens to one sequence and returns the logits of all of them.
func step(t *testing.T, r *Runner, id SeqID, tokens ...int32) []float32 {
	t.Helper()
	rows, err := r.Step(t.Context(), []Work{{Seq: id, Tokens: tokens, Rows: len(tokens)}})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(rows[0])
}

func prompt(seed uint64, n int) []int32 {
	rng := rand.New(rand.NewPCG(seed, 2))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = rng.Int32N(tiny.Vocab)
	}
	return ids
}

// script is what one sequence does: a prompt in chunks, then greedy tokens one at a time.
type script struct {
	chunks [][]int32
	decode int

	id   SeqID
	next int         // steps done
	rows [][]float32 // logits after each step
}

func (s *script) done() bool { return s.next == len(s.chunks)+s.decode }

// work returns the tokens of the next step. The logits of all tokens of a chunk are wanted.
func (s *script) work() Work {
	if s.next < len(s.chunks) {
		return Work{Seq: s.id, Tokens: s.chunks[s.next], Rows: len(s.chunks[s.next])}
	}
	last := s.rows[len(s.rows)-1]
	return Work{Seq: s.id, Tokens: []int32{logits.Argmax(last[len(last)-tiny.Vocab:])}, Rows: 1}
}

func (s *script) take(rows []float32) {
	s.rows = append(s.rows, slices.Clone(rows))
	s.next++
}

func scripts(n int) []*script {
	rng := rand.New(rand.NewPCG(3, 4))
	out := make([]*script, n)
	for i := range out {
		s := &script{decode: 3 + rng.IntN(12)}
		for ids := prompt(uint64(i), 1+rng.IntN(90)); len(ids) > 0; {
			n := min(1+rng.IntN(40), len(ids))
			s.chunks, ids = append(s.chunks, ids[:n]), ids[n:]
		}
		out[i] = s
	}
	return out
}

// TestTogetherAsAlone checks that sequences that share steps, slots and pages in random ways get the same logits,
// bit for bit, as one sequence in a runner of its own.
func TestTogetherAsAlone(t *testing.T) {
	for i, arch := range []string{"llama", "qwen35moe", "gemma4", "qwen3moe", "qwen35", "mistral3"} {
		t.Run(arch, func(t *testing.T) {
			if testing.Short() && i > 1 {
				t.Skip("SKIPPED: -short leaves models much like others to make long")
			}
			l := load(t, arch)
			alone, together := scripts(16), scripts(16)
			for _, s := range alone {
				r := l.runner(t, Options{})
				for s.id = open(t, r); !s.done(); {
					rows, err := r.Step(t.Context(), []Work{s.work()})
					if err != nil {
						t.Fatal(err)
					}
					s.take(rows[0])
				}
			}

			r := l.runner(t, Options{Seqs: 6, Pages: 24})
			rng := rand.New(rand.NewPCG(5, 6))
			waiting, permuted, most := slices.Clone(together), false, 0
			var running []*script
			for len(waiting)+len(running) > 0 {
				if len(waiting) > 0 && len(running) < 6 && rng.IntN(2) == 0 {
					waiting[0].id = open(t, r)
					running, waiting = append(running, waiting[0]), waiting[1:]
				}
				rng.Shuffle(len(running), func(i, j int) { running[i], running[j] = running[j], running[i] })
				picked := running[:rng.IntN(len(running)+1)]
				if len(picked) == 0 {
					continue
				}
				most = max(most, len(picked))
				var work []Work
				for _, s := range picked {
					work = append(work, s.work())
				}
				rows, err := r.Step(t.Context(), work)
				if err != nil {
					t.Fatal(err)
				}
				for i, s := range picked {
					s.take(rows[i])
					permuted = permuted || !slices.IsSorted(r.seqs[s.id].tables[0].pages)
					if s.done() {
						r.Release(s.id)
					}
				}
				running = slices.DeleteFunc(running, (*script).done)
			}
			if !permuted || most < 4 {
				t.Errorf("the test is too tame: page tables permuted: %v, most sequences in a step: %d", permuted,
					most)
			}
			for i, s := range together {
				for j := range s.rows {
					if !slices.Equal(s.rows[j], alone[i].rows[j]) {
						t.Fatalf("sequence %d: logits of step %d differ from those alone", i, j)
					}
				}
			}
			for i, p := range r.pools {
				if want := (Options{Seqs: 6, Pages: 24, Batch: 512}).pages(r.windows[i]); p.Free() != want {
					t.Errorf("window %d: %d pages free at the end, want %d", r.windows[i], p.Free(), want)
				}
			}
		})
	}
}

// TestSnapshot checks that a restored sequence continues bit for bit, at lengths around the ends of pages.
func TestSnapshot(t *testing.T) {
	more := prompt(9, 40)
	for _, c := range []struct {
		arch string
		kv   tensor.DType
	}{{"llama", tensor.F32}, {"qwen3", tensor.F16}, {"qwen35", tensor.F32}, {"qwen35moe", tensor.BF16}} {
		l := load(t, c.arch)
		for i, n := range []int{0, 1, 31, 32, 33, 64, 100} {
			t.Run(fmt.Sprintf("%s/%d", c.arch, n), func(t *testing.T) {
				if testing.Short() && i%2 > 0 {
					t.Skip("SKIPPED: -short leaves some lengths to make long")
				}
				r := l.runner(t, Options{Seqs: 3, KVType: c.kv})
				noise := open(t, r)
				step(t, r, noise, prompt(8, 70)...)
				id := open(t, r)
				if n > 0 {
					step(t, r, id, prompt(7, n)...)
				}
				snap, err := r.Save(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if snap.Len() != n || n > 0 && snap.Bytes() == 0 {
					t.Errorf("snapshot of %d tokens and %d bytes, want %d tokens", snap.Len(), snap.Bytes(), n)
				}
				want := step(t, r, id, more...)
				r.Release(id)
				step(t, r, open(t, r), prompt(6, 90)...) // takes the slot and the pages

				for name, other := range map[string]*Runner{"same": r, "other": l.runner(t, Options{KVType: c.kv})} {
					id, err := other.Restore(t.Context(), snap)
					if err != nil {
						t.Fatal(err)
					}
					if other.Len(id) != n {
						t.Errorf("%s runner: %d tokens restored, want %d", name, other.Len(id), n)
					}
					if !slices.Equal(step(t, other, id, more...), want) {
						t.Errorf("%s runner: logits after Restore differ", name)
					}
				}
			})
		}
	}
}

// TestFork checks that parent and child go their own ways, whoever writes or ends first, and that no page is lost.
func TestFork(t *testing.T) {
	a, b := prompt(20, 45), prompt(21, 45)
	for _, arch := range []string{"llama", "qwen35"} {
		l := load(t, arch)
		for _, n := range []int{0, 5, 32, 50, 64} {
			t.Run(fmt.Sprintf("%s/%d", arch, n), func(t *testing.T) {
				want := func(tail []int32) []float32 {
					r := l.runner(t, Options{})
					id := open(t, r)
					if n > 0 {
						step(t, r, id, prompt(7, n)...)
					}
					return step(t, r, id, tail...)
				}
				r := l.runner(t, Options{Seqs: 3})
				free := r.pools[0].Free()
				parent := open(t, r)
				if n > 0 {
					step(t, r, parent, prompt(7, n)...)
				}
				child, err := r.Fork(parent)
				if err != nil {
					t.Fatal(err)
				}
				grandchild, err := r.Fork(child)
				if err != nil {
					t.Fatal(err)
				}
				if shared := free - r.pools[0].Free(); shared != pagesFor(n)+2*(pagesFor(n)-n/PageSize) {
					t.Errorf("%d pages in use for three sequences of %d tokens", shared, n)
				}
				if !slices.Equal(step(t, r, child, b...), want(b)) {
					t.Error("child's logits differ from those of a sequence of its own")
				}
				if !slices.Equal(step(t, r, parent, a...), want(a)) {
					t.Error("parent's logits changed after the child went on")
				}
				r.Release(parent)
				r.Release(child)
				step(t, r, open(t, r), prompt(6, 100)...) // may overwrite pages that were freed too early
				if !slices.Equal(step(t, r, grandchild, a...), want(a)) {
					t.Error("grandchild's logits changed after its parents ended")
				}
				for id := range SeqID(3) {
					r.Release(id)
				}
				if r.pools[0].Free() != free {
					t.Errorf("%d pages free at the end, want %d", r.pools[0].Free(), free)
				}
			})
		}
	}
}

// TestContextPicksTable checks that LongRoPE's table follows the context of the runner, not that of the model.
func TestContextPicksTable(t *testing.T) {
	meta := tiny.Meta("llama")
	for key, v := range map[string]any{"llama.rope.scaling.type": "longrope",
		"llama.rope.scaling.original_context_length": uint32(64)} {
		if err := meta.Set(key, v); err != nil {
			t.Fatal(err)
		}
	}
	l := loadMeta(t, meta)
	run := func(context int) []float32 {
		r := l.runner(t, Options{Context: context})
		return step(t, r, open(t, r), prompt(1, 20)...)
	}
	short, long := run(64), run(65)
	if slices.Equal(short, long) {
		t.Error("contexts of 64 and 65 tokens use one table")
	}
	if !slices.Equal(run(20), short) || !slices.Equal(run(0), long) {
		t.Error("contexts on one side of the limit use different tables")
	}
}

func TestStepErrors(t *testing.T) {
	l := load(t, "qwen35")
	r := l.runner(t, Options{Context: 96, Seqs: 2, Pages: 4, Batch: 80})
	a, b := open(t, r), open(t, r)
	if _, err := r.Open(); !errors.Is(err, ErrNoSlot) {
		t.Errorf("third of two sequences: %v", err)
	}
	first := prompt(1, 60)
	step(t, r, a, first...) // 2 of 4 pages

	for _, c := range []struct {
		name string
		work []Work
		want string
	}{
		{"context", []Work{{Seq: a, Tokens: prompt(2, 37), Rows: 1}}, "37 tokens after 60 exceed the context of 96"},
		{"pages", []Work{{Seq: b, Tokens: prompt(2, 65), Rows: 1}}, "3 wanted, 2 free of 4"},
		{"batch", []Work{{Seq: a, Tokens: prompt(2, 30), Rows: 1}, {Seq: b, Tokens: prompt(2, 60), Rows: 1}},
			"90 tokens in a step of 1..80"},
		{"empty", []Work{{Seq: a, Tokens: nil, Rows: 0}}, "0 rows wanted of 0 tokens"},
		{"none", nil, "0 tokens in a step"},
		{"rows", []Work{{Seq: a, Tokens: prompt(2, 3), Rows: 4}}, "4 rows wanted of 3 tokens"},
		{"twice", []Work{{Seq: a, Tokens: []int32{1}, Rows: 1}, {Seq: a, Tokens: []int32{1}, Rows: 1}},
			"twice in the step"},
		{"closed", []Work{{Seq: 7, Tokens: []int32{1}, Rows: 1}}, "sequence 7 is not open"},
		{"token", []Work{{Seq: a, Tokens: []int32{3, tiny.Vocab}, Rows: 1}}, "token 96 at 1 is outside 0..95"},
		{"negative token", []Work{{Seq: a, Tokens: []int32{-1}, Rows: 1}}, "token -1 at 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := r.Step(t.Context(), c.work)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want it to say %q", err, c.want)
			}
			var ce *ContextError
			if errors.As(err, &ce) != (c.name == "context") || errors.Is(err, kv.ErrNoPages) != (c.name == "pages") {
				t.Errorf("error %#v has the wrong type", err)
			}
		})
	}

	// Rejected steps changed nothing.
	other := l.runner(t, Options{Context: 96})
	id := open(t, other)
	step(t, other, id, first...)
	if !slices.Equal(step(t, r, a, 5), step(t, other, id, 5)) {
		t.Error("logits after rejected steps differ")
	}

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Step(cancelled, []Work{{Seq: a, Tokens: []int32{1}, Rows: 1}}); !errors.Is(err, context.Canceled) {
		t.Errorf("step with a cancelled context: %v", err)
	}
}

func TestSnapshotErrors(t *testing.T) {
	l := load(t, "qwen35")
	r := l.runner(t, Options{Context: 96, Seqs: 3, Pages: 5})
	id := open(t, r)
	step(t, r, id, prompt(1, 80)...)
	snap, err := r.Save(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	restore := func(o Options, arch string) error {
		l := l
		if arch != "qwen35" {
			l = load(t, arch)
		}
		r := l.runner(t, o)
		_, err := r.Restore(t.Context(), snap)
		if n := r.pools[0].Free(); err != nil && n != 3 {
			t.Errorf("%d of 3 pages free after a refused snapshot", n)
		}
		id, oerr := r.Open()
		if oerr != nil || id != 0 && err != nil {
			t.Errorf("a refused snapshot left its sequence open: %v, %v", id, oerr)
		}
		return err
	}
	for _, c := range []struct {
		name, want string
		o          Options
		arch       string
	}{
		{"context", "context of 96 tokens does not fit one of 64", Options{Context: 64, Pages: 3}, "qwen35"},
		{"model", "state", Options{Context: 96, Pages: 3}, "llama"},
		{"type", "F32", Options{Context: 96, Pages: 3, KVType: tensor.F16}, "qwen35"},
	} {
		if err := restore(c.o, c.arch); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want it to say %q", c.name, err, c.want)
		}
	}
	if _, err := r.Restore(t.Context(), snap); !errors.Is(err, kv.ErrNoPages) {
		t.Errorf("Restore with 2 of 3 pages: %v", err)
	}
	child, err := r.Fork(id) // shares two pages and takes one
	if err != nil {
		t.Fatal(err)
	}
	open(t, r)
	if _, err := r.Fork(child); !errors.Is(err, ErrNoSlot) {
		t.Errorf("Fork without a slot: %v", err)
	}
	if _, err := r.Restore(t.Context(), snap); !errors.Is(err, ErrNoSlot) {
		t.Errorf("Restore without a slot: %v", err)
	}
	r.Release(child)
	if _, err := r.Save(t.Context(), child); err == nil || !strings.Contains(err.Error(), "not open") {
		t.Errorf("Save of a released sequence: %v", err)
	}
	r.Close()
	if _, err := r.Save(t.Context(), id); !errors.Is(err, ErrClosed) {
		t.Errorf("Save after Close: %v", err)
	}
	if _, err := r.Fork(id); !errors.Is(err, ErrClosed) {
		t.Errorf("Fork after Close: %v", err)
	}
	if _, err := r.Restore(t.Context(), snap); !errors.Is(err, ErrClosed) {
		t.Errorf("Restore after Close: %v", err)
	}
}
