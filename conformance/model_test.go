package conformance

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// TestBatchBits checks what the reference promises beyond the suite: a sequence's logits have the same bits whatever
// else is in the batch, and however many threads compute them.
func TestBatchBits(t *testing.T) {
	t.Parallel()
	for _, arch := range models.Architectures() {
		t.Run(arch, func(t *testing.T) {
			if testing.Short() && arch != "qwen35moe" {
				t.Skip("SKIPPED: -short leaves most models to make long")
			}
			m, src, err := tinyModel(arch, 0, nil)
			if err != nil {
				t.Skipf("SKIPPED: no tiny hyper-parameters for %s: %v", arch, err)
			}
			ps := prompts(m.Params().Vocab, 0)
			logits := func(threads int, together bool) (out [][]float32) {
				dev := opsref.New(opsref.Options{Threads: threads})
				defer dev.Close()
				l, err := load(t.Context(), dev, m, src)
				if err != nil {
					t.Fatal(err)
				}
				defer l.close()
				r, err := l.runner(len(ps), tensor.Invalid, false)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				var work []runner.Work
				for _, p := range ps {
					id, err := r.Open()
					if err != nil {
						t.Fatal(err)
					}
					work = append(work, runner.Work{Seq: id, Tokens: p, Rows: len(p)})
				}
				if together {
					rows, err := step(t.Context(), r, work)
					if err != nil {
						t.Fatal(err)
					}
					return rows
				}
				for _, w := range work {
					rows, err := step(t.Context(), r, []runner.Work{w})
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, slices.Clone(rows[0]))
				}
				return out
			}
			alone := logits(1, false)
			if testing.Short() {
				t.Log("SKIPPED: -short leaves one thread for a batch to make long")
			} else if d := cmp.Diff(alone, logits(1, true)); d != "" {
				t.Errorf("alone and in a batch:\n%.500s", d)
			}
			if d := cmp.Diff(alone, logits(5, true)); d != "" {
				t.Errorf("alone on one thread, and in a batch on five:\n%.500s", d)
			}
		})
	}
}

// TestStateUses checks that every op with a state says which of its rows it uses: nothing is poisoned otherwise.
func TestStateUses(t *testing.T) {
	if testing.Short() {
		t.Log("SKIPPED: -short leaves all but a case of each op to make long")
	}
	for _, c := range opCases() {
		if testing.Short() && c.i > 0 {
			continue
		}
		in, err := c.input(0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range in.c.Args {
			if known := in.uses[i].read != nil; known != (a.Leaf == ops.State) {
				t.Errorf("%s: operand %d: state use known: %v", c.name, i, known)
			}
		}
	}
}
