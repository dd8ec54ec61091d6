package models_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/tap"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// reference holds the 4-byte tensors of a reference.safetensors.
type reference map[string][]uint32

func readReference(t *testing.T, dir string) reference {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "reference.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := safetensors.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	ref := reference{}
	for name, x := range tensors {
		words := make([]uint32, len(x.Data)/4)
		for i := range words {
			words[i] = binary.LittleEndian.Uint32(x.Data[4*i:])
		}
		ref[name] = words
	}
	return ref
}

func (r reference) ids(t *testing.T, name string) []int32 {
	t.Helper()
	if len(r[name]) == 0 {
		t.Fatalf("the reference has no %q", name)
	}
	out := make([]int32, len(r[name]))
	for i, w := range r[name] {
		out[i] = int32(w)
	}
	return out
}

func (r reference) floats(t *testing.T, name string) []float32 {
	t.Helper()
	if len(r[name]) == 0 {
		t.Fatalf("the reference has no %q", name)
	}
	return toFloats(r[name])
}

func toFloats(words []uint32) []float32 {
	out := make([]float32, len(words))
	for i, w := range words {
		out[i] = math.Float32frombits(w)
	}
	return out
}

// tapped is a model whose residual streams are kept when a step is recorded.
type tapped struct {
	models.Model
	residuals []ops.Value // what enters the first layer and leaves each layer but the last, then the hidden state
}

func (m *tapped) Build(g *ops.Graph, w models.Weights, b models.Batch) models.Outputs {
	m.residuals = nil
	b.Tap = func(layer int, h ops.Value) {
		if layer != len(m.residuals) {
			g.Fail(fmt.Errorf("tap of layer %d after %d others", layer, len(m.residuals)))
		}
		m.residuals = append(m.residuals, h)
	}
	out := m.Model.Build(g, w, b)
	m.residuals[len(m.residuals)-1] = out.Hidden
	return out
}

// hidden runs ids as one step and returns the residual stream that enters the first layer and leaves each layer, the
// last one after the final norm, as the transformers library returns it.
func hidden(t *testing.T, dev ops.Device, m models.Model, w models.Weights, ids []int32) (out [][]float32) {
	t.Helper()
	watched := &tapped{Model: m}
	r, err := runner.New(&tap.Device{Device: dev, Tap: func(*ops.Graph) ([]ops.Value, func([][]byte) error) {
		return watched.residuals, func(data [][]byte) error {
			for _, raw := range data {
				x := make([]float32, len(raw)/4)
				for i := range x {
					x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
				}
				out = append(out, x)
			}
			return nil
		}
	}}, watched, w, runner.Options{Context: 128})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	id, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Step(t.Context(), []runner.Work{{Seq: id, Tokens: ids, Rows: len(ids)}}); err != nil {
		t.Fatal(err)
	}
	if len(out) != m.Params().Layers+1 {
		t.Fatalf("%d taps of %d layers", len(out), m.Params().Layers)
	}
	return out
}

// greedy runs ids through a new sequence and n greedy tokens after them, none of which is among banned. It returns
// the logits of ids and the tokens.
func greedy(t *testing.T, r *runner.Runner, ids []int32, n int, banned []int32) (all []float32, next []int32) {
	t.Helper()
	seq, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release(seq)
	work := runner.Work{Seq: seq, Tokens: ids, Rows: len(ids)}
	for {
		rows, err := r.Step(t.Context(), []runner.Work{work})
		if err != nil {
			t.Fatal(err)
		}
		if all == nil {
			all = slices.Clone(rows[0])
		}
		if len(next) == n {
			return all, next
		}
		last := slices.Clone(rows[0][len(rows[0])-r.Limits().Vocab:])
		for _, id := range banned {
			last[id] = float32(math.Inf(-1))
		}
		next = append(next, logits.Argmax(last))
		work = runner.Work{Seq: seq, Tokens: next[len(next)-1:], Rows: 1}
	}
}

// maxRMS is what float32 arithmetic in another order than PyTorch's is allowed to change. Models go wrong by 1e-3 and
// more.
const maxRMS = 2e-5

