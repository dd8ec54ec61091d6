package runner

import (
	"errors"
	"testing"

	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// TestProve proves a model in the memory that was planned for it, and then in a byte less.
func TestProve(t *testing.T) {
	for _, arch := range []string{"llama", "qwen35"} {
		m, err := models.New(tiny.Meta(arch))
		if err != nil {
			t.Fatal(err)
		}
		proves(t, m, Options{Context: 128, Seqs: 2, Batch: 32})
		proves(t, m, Options{Context: 128, Seqs: 2, Batch: 64, Rewind: 3, RewindTokens: 4})
	}
}

func proves(t *testing.T, m models.Model, o Options) {
	t.Helper()
	src := tiny.Weights(m, tensor.F32, 1)
	for _, missing := range []int64{0, 1} {
		d := newSmall(t, 1<<40)
		mem, err := PlanMemory(d, m, src, o)
		if err != nil {
			t.Fatal(err)
		}
		d.free = mem.Need() - missing
		w, err := models.LoadWeights(t.Context(), m, src, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := New(d, m, w, o)
		if err != nil {
			t.Fatal(err)
		}
		err = r.Prove()
		if missing == 0 && (err != nil || r.arena.Bytes() != mem.Plans) {
			t.Errorf("with all memory: %v; the arena has %d bytes, planned were %d", err, r.arena.Bytes(), mem.Plans)
		}
		for _, c := range r.plans.order {
			if most := o.Seqs + o.RewindTokens + PromptRows; missing == 0 && !c.key.hidden && c.key.Rows > most {
				t.Errorf("a plan for %d rows of logits was proven, the most are %d", c.key.Rows, most)
			}
		}
		if missing > 0 && !errors.Is(err, ops.ErrOutOfMemory) {
			t.Errorf("with too little: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := r.Prove(); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}
