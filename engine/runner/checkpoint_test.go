package runner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// freePages returns the free pages of each window.
func freePages(r *Runner) (n []int) {
	for _, p := range r.pools {
		n = append(n, p.Free())
	}
	return n
}

// fresh returns the logits of tail after head in a runner of its own.
func (l *loaded) fresh(t *testing.T, head, tail []int32) []float32 {
	t.Helper()
	r := l.runner(t, Options{})
	id := open(t, r)
	if len(head) > 0 {
		step(t, r, id, head...)
	}
	return step(t, r, id, tail...)
}

// TestCheckpoint resumes twice from a checkpoint, after its sequence went on and after it ended, and expects the bits
// of a sequence of its own.
func TestCheckpoint(t *testing.T) {
	a, b := prompt(20, 45), prompt(21, 45)
	for _, arch := range []string{"llama", "qwen35", "gemma4"} {
		l := load(t, arch)
		for _, n := range []int{0, 5, 64, 100} {
			t.Run(fmt.Sprintf("%s/%d", arch, n), func(t *testing.T) {
				head := prompt(7, n)
				wantA, wantB := l.fresh(t, head, a), l.fresh(t, head, b)
				r := l.runner(t, Options{Seqs: 2, Checkpoints: 1})
				free := freePages(r)
				id := open(t, r)
				if n > 0 {
					step(t, r, id, head...)
				}
				cp, err := r.Checkpoint(id)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.Checkpoint(id); !errors.Is(err, ErrNoCheckpoint) {
					t.Errorf("second of one checkpoint: %v", err)
				}
				if !slices.Equal(step(t, r, id, b...), wantB) {
					t.Error("the sequence's logits changed with the checkpoint")
				}
				first, err := r.Resume(cp)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.Resume(cp); !errors.Is(err, ErrNoSlot) {
					t.Errorf("third of two sequences: %v", err)
				}
				if r.Len(first) != n || !slices.Equal(step(t, r, first, a...), wantA) {
					t.Error("logits of the first branch differ from those of a sequence of its own")
				}
				r.Release(id)
				r.Release(first)
				noise := open(t, r)
				step(t, r, noise, prompt(6, 100)...) // may overwrite pages that were freed too early
				second, err := r.Resume(cp)
				if err != nil {
					t.Fatal(err)
				}
				r.Drop(cp)
				r.Drop(cp)
				if !slices.Equal(step(t, r, second, b...), wantB) {
					t.Error("logits of the second branch differ from those of a sequence of its own")
				}
				if _, err := r.Resume(cp); err == nil || !strings.Contains(err.Error(), "no checkpoint 0") {
					t.Errorf("Resume of a dropped checkpoint: %v", err)
				}
				r.Release(second)
				r.Release(noise)
				if got := freePages(r); !slices.Equal(got, free) {
					t.Errorf("%d pages free at the end, want %d", got, free)
				}
			})
		}
	}
}

// TestTruncate cuts sequences, those too that share the page in which the cut lies, and expects the bits of one that
// never was longer.
func TestTruncate(t *testing.T) {
	head, tail := prompt(7, 100), prompt(20, 45)
	for i, c := range []struct {
		arch string
		to   int
		want string // of the error
	}{
		{"llama", 100, ""}, {"llama", 99, ""}, {"llama", 64, ""}, {"llama", 40, ""}, {"llama", 1, ""},
		{"llama", 0, ""},
		{"llama", 101, "cannot be cut to 101"}, {"llama", -1, "cannot be cut to -1"},
		{"qwen35", 100, ""}, {"qwen35", 0, ""},
		{"qwen35", 99, "recurrent state, which is known at the end and 0 tokens back"},
		{"gemma4", 99, ""}, {"gemma4", 70, ""}, {"gemma4", 40, "window of 5 tokens"}, {"gemma4", 0, ""},
	} {
		t.Run(fmt.Sprintf("%s/%d", c.arch, c.to), func(t *testing.T) {
			if testing.Short() && i%3 == 1 {
				t.Skip("SKIPPED: -short leaves every third cut to make long")
			}
			l := load(t, c.arch)
			for _, shared := range []bool{false, true} {
				r := l.runner(t, Options{Seqs: 2})
				free := freePages(r)
				id := open(t, r)
				step(t, r, id, head...)
				var other SeqID
				if shared {
					var err error
					if other, err = r.Fork(id); err != nil {
						t.Fatal(err)
					}
				}
				n := c.to
				if err := r.Truncate(id, n); (err != nil) != (c.want != "") || err != nil &&
					!strings.Contains(err.Error(), c.want) {
					t.Fatalf("error %v, want one that says %q", err, c.want)
				} else if err != nil {
					if known := n >= 0 && n <= 100; errors.As(err, new(*TruncateError)) != known {
						t.Errorf("error %#v has the wrong type", err)
					}
					n = 100
				}
				if r.Len(id) != n || !slices.Equal(step(t, r, id, tail...), l.fresh(t, head[:n], tail)) {
					t.Errorf("shared %v: logits after the cut differ from those of a sequence that never was longer",
						shared)
				}
				if shared && !slices.Equal(step(t, r, other, tail...), l.fresh(t, head, tail)) {
					t.Error("the cut changes a sequence that shares pages")
				}
				r.Release(id)
				if shared {
					r.Release(other)
				}
				if got := freePages(r); !slices.Equal(got, free) {
					t.Errorf("shared %v: %d pages free at the end, want %d", shared, got, free)
				}
			}
		})
	}
}

