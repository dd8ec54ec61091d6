package hipengine

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models/convert"
)

// modernBERTRanker is the fixture of ModernBERT with a head of one score, as ModernBertForSequenceClassification has
// it.
func modernBERTRanker(t *testing.T, pooling string) string {
	t.Helper()
	const embd = 128
	return editFolder(t, "fixtures2/emb_modernbert", func(config map[string]any,
		tensors map[string]safetensors.Tensor) map[string]safetensors.Tensor {
		config["architectures"] = []string{"ModernBertForSequenceClassification"}
		config["classifier_pooling"] = pooling
		whole := map[string]safetensors.Tensor{} // a model with a head has the encoder below a prefix
		for name, x := range tensors {
			whole["model."+strings.TrimPrefix(name, "model.")] = x
		}
		for name, shape := range map[string][]int{"head.dense.weight": {embd, embd}, "head.norm.weight": {embd},
			"classifier.weight": {1, embd}, "classifier.bias": {1}} {
			whole[name] = headTensor(name, 1, shape...)
		}
		return whole
	})
}

// modernBERTScore is the score of states, [tokens, 128], by the head's definition: pooled, a dense layer, the GELU, a
// layer normalization of no bias, and a linear map behind which comes the logistic function.
func modernBERTScore(states []float32, pooling string) float64 {
	const embd = 128
	x := make([]float64, embd)
	tokens := len(states) / embd
	for t := range tokens {
		for j := range x {
			if pooling == "mean" {
				x[j] += float64(states[t*embd+j]) / float64(tokens)
			} else if t == 0 {
				x[j] = float64(states[j])
			}
		}
	}
	y := make([]float64, embd)
	var mean, variance float64
	for i := range y {
		for j, v := range x {
			y[i] += float64(headValue("head.dense.weight", i*embd+j)) * v
		}
		y[i] *= 0.5 * math.Erfc(-y[i]/math.Sqrt2)
		mean += y[i] / embd
	}
	for _, v := range y {
		variance += (v - mean) * (v - mean) / embd
	}
	score := float64(headValue("classifier.bias", 0))
	for i, v := range y {
		score += (v - mean) / math.Sqrt(variance+1e-5) * float64(headValue("head.norm.weight", i)) *
			float64(headValue("classifier.weight", i))
	}
	return 1 / (1 + math.Exp(-score))
}

// TestRankModernBERT scores with the head of ModernBERT, from a folder and from a file, what PyTorch made of the
// tokens.
func TestRankModernBERT(t *testing.T) {
	ref := readReference(t, testfiles.Path(t, "fixtures2/emb_modernbert"))
	h := newHost(t, HostOptions{Device: "ref", Threads: 1})
	for _, pooling := range []string{"mean", "cls"} {
		dir := modernBERTRanker(t, pooling)
		file := filepath.Join(t.TempDir(), "ranker.gguf")
		f32, err := convert.ParseFType("f32")
		if err != nil {
			t.Fatal(err)
		}
		if err := convert.Convert(t.Context(), dir, file, convert.Options{Type: f32}); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir, file} {
			m := openModel(t, h, path, Options{Context: 128})
			if m.Ranker() == nil || m.Embeds() {
				t.Fatalf("%s: a model with a head for scores is no ranker, or embeds", path)
			}
			n := 0
			for name := range ref {
				length, ok := strings.CutPrefix(name, "ids_")
				if !ok || len(ref.ids(t, name)) > 64 {
					continue
				}
				n++
				states, err := m.hidden(t.Context(), [][]int32{ref.ids(t, name)}, m.Ranker().Pooling())
				if err != nil {
					t.Fatal(err)
				}
				want := modernBERTScore(ref.floats(t, "last_hidden_"+length), pooling)
				if got := m.Ranker().Score(states[0]); math.Abs(got-want) > 1e-5 || want < 1e-3 || want > 1-1e-3 {
					t.Errorf("%s, %s tokens: score %v, want %v", pooling, length, got, want)
				}
			}
			if n == 0 {
				t.Error("the reference has no short texts")
			}
			scores, err := m.Rank(t.Context(), "cat", []string{"a cat", "dog", "a cat"})
			if err != nil || len(scores) != 3 || scores[0] != scores[2] || scores[0] == scores[1] {
				t.Errorf("%s: scores %v, %v", path, scores, err)
			}
			m.Close()
		}
	}
}

// TestModernBERTHeads refuses a pooling that is not known.
func TestModernBERTHeads(t *testing.T) {
	f, err := OpenFile(modernBERTRanker(t, "max"), Options{})
	if err == nil {
		f.Close()
	}
	if want := `classifier_pooling "max" is not known (cls and mean are)`; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}
