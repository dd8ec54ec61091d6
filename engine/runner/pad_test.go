package runner

import (
	"slices"
	"testing"

	"github.com/hipengine/hipengine/ops"
)

// bucketed is a device that wants padded sizes, as one that replays captured plans does. It notes the sizes.
type bucketed struct {
	ops.Device
	tokens []int
}

func (d *bucketed) Info() ops.Info {
	i := d.Device.Info()
	i.Buckets = true
	return i
}

func (d *bucketed) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	for _, n := range g.Nodes {
		if n.Leaf == ops.Input && n.Name == "tokens" {
			d.tokens = append(d.tokens, n.Out[0].Shape[0])
		}
	}
	return d.Device.Compile(g, a, outs...)
}

// TestPaddingChangesNothing runs steps of awkward sizes with and without padding and expects the same bits, then and
// in the steps that follow.
func TestPaddingChangesNothing(t *testing.T) {
	for _, arch := range []string{"llama", "qwen35", "qwen35moe", "gemma4", "mistral3"} {
		t.Run(arch, func(t *testing.T) {
			l := load(t, arch)
			plain := l.runner(t, Options{Context: 64, Seqs: 5})
			dev := &bucketed{Device: l.dev}
			padded, err := New(dev, l.m, l.w, Options{Context: 64, Seqs: 5})
			if err != nil {
				t.Fatal(err)
			}
			defer padded.Close()
			var ids []SeqID
			for range 5 {
				ids = append(ids, open(t, plain))
				open(t, padded) // both hand out the same slots in the same order
			}
			for i, work := range [][]Work{
				{{ids[1], prompt(1, 5), 3}, {ids[4], prompt(2, 2), 2}, {ids[0], prompt(3, 6), 0}},
				{{ids[0], prompt(4, 1), 1}, {ids[2], prompt(5, 1), 1}, {ids[4], prompt(6, 1), 1}, {ids[3], prompt(7, 9), 9}, {ids[1], prompt(8, 1), 1}},
				{{ids[3], prompt(9, 1), 1}, {ids[1], prompt(10, 3), 3}, {ids[0], prompt(11, 1), 1}},
				{{ids[2], prompt(12, 3), 0}},
			} {
				want, err := plain.Step(t.Context(), work)
				if err != nil {
					t.Fatal(err)
				}
				got, err := padded.Step(t.Context(), work)
				if err != nil {
					t.Fatal(err)
				}
				for j := range work {
					if !slices.Equal(want[j], got[j]) {
						t.Errorf("step %d: padding changes the logits of sequence %d", i, j)
					}
				}
			}
			if want := []int{16, 16, 8, 4}; !slices.Equal(dev.tokens, want) {
				t.Errorf("plans for %v tokens, want %v", dev.tokens, want)
			}
		})
	}
}
