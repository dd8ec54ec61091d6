package hipengine

import (
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/models/convert"
)

// crossEncoder is BERT with a head of one score, written out in float64: names are those of its folder.
type crossEncoder map[string][]float64

const crossWidth, crossHeads, crossLayers = 128, 4, 2

// newCrossEncoder makes a folder of the fixture of BERT with such a head, as BertForSequenceClassification has it.
func newCrossEncoder(t *testing.T) (m crossEncoder, dir string) {
	t.Helper()
	m = crossEncoder{}
	dir = editFolder(t, "fixtures2/emb_bert", func(config map[string]any,
		tensors map[string]safetensors.Tensor) map[string]safetensors.Tensor {
		config["architectures"] = []string{"BertForSequenceClassification"}
		all := map[string]safetensors.Tensor{
			"classifier.weight":            headTensor("classifier.weight", 4, 1, crossWidth),
			"classifier.bias":              headTensor("classifier.bias", 4, 1),
			"bert.embeddings.position_ids": {DType: "I64", Shape: []int{1, 1}, Data: make([]byte, 8)},
		}
		for name, x := range tensors {
			all["bert."+name] = x
		}
		for name, x := range all {
			m[name] = floats64(x)
		}
		return all
	})
	return m, dir
}

// floats64 returns the elements of x, nil where they are no floats of 16 or 32 bits.
func floats64(x safetensors.Tensor) (y []float64) {
	switch x.DType {
	case "BF16":
		for i := 0; i < len(x.Data); i += 2 {
			bits := uint32(binary.LittleEndian.Uint16(x.Data[i:])) << 16
			y = append(y, float64(math.Float32frombits(bits)))
		}
	case "F32":
		for i := 0; i < len(x.Data); i += 4 {
			y = append(y, float64(math.Float32frombits(binary.LittleEndian.Uint32(x.Data[i:]))))
		}
	}
	return y
}

// linear is W·x + b.
func (m crossEncoder) linear(name string, x []float64) []float64 {
	w, y := m[name+".weight"], slices.Clone(m[name+".bias"])
	for o := range y {
		for i, v := range x {
			y[o] += w[o*len(x)+i] * v
		}
	}
	return y
}

// normed is the layer normalization of a + b.
func (m crossEncoder) normed(name string, a, b []float64) []float64 {
	var mean, variance float64
	y := make([]float64, len(a))
	for i := range y {
		y[i] = a[i] + b[i]
		mean += y[i] / float64(len(a))
	}
	for _, v := range y {
		variance += (v - mean) * (v - mean) / float64(len(a))
	}
	for i, v := range y {
		y[i] = (v-mean)/math.Sqrt(variance+1e-12)*m[name+".weight"][i] + m[name+".bias"][i]
	}
	return y
}

// score is the relevance of the document in ids, whose tokens are of type 1.
func (m crossEncoder) score(ids, types []int32) float64 {
	row := func(name string, i int) []float64 {
		return m["bert.embeddings."+name+".weight"][i*crossWidth : (i+1)*crossWidth]
	}
	h := make([][]float64, len(ids))
	for t, id := range ids {
		sum := slices.Clone(row("word_embeddings", int(id)))
		for i, v := range row("position_embeddings", t) {
			sum[i] += v
		}
		h[t] = m.normed("bert.embeddings.LayerNorm", sum, row("token_type_embeddings", int(types[t])))
	}
	const dim = crossWidth / crossHeads
	for layer := range crossLayers {
		at := fmt.Sprintf("bert.encoder.layer.%d.", layer)
		var q, k, v [][]float64
		for _, x := range h {
			q = append(q, m.linear(at+"attention.self.query", x))
			k = append(k, m.linear(at+"attention.self.key", x))
			v = append(v, m.linear(at+"attention.self.value", x))
		}
		for t := range h {
			mixed := make([]float64, crossWidth)
			for head := 0; head < crossWidth; head += dim {
				weights, sum := make([]float64, len(h)), 0.0
				for j := range h {
					dot := 0.0
					for i := head; i < head+dim; i++ {
						dot += q[t][i] * k[j][i]
					}
					weights[j] = math.Exp(dot / math.Sqrt(dim))
					sum += weights[j]
				}
				for j, w := range weights {
					for i := head; i < head+dim; i++ {
						mixed[i] += w / sum * v[j][i]
					}
				}
			}
			x := m.normed(at+"attention.output.LayerNorm", m.linear(at+"attention.output.dense", mixed), h[t])
			wide := m.linear(at+"intermediate.dense", x)
			for i, v := range wide {
				wide[i] = v * math.Erfc(-v/math.Sqrt2) / 2
			}
			h[t] = m.normed(at+"output.LayerNorm", m.linear(at+"output.dense", wide), x)
		}
	}
	pooled := m.linear("bert.pooler.dense", h[0])
	for i, v := range pooled {
		pooled[i] = math.Tanh(v)
	}
	return 1 / (1 + math.Exp(-m.linear("classifier", pooled)[0]))
}

// TestRankBERT compares scores of a cross-encoder with the model written out, from a folder and from a file. Without
// the second type of tokens they would be others.
func TestRankBERT(t *testing.T) {
	want, dir := newCrossEncoder(t)
	file := filepath.Join(t.TempDir(), "ranker.gguf")
	f32, err := convert.ParseFType("f32")
	if err != nil {
		t.Fatal(err)
	}
	if err := convert.Convert(t.Context(), dir, file, convert.Options{Type: f32}); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, HostOptions{Device: "ref", Threads: 1})
	documents := []string{"a cat sat", "dogs", "the cat is on the mat, " + strings.Repeat("and so on ", 3)}
	for _, path := range []string{dir, file} {
		m := openModel(t, h, path, Options{Context: 128})
		if m.Ranker() == nil || m.Embeds() {
			t.Fatalf("%s: a model with a head for scores is no ranker, or embeds", path)
		}
		scores, err := m.Rank(t.Context(), "where is the cat?", documents)
		if err != nil {
			t.Fatal(err)
		}
		query, err := m.Encode("where is the cat?", EncodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range documents {
			ids, types, err := m.Ranker().Prompt("where is the cat?", d)
			if err != nil {
				t.Fatal(err)
			}
			document, err := m.Encode(d, EncodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			at := slices.Index(types, 1)
			if at < len(query) || !slices.Equal(ids[at:at+len(document)], document) || slices.Contains(types[at:], 0) {
				t.Errorf("ids %v of types %v: the second text begins elsewhere", ids, types)
			}
			exact, one := want.score(ids, types), want.score(ids, make([]int32, len(ids)))
			if !(math.Abs(scores[i]-exact) <= 1e-5) || math.Abs(one-exact) < 1e-3 {
				t.Errorf("%s: %q: score %v, want %v; of one type %v", path, d, scores[i], exact, one)
			}
		}
		m.Close()
	}
}
