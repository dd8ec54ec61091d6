package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// Traffic is what a step of one token for each sequence must read or write, in bytes.
type Traffic struct {
	dense    float64 // weights that every step reads
	experts  float64 // weights of all experts
	all      int     // experts of a layer; 0 for a dense model
	used     int     // for each token
	state    float64 // of a sequence: read and written back
	perToken float64 // keys and values of one token of the context
}

// NewTraffic adds up the weights of a model, which tensors lists with what else its file holds: all but an embedding
// that is not the output too, of which a step reads single rows, and but layers behind those that a step runs; and
// keys and values, which are of type kv.
func NewTraffic(m models.Model, meta *gguf.Meta, tensors []gguf.TensorInfo, kv tensor.DType) (Traffic, error) {
	var t Traffic
	k := models.NewKeys(meta)
	t.all = k.IntOr("expert_count", 0, 0, models.MaxExperts)
	t.used = k.IntOr("expert_used_count", 0, 0, models.MaxExperts)
	untied := slices.ContainsFunc(tensors, func(i gguf.TensorInfo) bool { return i.Name == "output.weight" })
	needed := map[string]bool{}
	for _, w := range m.Weights() {
		for _, name := range append([]string{w.Name, w.Part.Name}, w.Alt...) {
			needed[name] = true
		}
	}
	for _, i := range tensors {
		switch {
		case !needed[i.Name] || untied && i.Name == "token_embd.weight":
		case strings.Contains(i.Name, "_exps."):
			t.experts += float64(i.Size)
		default:
			t.dense += float64(i.Size)
		}
	}
	const f32 = 4 // the type in which the runner keeps state
	for _, s := range m.State().Slots {
		t.state += 2 * f32 * float64(s.Shape.Elems())
	}
	for _, p := range m.State().Paged {
		n, err := tensor.Bytes(kv, tensor.Shape{p.Heads, p.Dim})
		if err != nil {
			return Traffic{}, fmt.Errorf("state %q: %w", p.Name, err)
		}
		t.perToken += float64(n)
	}
	return t, nil
}

// Step returns the bytes of a step of seqs sequences of length tokens. Of experts it counts those that tokens are
// expected to meet if they choose independently.
func (t Traffic) Step(seqs int, length float64) float64 {
	b := t.dense + float64(seqs)*(t.state+length*t.perToken)
	if t.all > 0 {
		b += t.experts * (1 - math.Pow(1-float64(t.used)/float64(t.all), float64(seqs)))
	}
	return b
}
