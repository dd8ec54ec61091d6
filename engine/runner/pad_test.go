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
				{{Seq: ids[1], Tokens: prompt(1, 5), Rows: 3}, {Seq: ids[4], Tokens: prompt(2, 2), Rows: 2},
					{Seq: ids[0], Tokens: prompt(3, 6), Rows: 0}},
				{{Seq: ids[0], Tokens: prompt(4, 1), Rows: 1}, {Seq: ids[2], Tokens: prompt(5, 1), Rows: 1},
					{Seq: ids[4], Tokens: prompt(6, 1), Rows: 1}, {Seq: ids[3], Tokens: prompt(7, 9), Rows: 9},
					{Seq: ids[1], Tokens: prompt(8, 1), Rows: 1}},
				{{Seq: ids[3], Tokens: prompt(9, 1), Rows: 1}, {Seq: ids[1], Tokens: prompt(10, 3), Rows: 3},
					{Seq: ids[0], Tokens: prompt(11, 1), Rows: 1}},
				{{Seq: ids[2], Tokens: prompt(12, 3), Rows: 0}},
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
