package hipengine

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/testfiles"
)

// fixture is a tiny model with the logits that exact activations give.
type fixture struct {
	path   string
	tokens []int32
	logits []float32 // [tokens, vocab]

	// kl and rms are how far the worse of two production engines is from them: mean KL and root mean square of the
	// error, relative to that of the logits. Both quantize activations to 8 bits.
	kl, rms float64
}

func readFixture(t *testing.T, path string) fixture {
	t.Helper()
	base := strings.TrimSuffix(path, ".gguf")
	b, err := os.ReadFile(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	type distance struct{ RelRMS, KL string }
	var doc struct {
		Tokens []int32
		A      distance `json:"engine_a_vs_exact"`
		B      distance `json:"engine_b_vs_exact"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatalf("%s: %v", base, err)
	}
	worse := func(a, b string) float64 {
		x, err := strconv.ParseFloat(a, 64)
		if err != nil {
			t.Fatalf("%s: %v", base, err)
		}
		y, err := strconv.ParseFloat(b, 64)
		if err != nil {
			t.Fatalf("%s: %v", base, err)
		}
		return max(x, y)
	}
	return fixture{path, doc.Tokens, readLogits(t, base+".logits.f32"), worse(doc.A.KL, doc.B.KL),
		worse(doc.A.RelRMS, doc.B.RelRMS)}
}

func readLogits(t *testing.T, path string) []float32 {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, len(raw)/4)
	if _, err := binary.Decode(raw, binary.LittleEndian, x); err != nil {
		t.Fatal(err)
	}
	return x
}

// namedDevice is the device that HIPENGINE_TEST_DEVICE names for tests of real ones, or else another.
func namedDevice(other string) string { return cmp.Or(os.Getenv("HIPENGINE_TEST_DEVICE"), other) }

// TestFixtures checks that devices stay near the logits that exact activations give, however the tokens are cut into
// steps: the CPU, which quantizes activations to 8 bits, no further away than 1.5 times the worse of two production
// engines; a device that the environment names (cuda:0), whose kernels keep more, ten times closer. Routers of
// mixtures decide by as little as 3e-5, far less than 8 bits tell apart, and one token that goes to another expert
// decides about the error: on the CPU, steps that mix tokens of 8 bits with others are left out for them.
func TestFixtures(t *testing.T) {
	dev, factor := namedDevice("cpu"), 1.5
	if dev != "cpu" {
		factor = 0.15
	}
	for _, name := range testfiles.GGUFs {
		t.Run(dev+"/"+name, func(t *testing.T) {
			if testing.Short() && !strings.HasSuffix(name, "Q4_K_M") {
				t.Skip("SKIPPED: -short leaves most types of the same model to make long")
			}
			f := readFixture(t, testfiles.GGUF(t, name))
			cuts := cuts
			if strings.Contains(f.path, "moe") && dev == "cpu" {
				cuts = cuts[:len(cuts)-1]
			}
			checkLogits(t, dev, f, cuts, factor*f.kl, factor*f.rms)
		})
	}
}

// TestEmberOnDevice is the same for both files of Ember on the device that the environment names, at the distance that
// the scalar reference keeps.
func TestEmberOnDevice(t *testing.T) {
	dev := namedDevice("")
	if dev == "" {
		t.Skip("SKIPPED: HIPENGINE_TEST_DEVICE names no device")
	}
	prompts := testfiles.EmberPrompts(t)
	for typ, path := range map[string]string{"Q8_0": "internal/ember/ember-Q8_0.gguf",
		"Q4_K_M": "testdata/ember/ember-Q4_K_M.gguf"} {
		for _, i := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s/%d", typ, i), func(t *testing.T) {
				want := readLogits(t, fmt.Sprintf("testdata/ember/ember-%s.logits_%d.f32", typ, i))
				checkLogits(t, dev, fixture{path: path, tokens: prompts[i].IDs, logits: want}, cuts, 1e-6, 1e-3)
			})
		}
	}
}

// cut is how the tokens of several sequences are cut into steps: so many of each sequence at a time, 0 for all.
type cut struct {
	name    string
	strides []int
}

var cuts = []cut{{"prefill", []int{0}}, {"chunks", []int{7}}, {"steps", []int{1}},
	{"batch of prompts", []int{0, 0, 0}},
	{"batch of steps", []int{1, 2, 1, 3}}, {"batch of all sizes", []int{1, 5, 2, 11}}}

// checkLogits compares the logits of the tokens of f, cut in several ways, with what they should be.
func checkLogits(t *testing.T, device string, f fixture, cuts []cut, kl, rms float64) {
	t.Helper()
	h, err := NewHost(HostOptions{Device: device})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	m, err := h.Open(t.Context(), f.path, Options{Sequences: 4, KVType: "f32"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cuts {
		for i, got := range runBatch(t, m.runner, f.tokens, c.strides) {
			l, err := conformance.CompareLogits(f.logits, got, m.runner.Limits().Vocab)
			if err != nil {
				t.Fatal(err)
			}
			rel := logits.RelativeRMS(f.logits, got)
			t.Logf("%s %d: mean KL %.3g of %.3g allowed, relative RMS %.3g of %.3g, top-1 %.3f", c.name, i, l.MeanKL,
				kl, rel, rms, l.Top1)
			if !(l.MeanKL <= kl) || !(rel <= rms) {
				t.Errorf("%s %d: mean KL %g, relative RMS %g; allowed are %g and %g", c.name, i, l.MeanKL, rel, kl,
					rms)
			}
		}
	}
}

// runBatch feeds tokens to one sequence for each stride, that many at a time (see cut), all in the same steps, and
// returns the logits of every position for each.
func runBatch(t *testing.T, r *runner.Runner, tokens []int32, strides []int) [][]float32 {
	t.Helper()
	out := make([][]float32, len(strides))
	left := make([][]int32, len(strides))
	ids := make([]runner.SeqID, len(strides))
	for i := range ids {
		var err error
		if ids[i], err = r.Open(); err != nil {
			t.Fatal(err)
		}
		defer r.Release(ids[i])
		left[i] = tokens
	}
	for {
		var work []runner.Work
		var of []int
		for i, stride := range strides {
			if stride == 0 {
				stride = len(tokens)
			}
			if n := min(stride, len(left[i])); n > 0 {
				work, of = append(work, runner.Work{Seq: ids[i], Tokens: left[i][:n], Rows: n}), append(of, i)
				left[i] = left[i][n:]
			}
		}
		if len(work) == 0 {
			return out
		}
		rows, err := r.Step(t.Context(), work)
		if err != nil {
			t.Fatal(err)
		}
		for w, i := range of {
			out[i] = append(out[i], rows[w]...)
		}
	}
}
