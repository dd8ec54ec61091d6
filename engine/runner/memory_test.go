package runner

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// small is a device with a ledger: it has free bytes, and refuses what does not fit. It follows the arena of one
// runner.
type small struct {
	*opsref.Device
	free   int64
	arena  int64 // bytes of it that free lacks
	unsure bool
	allocs int
}

func (d *small) Caps() ops.Caps {
	c := d.Device.Caps()
	c.Free = func() (int64, error) {
		if d.unsure {
			return 0, errors.New("nobody knows")
		}
		return d.free, nil
	}
	return c
}

func (d *small) Alloc(n int64, kind ops.MemKind) (tensor.Buffer, error) {
	if n > d.free {
		return nil, fmt.Errorf("small: %d bytes: %w", n, ops.ErrOutOfMemory)
	}
	d.free -= n
	d.allocs++
	return d.Device.Alloc(n, kind)
}

func (d *small) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	n, err := d.Caps().PlanBytes(g, outs...)
	if err != nil {
		return nil, err
	}
	d.follow(a)
	if n > d.free+d.arena {
		return nil, fmt.Errorf("small: an arena of %d bytes: %w", n, ops.ErrOutOfMemory)
	}
	p, err := d.Device.Compile(g, a, outs...)
	d.follow(a)
	return p, err
}

func (d *small) follow(a *ops.Arena) {
	d.free += d.arena - a.Bytes()
	d.arena = a.Bytes()
}

