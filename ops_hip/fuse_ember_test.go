package opship

import (
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/ember"
	"github.com/hipengine/hipengine/models"
)

// TestEmberFuses compares the logits of the built-in model, of a prompt and of tokens after it, with those of the
// same device without kernels for what surrounds products.
func TestEmberFuses(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	run := func(use registry) []float32 {
		d, err := OpenWith("emu:"+emulated[0], FromEnv())
		must(t, err)
		defer closing(t, d.Close)
		d.opt.kernels = use
		f, err := ember.Open()
		must(t, err)
		defer closing(t, f.Close)
		m, err := models.New(f.Meta)
		must(t, err)
		w, err := models.LoadWeights(t.Context(), m, f, d, nil)
		must(t, err)
		r, err := runner.New(d, m, w, runner.Options{Context: 64})
		must(t, err)
		defer closing(t, r.Close)
		seq, err := r.Open()
		must(t, err)
		defer r.Release(seq)
		var all []float32
		for _, tokens := range [][]int32{{65, 108, 105, 99, 101, 32, 119, 101, 110, 116}, {32}, {104, 111, 109}} {
			rows, err := r.Step(t.Context(), []runner.Work{{Seq: seq, Tokens: tokens, Rows: len(tokens)}})
			must(t, err)
			all = append(all, rows[0]...)
		}
		return all
	}
	got, apart := run(kernels), run(kernels.without(func(k *Kernel) bool { return !around(k) }))
	want := make([]float64, len(apart))
	for i, x := range apart {
		want[i] = float64(x)
	}
	nmse, worst := errorsOf(got, want)
	t.Logf("NMSE %.3g, worst %.3g of the largest", nmse, worst)
	if !(nmse <= 1e-10) { // sums of codes are rounded in another order
		t.Errorf("the logits are %g from those of products one by one", nmse)
	}
}
