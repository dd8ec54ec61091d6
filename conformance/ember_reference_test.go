package conformance_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/internal/testfiles"
)

// pytorch returns the logits that PyTorch computed for a prompt of Ember in float32 from the bfloat16 weights.
func pytorch(t *testing.T, prompt int) []float32 {
	t.Helper()
	name := fmt.Sprintf("logits_%d", prompt)
	if prompt == 0 {
		return readFloats(t, testfiles.Path(t, "builtin-model/pytorch."+name+".f32"))
	}
	b, err := os.ReadFile(testfiles.Path(t, "builtin-model/reference.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := safetensors.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return floats(tensors[name].Data)
}

// TestEmberAgainstPyTorch compares with logits that PyTorch computed in float32 from the bfloat16 weights, so that
// the error of the file's quantization is in the difference. Exact arithmetic on the quantized weights is on
// average up to 7.7e-6 (Q8_0) and 1.4e-4 (Q4_K_M) away, as the makers of the files measured.
func TestEmberAgainstPyTorch(t *testing.T) {
	t.Parallel()
	prompts := testfiles.EmberPrompts(t)
	for typ, bound := range map[string]float64{"Q8_0": 2e-5, "Q4_K_M": 2e-4} {
		r := open(t, emberFiles[typ], runner.Options{})
		for i, p := range prompts {
			t.Run(fmt.Sprintf("%s/prompt%d", typ, i), func(t *testing.T) {
				if i > 1 && testing.Short() {
					t.Skip("SKIPPED: -short leaves long prompts to make long")
				}
				l, err := conformance.CompareLogits(pytorch(t, i), logits(t, r, p.IDs, 512), r.Limits().Vocab)
				if err != nil {
					t.Fatal(err)
				}
				t.Log(l)
				if !(l.MeanKL <= bound) {
					t.Errorf("want a mean KL of at most %g: %v", bound, l)
				}
			})
		}
	}
}

// TestEmberGreedy continues the prompts greedily and expects PyTorch's tokens. Prompt 1 is left out: its first two
// candidates are within 0.003 of each other, and the quantized file takes the other one.
func TestEmberGreedy(t *testing.T) {
	t.Parallel()
	prompts := testfiles.EmberPrompts(t)
	r := open(t, emberFiles["Q8_0"], runner.Options{})
	for _, i := range []int{0, 2, 3, 4} {
		t.Run(fmt.Sprintf("prompt%d", i), func(t *testing.T) {
			if i > 0 && testing.Short() {
				t.Skip("SKIPPED: -short leaves long prompts to make long")
			}
			got := greedy(t, r, prompts[i].IDs, len(prompts[i].Greedy))
			if !slices.Equal(got, prompts[i].Greedy) {
				t.Errorf("continued with %v, want %v", got, prompts[i].Greedy)
			}
		})
	}
}

// TestEmberBatchIsBitEqual runs two sequences in one step, at different lengths and cut differently, and expects
// the very bits that each gives alone.
func TestEmberBatchIsBitEqual(t *testing.T) {
	prompts := testfiles.EmberPrompts(t)
	a, b := prompts[0].IDs, prompts[2].IDs
	alone := open(t, emberFiles["Q8_0"], runner.Options{})
	wantA := append(logits(t, alone, a[:10], 10), nil...)
	wantB := append(logits(t, alone, b[:30], 30), nil...)

	r := open(t, emberFiles["Q8_0"], runner.Options{Seqs: 3})
	spare, _ := r.Open() // takes slot 0, so that slots and batch order differ
	sa, _ := r.Open()
	sb, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := r.Step(t.Context(),
		[]runner.Work{{Seq: sb, Tokens: b[:30], Rows: 30}, {Seq: sa, Tokens: a[:10], Rows: 10}})
	if err != nil {
		t.Fatal(err)
	}
	r.Release(spare)
	for _, c := range []struct {
		name      string
		got, want []float32
	}{{"a", rows[1], wantA}, {"b", rows[0], wantB}} {
		for i := range c.want {
			if math.Float32bits(c.got[i]) != math.Float32bits(c.want[i]) {
				t.Fatalf("sequence %s: logit %d is %v in the batch, %v alone", c.name, i, c.got[i], c.want[i])
			}
		}
	}
}
