package runner

import (
	"context"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// still is a device that compiles and moves nothing, so that what is measured is the runner alone. Downloads are
// zeros.
type still struct {
	ops.Device
	widths []int // of the page tables that plans were compiled for
}

func (d *still) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	for _, n := range g.Nodes {
		if n.Leaf == ops.Input && n.Name == "pages" {
			d.widths = append(d.widths, n.Out[0].Shape[1])
		}
	}
	return d.Device.Compile(g, a, outs...)
}

func (d *still) Stream() (ops.Stream, error) { return stillStream{}, nil }

type stillStream struct{ ops.Stream }

func (stillStream) Upload(tensor.Tensor, []byte) error         { return nil }
func (stillStream) Run(ops.Plan) error                         { return nil }
func (stillStream) Sync(context.Context) error                 { return nil }
func (stillStream) Close() error                               { return nil }
func (stillStream) Download(dst []byte, _ tensor.Tensor) error { clear(dst); return nil }

// TestStepDoesNotAllocate decodes three sequences, with all logits, without, and with none, on models with windows,
// recurrent state and experts, within a page: a new one can meet a new plan.
func TestStepDoesNotAllocate(t *testing.T) {
	for _, arch := range []string{"llama", "gemma4", "qwen35moe"} {
		l := load(t, arch)
		for _, pads := range []bool{false, true} {
			var dev ops.Device = &still{Device: l.dev}
			if pads {
				dev = &bucketed{Device: dev}
			}
			r, err := New(dev, l.m, l.w, Options{Seqs: 3})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var work []Work
			for range 3 {
				work = append(work, Work{Seq: open(t, r), Tokens: []int32{1}, Rows: 1})
			}
			for _, s := range []struct {
				name string
				step func() error
			}{
				{"Step", func() error { _, err := r.Step(t.Context(), work); return err }},
				{"StepTop 1", func() error { _, err := r.StepTop(t.Context(), work, 1); return err }},
				{"StepTop 40", func() error { _, err := r.StepTop(t.Context(), work, 40); return err }},
				{"StepHidden", func() error { _, err := r.StepHidden(t.Context(), work); return err }},
			} {
				if n := testing.AllocsPerRun(6, func() {
					if err := s.step(); err != nil {
						t.Fatal(err)
					}
				}); n != 0 {
					t.Errorf("%s, padded %v: %v allocations per %s", arch, pads, n, s.name)
				}
			}
		}
	}
}

// TestPlansOfGrowingSequence lets a sequence grow token by token to the end of its context, and counts the plans.
func TestPlansOfGrowingSequence(t *testing.T) {
	l := load(t, "llama")
	context := l.m.Params().Context
	d := &still{Device: l.dev}
	r, err := New(&bucketed{Device: d}, l.m, l.w, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	id := open(t, r)
	for range context {
		if _, err := r.StepTop(t.Context(), []Work{{Seq: id, Tokens: []int32{1}, Rows: 1}}, 1); err != nil {
			t.Fatal(err)
		}
	}
	var want []int
	for w := 1; w < pagesFor(context); w *= 4 {
		want = append(want, w)
	}
	want = append(want, tableWidth(pagesFor(context), context))
	if !slices.Equal(d.widths, want) || want[len(want)-1] < pagesFor(context) {
		t.Errorf("plans for tables of %d pages in a context of %d, want %d", d.widths, pagesFor(context), want)
	}
}

func TestTableWidth(t *testing.T) {
	for _, c := range []struct{ pages, context, want int }{
		{1, 4096, 1}, {2, 4096, 4}, {4, 4096, 4}, {5, 4096, 16}, {17, 4096, 64}, {65, 4096, 128}, {128, 4096, 128},
		{3, 96, 4},
		{2, 64, 2}, {1, 1, 1}, {4096, 131072, 4096}, {1025, 131072, 4096}, {1024, 131072, 1024},
	} {
		if got := tableWidth(c.pages, c.context); got != c.want {
			t.Errorf("%d pages in a context of %d tokens: %d, want %d", c.pages, c.context, got, c.want)
		}
	}
}

// TestFresh follows which steps and drafts were prepared for, as their plans are compiled and the arena moves.
func TestFresh(t *testing.T) {
	r := loadDrafting(t, "qwen35").runner(t, Options{})
	if !r.Fresh() {
		t.Error("there were plans before the first step")
	}
	id := open(t, r)
	for i, c := range []struct {
		do    func()
		fresh bool
	}{
		{func() { step(t, r, id, 1, 2) }, true},
		{func() { step(t, r, id, 1, 2) }, false},
		{func() { draft(t, r, id, 3, 1) }, true},
		{func() { draft(t, r, id, 3, 1) }, false},
		{func() { step(t, r, id, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11) }, true}, // more than the arena has room for
		{func() { step(t, r, id, 1, 2) }, true},
		{func() { step(t, r, id, 1, 2) }, false},
		{func() { draft(t, r, id, 3, 1) }, true},
		{func() { draft(t, r, id, 3, 1) }, false},
	} {
		if c.do(); r.Fresh() != c.fresh {
			t.Errorf("call %d: fresh is %t", i, r.Fresh())
		}
	}
}