// TestPyTorch compares tiny models with PyTorch in float32, as their folders are, and as the files that convert makes
// of them. Their weights are BF16, which files of BF16 and F32 hold exactly, so that the bounds are those of
// arithmetic. (A folder of F32 is another matter: rounding it to BF16 moves each weight by up to 2^-9 of itself and
// the logits by some 1e-3.)
func TestPyTorch(t *testing.T) {
	for i, name := range slices.Concat(testfiles.Models, testfiles.More) {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && (name == "deepseek_v2_lite" || name == "glm4_moe_lite") {
				t.Skip("SKIPPED: -short leaves models like deepseek_v3 to make long")
			}
			dir := testfiles.Model(t, name)
			f := openFolder(t, dir)
			ref := readReference(t, dir)
			t.Run("folder", func(t *testing.T) { compareWithPyTorch(t, ref, f.Meta, f, f.Vocab.ExtraEOG, maxRMS) })
			types := []convert.FType{convert.BF16, convert.F32}
			if slices.Contains(testfiles.More, name) {
				auto, err := convert.AutoFType(dir)
				if err != nil {
					t.Fatal(err)
				}
				types = []convert.FType{auto}
			}
			if testing.Short() {
				t.Log("SKIPPED: -short leaves converted files of most models to make long")
				types = types[:1-min(i%4, 1)]
			}
			for _, typ := range types {
				t.Run(typ.String(), func(t *testing.T) {
					g := convertFolder(t, dir, typ)
					compareWithPyTorch(t, ref, g.Meta, g, f.Vocab.ExtraEOG, maxRMS)
				})
			}
		})
	}
}

// TestSeeing compares what models that also see make of text with PyTorch.
func TestSeeing(t *testing.T) {
	for _, name := range testfiles.Seeing {
		t.Run(name, func(t *testing.T) {
			dir := testfiles.Model(t, name)
			f := openFolder(t, dir)
			ref := readReference(t, dir)
			m := newModel(t, f.Meta)
			got := logitsOf(t, m, f, ref.ids(t, "ids_text_9"))
			rms := logits.RelativeRMS(ref.floats(t, "logits_text_9"), got)
			t.Logf("relative RMS of logits %.2g", rms)
			if !(rms <= maxRMS) {
				t.Errorf("relative RMS of logits %.3g", rms)
			}
		})
	}
}

// compareWithPyTorch runs a model and compares logits and the residual stream of every layer within a relative RMS,
// the best token everywhere, and 24 greedy tokens, whose reference was made without those in banned, which end a
// generation.
func compareWithPyTorch(t *testing.T, ref reference, meta *gguf.Meta, src models.Source, banned []int32,
	maxRMS float64) {
	m, ok := newModel(t, meta).(*nn.Decoder)
	if !ok {
		t.Fatal("the model is no nn.Decoder")
	}
	dev := opsref.New(opsref.Options{Threads: 1})
	defer dev.Close()
	w, err := models.LoadWeights(t.Context(), m, src, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Free()
	r, err := runner.New(dev, m, w, runner.Options{Context: 128})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()

	worst, at := 0.0, 0
	residuals := hidden(t, dev, m, w, ref.ids(t, "ids_48"))
	if m.Arch == "mamba2" { // transformers returns what leaves each layer, the last one too, and the state behind the norm
		n := len(residuals) - 1
		last := residuals[n]
		residuals = append(residuals[1:n:n], nil, last)
	}
	for i, got := range residuals {
		if got == nil {
			continue
		}
		rms := logits.RelativeRMS(ref.floats(t, "hidden_"+strconv.Itoa(i)), got)
		if rms > worst || math.IsNaN(rms) {
			worst, at = rms, i
		}
		if !(rms <= maxRMS) {
			t.Errorf("residual stream %d: relative RMS %.3g", i, rms)
		}
	}
	t.Logf("residual stream: relative RMS at most %.2g, at %d", worst, at)
	for _, n := range []string{"1", "9", "48"} {
		var want []int32
		if n == "9" {
			want = ref.ids(t, "greedy_9")
			if testing.Short() {
				t.Log("SKIPPED: -short leaves two of three greedy tokens to make long")
				want = want[:len(want)/3]
			}
		}
		got, next := greedy(t, r, ref.ids(t, "ids_"+n), len(want), banned)
		exact := ref.floats(t, "logits_"+n)
		rms := logits.RelativeRMS(exact, got)
		t.Logf("%s tokens: relative RMS of logits %.2g", n, rms)
		if !(rms <= maxRMS) {
			t.Errorf("%s tokens: relative RMS of logits %.3g", n, rms)
		}
		for i := 0; i < len(exact) && len(got) == len(exact); i += m.Vocab {
			if a, b := logits.Argmax(exact[i:i+m.Vocab]), logits.Argmax(got[i:i+m.Vocab]); a != b {
				t.Errorf("%s tokens: best token %d at %d, want %d", n, b, i/m.Vocab, a)
			}
		}
		if !slices.Equal(next, want) {
			t.Errorf("greedy tokens\n%v, want\n%v", next, want)
		}
	}
}
