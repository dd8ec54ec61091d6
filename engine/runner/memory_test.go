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

// small is a device with a ledger: it has free bytes, and refuses what does not fit. It counts plans by what
// PlanBytes says of them.
type small struct {
	*opsref.Device
	free   int64
	unsure bool
	allocs int
}

func (d *small) FreeBytes() (int64, error) {
	if d.unsure {
		return 0, errors.New("nobody knows")
	}
	return d.free, nil
}

func (d *small) take(n int64) error {
	if n > d.free {
		return fmt.Errorf("small: %d bytes: %w", n, ops.ErrOutOfMemory)
	}
	d.free -= n
	d.allocs++
	return nil
}

func (d *small) Alloc(n int64, kind ops.MemKind) (tensor.Buffer, error) {
	if err := d.take(n); err != nil {
		return nil, err
	}
	return d.Device.Alloc(n, kind)
}

func (d *small) Compile(g *ops.Graph, outs ...ops.Value) (ops.Plan, error) {
	n, err := d.PlanBytes(g, outs...)
	if err != nil {
		return nil, err
	}
	if err := d.take(n); err != nil {
		return nil, err
	}
	p, err := d.Device.Compile(g, outs...)
	return &smallPlan{p, d, n}, err
}

type smallPlan struct {
	ops.Plan
	dev  *small
	size int64
}

func (p *smallPlan) Close() error {
	p.dev.free += p.size
	return p.Plan.Close()
}

// stream runs the plans of a small device.
func (d *small) Stream() (ops.Stream, error) {
	s, err := d.Device.Stream()
	return smallStream{s}, err
}

type smallStream struct{ ops.Stream }

func (s smallStream) Run(p ops.Plan) error { return s.Stream.Run(p.(*smallPlan).Plan) }

func newSmall(t *testing.T, free int64) *small {
	t.Helper()
	d := &small{Device: opsref.New(opsref.Options{Threads: 1}), free: free}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestPlanMemory gives each architecture exactly the memory that was planned, and runs the largest steps in it.
func TestPlanMemory(t *testing.T) {
	for _, arch := range models.Architectures() {
		t.Run(arch, func(t *testing.T) {
			m, err := models.New(tiny.Meta(arch))
			if err != nil {
				t.Fatal(err)
			}
			src := tiny.Weights(m, tensor.F32, 1)
			o := Options{Context: 100, Seqs: 3, Batch: 40, KVType: tensor.F16}
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
			// Plans of other sizes give way to each other; the largest of all come last.
			for n := 1; n <= 64; n *= 2 {
				works := []Work{{Seq: ids[0], Tokens: make([]int32, min(n, 40)), Rows: 1}}
				if _, err := r.Step(t.Context(), works); errors.As(err, new(*ContextError)) {
					r.Release(ids[0])
					ids[0] = open(t, r)
				} else if err != nil {
					t.Fatal(err)
				}
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
		{"a byte too little", full.Need() - 1, []string{"does not fit on ref", "weights", "state", "2 sequences of 256 tokens", "plans", "too little", "a context of"}, true},
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
		if _, err := PlanMemory(d, m, src, Options{Context: 1 << 30}); err == nil || errors.As(err, new(*MemoryError)) {
			t.Errorf("error %v", err)
		}
	})
}