func newSmall(t *testing.T, free int64) *small {
	t.Helper()
	d := &small{Device: opsref.New(opsref.Options{Threads: 1}), free: free}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestPlanMemory gives each architecture exactly the memory that was planned, and runs the largest steps in it.
func TestPlanMemory(t *testing.T) {
	for i, arch := range models.Architectures() {
		t.Run(arch, func(t *testing.T) {
			if testing.Short() && i%4 > 0 {
				t.Skip("SKIPPED: -short leaves most architectures to make long")
			}
			m, err := models.New(tiny.Meta(arch))
			if err != nil {
				t.Fatal(err)
			}
			src := tiny.Weights(m, tensor.F32, 1)
			o := Options{Context: 100, Seqs: 3, Batch: 40, KVType: tensor.F16, Rewind: i % 3}
			d := newSmall(t, 1<<40)
			mem, err := PlanMemory(d, m, src, o)
			if err != nil {
				t.Fatal(err)
			}
			if mem.Free != 1<<40 || mem.Err() != nil || mem.Fits != 0 || mem.Plans <= 0 || d.allocs != 0 {
				t.Fatalf("planned %v after %d allocations; fits %d, %v", mem, d.allocs, mem.Fits, mem.Err())
			}
			d.free = mem.Need()
			w, err := models.LoadWeights(t.Context(), m, src, d, nil)
			if err != nil {
				t.Fatal(err)
			}
			if w.Bytes() != mem.Weights || d.free != mem.State+mem.Plans {
				t.Errorf("weights take %d, planned were %d", w.Bytes(), mem.Weights)
			}
			r, err := New(d, m, w, o)
			if err != nil {
				t.Fatal(err)
			}
			if d.free != mem.Plans {
				t.Errorf("%d bytes are left for plans after states, planned were %d", d.free, mem.Plans)
			}
			var ids []SeqID
			for range o.Seqs {
				ids = append(ids, open(t, r))
			}
			if m.Params().Encoder {
				var works []Work
				for i, id := range ids {
					works = append(works, Work{Seq: id, Tokens: make([]int32, []int{60, 30, 10}[i]), Rows: 1})
				}
				if _, err := r.Step(t.Context(), works); !errors.Is(err, ErrEncoder) {
					t.Errorf("logits of an encoder: %v", err)
				}
				if _, err := r.StepHidden(t.Context(), works); err != nil {
					t.Error(err)
				}
				if _, err := r.StepHidden(t.Context(), works); !errors.Is(err, ErrEncoder) {
					t.Errorf("an encoder that goes on: %v", err)
				}
				return
			}
			// Plans share one arena; the largest of all come last.
			for n := 1; n <= 64; n *= 2 {
				works := []Work{{Seq: ids[0], Tokens: make([]int32, min(n, 40)), Rows: 1}}
				if _, err := r.Step(t.Context(), works); errors.As(err, new(*ContextError)) {
					r.Release(ids[0])
					ids[0] = open(t, r)
				} else if err != nil {
					t.Fatal(err)
				}
			}
			works := []Work{{Seq: ids[0], Tokens: make([]int32, 38), Rows: 1},
				{Seq: ids[1], Tokens: []int32{1}, Rows: 1}, {Seq: ids[2], Tokens: []int32{1}, Rows: 1}}
			r.Release(ids[0])
			works[0].Seq = open(t, r)
			if _, err := r.Step(t.Context(), works); err != nil {
				t.Error(err)
			}
			for j := range works { // as many tokens as can be taken back, and a prompt beside them
				n := 1 + o.Rewind
				works[j].Tokens, works[j].Rows, works[j].Rewind = make([]int32, n), n, o.Rewind
			}
			works[0].Tokens = make([]int32, 40-2*(1+o.Rewind))
			r.Release(ids[0])
			works[0].Seq = open(t, r)
			if _, err := r.Step(t.Context(), works); err != nil {
				t.Error(err)
			}
			r.Release(ids[1])
			if _, err := r.StepHidden(t.Context(),
				[]Work{{Seq: open(t, r), Tokens: make([]int32, 40), Rows: 40}}); err != nil {
				t.Error(err)
			}
			if n := r.arena.Bytes(); n > mem.Plans || len(r.plans.order) < 6 {
				t.Errorf("the arena of %d plans has %d bytes, planned were %d", len(r.plans.order), n, mem.Plans)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestPlanMemoryRefuses checks the words for what does not fit, and that the context that it names does.
func TestPlanMemoryRefuses(t *testing.T) {
	m, err := models.New(tiny.Meta("llama"))
	if err != nil {
		t.Fatal(err)
	}
	src := tiny.Weights(m, tensor.F32, 1)
	o := Options{Context: 256, Seqs: 2, Batch: 32}
	d := newSmall(t, 1<<40)
	full, err := PlanMemory(d, m, src, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		free int64
		want []string // nil: it fits
		fits bool
	}{
		{"exactly", full.Need(), nil, false},
		{"a byte too little", full.Need() - 1,
			[]string{"does not fit on ref", "weights", "state", "2 sequences of 256 tokens", "plans", "too little",
				"a context of"}, true},
		{"half of the state", full.Weights + full.Plans + full.State/2, []string{"a context of"}, true},
		{"weights only", full.Weights, []string{"no context fits beside the weights"}, false},
		{"less than the weights", full.Weights - 1, []string{"the weights alone do not fit"}, false},
		{"nothing", 0, []string{"0.0 KiB is free", "the weights alone do not fit"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.free = c.free
			mem, err := PlanMemory(d, m, src, o)
			if err != nil {
				t.Fatal(err)
			}
			err = mem.Err()
			if c.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.As(err, new(*MemoryError)) {
				t.Fatalf("error %v is no MemoryError", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if (mem.Fits > 0) != c.fits {
				t.Fatalf("%d tokens fit", mem.Fits)
			}
			if c.fits {
				for context, fits := range map[int]bool{mem.Fits: true, mem.Fits + 1: false} {
					o := o
					o.Context = context
					if again, err := PlanMemory(d, m, src, o); err != nil || (again.Err() == nil) != fits {
						t.Errorf("%d of %d tokens: %v, %v", context, mem.Fits, again, err)
					}
				}
			}
		})
	}
	t.Run("not known", func(t *testing.T) {
		d.free, d.unsure = 0, true
		mem, err := PlanMemory(d, m, src, o)
		if err != nil || mem.Free != -1 || mem.Err() != nil || mem.Need() != full.Need() {
			t.Errorf("%v, %v, %v", mem, mem.Err(), err)
		}
	})
	t.Run("promised to others", func(t *testing.T) {
		d.free, d.unsure = full.Need()+100, false
		for reserved, free := range map[int64]int64{100: full.Need(), 101: full.Need() - 1, 1 << 50: 0} {
			o := o
			o.Reserved = reserved
			mem, err := PlanMemory(d, m, src, o)
			if err != nil || mem.Free != free || (mem.Err() == nil) != (free == full.Need()) {
				t.Errorf("%d bytes reserved: %d free, %v, %v", reserved, mem.Free, mem.Err(), err)
			}
		}
	})
	t.Run("out of range", func(t *testing.T) {
		if _, err := PlanMemory(d, m, src, Options{Context: 1 << 30}); err == nil ||
			errors.As(err, new(*MemoryError)) {
			t.Errorf("error %v", err)
		}
	})
}