// TestTruncateWithoutPages: a cut in a shared page needs one.
func TestTruncateWithoutPages(t *testing.T) {
	l := load(t, "llama")
	r := l.runner(t, Options{Context: 96, Seqs: 2, Pages: 3})
	id := open(t, r)
	step(t, r, id, prompt(1, 64)...)
	if _, err := r.Fork(id); err != nil {
		t.Fatal(err)
	}
	step(t, r, id, 1)
	if err := r.Truncate(id, 40); !errors.Is(err, kv.ErrNoPages) || r.Len(id) != 65 {
		t.Errorf("error %v, and %d tokens", err, r.Len(id))
	}
}

// TestWindow compares sequences that give pages back with one step over all tokens, in which none is given back, and
// counts what they hold.
func TestWindow(t *testing.T) {
	ids := prompt(3, 230)
	for _, arch := range []string{"gemma4", "gemma3", "gpt-oss"} {
		t.Run(arch, func(t *testing.T) {
			l := load(t, arch)
			r := l.runner(t, Options{Seqs: 2, Batch: 256})
			w := slices.Index(r.windows, 5)
			if w < 0 || len(r.windows) != 2 {
				t.Fatalf("windows %d", r.windows)
			}
			want := step(t, r, open(t, r), ids...)
			free := freePages(r)
			id, at, most := open(t, r), 0, 0
			for _, n := range []int{33, 1, 1, 60, 5, 64, 32, 34} {
				got := step(t, r, id, ids[at:at+n]...)
				if !slices.Equal(got, want[at*l.m.Params().Vocab:][:len(got)]) {
					t.Fatalf("logits of tokens %d to %d differ", at, at+n-1)
				}
				at += n
				most = max(most, free[w]-r.pools[w].Free())
			}
			if most > pagesFor(5)+2 {
				t.Errorf("a window of 5 tokens holds %d pages between steps", most)
			}
			if all := free[0] - r.pools[0].Free(); all != pagesFor(at) {
				t.Errorf("layers that see all of %d tokens hold %d pages", at, all)
			}
		})
	}
}

// counter is a device that counts transfers.
type counter struct {
	ops.Device
	uploads, downloads, copies, clears int
}

func (c *counter) Stream() (ops.Stream, error) {
	s, err := c.Device.Stream()
	return &counterStream{s, c}, err
}

type counterStream struct {
	ops.Stream
	c *counter
}

func (s *counterStream) Upload(dst tensor.Tensor, src []byte) error {
	s.c.uploads++
	return s.Stream.Upload(dst, src)
}

func (s *counterStream) Download(dst []byte, src tensor.Tensor) error {
	s.c.downloads++
	return s.Stream.Download(dst, src)
}

func (s *counterStream) Copy(dst, src tensor.Tensor) error {
	s.c.copies++
	return s.Stream.Copy(dst, src)
}

func (s *counterStream) Zero(dst tensor.Tensor) error {
	s.c.clears++
	return s.Stream.Zero(dst)
}

// TestStateStaysOnTheDevice counts transfers while slots are opened again, forked, kept and resumed.
func TestStateStaysOnTheDevice(t *testing.T) {
	l := load(t, "qwen35")
	c := &counter{Device: l.dev}
	r, err := New(c, l.m, l.w, Options{Seqs: 2, Checkpoints: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	id := open(t, r)
	if c.clears != 0 {
		t.Errorf("%d clears of a slot that nobody used", c.clears)
	}
	step(t, r, id, prompt(1, 40)...)
	if c.uploads == 0 || c.downloads == 0 {
		t.Fatal("the counter counts nothing")
	}
	for _, op := range []struct {
		name           string
		do             func() error
		copies, clears bool
	}{
		{"open a used slot", func() error { r.Release(id); id, err = r.Open(); return err }, false, true},
		{"fork", func() error { child, err := r.Fork(id); r.Release(child); return err }, true, false},
		{"checkpoint and resume", func() error {
			cp, err := r.Checkpoint(id)
			if err != nil {
				return err
			}
			child, err := r.Resume(cp)
			r.Release(child)
			return err
		}, true, false},
		{"truncate", func() error { return r.Truncate(id, 0) }, false, true},
	} {
		if op.name != "open a used slot" {
			step(t, r, id, 1, 2, 3)
		}
		*c = counter{Device: c.Device}
		if err := op.do(); err != nil {
			t.Fatalf("%s: %v", op.name, err)
		}
		if c.uploads != 0 || c.downloads != 0 || c.copies > 0 != op.copies || c.clears > 0 != op.clears {
			t.Errorf("%s: %d uploads, %d downloads, %d copies, %d clears", op.name, c.uploads, c.downloads, c.copies,
				c.clears)
		}
	}
}
